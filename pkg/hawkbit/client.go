// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package hawkbit is a client of the Management API of Eclipse hawkBit, as far as
// publishing a firmware needs it. It works with servers from 0.3 on: it decides by
// the HTTP status, never by codes or members that one generation alone has.
package hawkbit

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// tries bounds how often a call is made that fails in a way that may pass.
	tries = 4
	// patience is how long a call waits for a server that is away: one that starts takes up to
	// two minutes.
	patience = 3 * time.Minute
	// rateWindow is how long hawkBit's limit of requests lasts, with some reserve. It
	// sends no Retry-After.
	rateWindow = 1200 * time.Millisecond
	maxAnswer  = 4 << 20
)

// Config says where hawkBit is, and who calls it.
type Config struct {
	// URL is the base of the server; a "/rest/v1" or "/UI" behind it is left out.
	URL string
	// User and Password are for Basic authentication. The user name is sent as it is:
	// hosted servers have a tenant and a backslash in it (HB-6).
	User, Password string
	// Token is sent as a Bearer token in place of them.
	Token string
	// HTTP makes the calls.
	HTTP *http.Client
	// Patience is how long a call waits for a server that is away, three minutes if 0.
	Patience time.Duration
}

// Client calls one server.
type Client struct {
	Config
	base *url.URL
}

// New returns a client. It does not call the server.
func New(c Config) (*Client, error) {
	address := strings.TrimRight(c.URL, "/")
	for _, page := range []string{"/rest/v1", "/UI"} { // which people copy from a browser
		address = strings.TrimRight(strings.TrimSuffix(address, page), "/")
	}
	base, err := url.Parse(address)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" || base.User != nil ||
		base.RawQuery != "" {
		return nil, errors.New("the URL of hawkBit is none like https://hawkbit.example.org")
	}
	if c.HTTP == nil {
		c.HTTP = http.DefaultClient
	}
	own := *c.HTTP
	// A redirect would take the credentials to a place that nobody configured.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.HTTP = &own
	return &Client{c, base}, nil
}

// Error is an answer that is no success.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Message is hawkBit's own, or that of the status: some errors have no body, and
	// some an HTML page.
	Message string
	// quota tells a limit that lasts until something is deleted from one of requests.
	quota bool
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Status) }

// Is reports whether an error is an answer with one of the statuses.
func Is(err error, statuses ...int) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, s := range statuses {
		if e.Status == s {
			return true
		}
	}
	return false
}

// request is one call. Its body can be read more than once.
type request struct {
	method, path string
	query        url.Values
	contentType  string
	body         func() io.Reader
	length       int64
}

// jsonBody sets a value as the body.
func (r request) jsonBody(v any) (request, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return r, fmt.Errorf("write request: %w", err)
	}
	r.contentType, r.length, r.body = "application/json", int64(
		len(data),
	), func() io.Reader { return bytes.NewReader(data) }
	return r, nil
}

// call makes a call; it is repeated if it fails in a way that may pass, and decodes the
// answer into the value unless that is nil. Whoever creates something must be
// prepared to find that an earlier try did.
func (c *Client) call(ctx context.Context, r request, into any) error {
	made := 0
	wait := backoff.NewExponentialBackOff()
	wait.MaxInterval = 5 * time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := c.once(ctx, r, into)
		made++
		var answer *Error
		switch {
		case err == nil:
		case away(err):
		case made == tries:
			err = backoff.Permanent(err)
		case !errors.As(err, &answer):
			var broken *url.Error
			var certificate *tls.CertificateVerificationError
			if !errors.As(err, &broken) || errors.As(err, &certificate) || ctx.Err() != nil {
				err = backoff.Permanent(err)
			}
		case answer.Status == http.StatusTooManyRequests && !answer.quota:
			err = errors.Join(err, &backoff.RetryAfterError{Duration: rateWindow})
		case answer.Status < http.StatusInternalServerError: // a 500 is also how hawkBit reports a lost race
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(cmp.Or(c.Patience, patience)))
	return err
}

// away reports whether nobody answers at the address, or a proxy for nobody.
func away(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) ||
		Is(err, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
}

func (c *Client) once(ctx context.Context, r request, into any) error {
	u := *c.base
	u.Path, u.RawPath = "", ""
	target := u.String() + strings.TrimSuffix(c.base.EscapedPath(), "/") + "/rest/v1" + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		body = r.body()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return fmt.Errorf("call hawkBit: %w", err)
	}
	req.ContentLength = r.length
	req.Header.Set("Accept", "application/json, application/hal+json")
	req.Header.Set("User-Agent", "ajour")
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	} else {
		req.SetBasicAuth(c.User, c.Password)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return &url.Error{Op: r.method, URL: r.path, Err: err}
	}
	if res.StatusCode/100 != 2 {
		return refused(res, data)
	}
	if into == nil || len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("hawkBit answered something else than JSON: %w", err)
	}
	return nil
}

// refused reads an error out of the four shapes that there are: hawkBit's own, that
// of the framework below it, nothing at all, and a page in HTML.
func refused(res *http.Response, data []byte) error {
	var body struct {
		ErrorCode string `json:"errorCode"`
		Message   string `json:"message"`
		Error     string `json:"error"`
	}
	e := &Error{Status: res.StatusCode, Message: http.StatusText(res.StatusCode)}
	if json.Unmarshal(data, &body) == nil {
		switch {
		case body.Message != "":
			e.Message = body.Message
		case body.ErrorCode != "":
			e.Message = body.ErrorCode
		case body.Error != "":
			e.Message = body.Error
		}
		e.quota = body.ErrorCode != ""
	}
	if to, err := res.Location(); err == nil && res.StatusCode/100 == 3 {
		e.Message = fmt.Sprintf("it redirects to %s://%s", to.Scheme, to.Host)
	}
	return e
}
