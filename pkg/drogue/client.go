// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package drogue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	basePath = "/api/registry/v1alpha1/apps"
	// maxObject bounds an object that is read: the registry takes bodies of 64
	// KiB, and gives back somewhat more than it took (N2).
	maxObject = 1 << 20
	// maxList bounds a list: 40,000 devices were 89 MB.
	maxList = 256 << 20
	// retryWithin bounds how long a write is tried: a clash of aliases answers
	// like a lock conflict and would go on for ever (N10).
	retryWithin = 20 * time.Second
)

// Auth writes credentials into the header of a request. The registry compares
// "Bearer" and "Basic" case-sensitively, and takes a request without usable
// credentials for an anonymous one (X4, AUTH-1). An error that is not [ErrUnauthenticated] says that there
// are none at the moment.
type Auth func(context.Context, http.Header) error

// Bearer authenticates with an access token.
func Bearer(token string) Auth {
	return func(_ context.Context, h http.Header) error {
		if strings.TrimSpace(token) == "" {
			return fmt.Errorf("%w: empty token, the call would be anonymous", ErrUnauthenticated)
		}
		h.Set("Authorization", "Bearer "+token)
		return nil
	}
}

// Basic authenticates with a user name and a personal access token.
func Basic(user, token string) Auth {
	return func(_ context.Context, h http.Header) error {
		if user == "" || token == "" {
			return fmt.Errorf("%w: empty user or token, the call would be anonymous", ErrUnauthenticated)
		}
		(&http.Request{Header: h}).SetBasicAuth(user, token)
		return nil
	}
}

// Client calls one registry. It is safe for concurrent use.
type Client struct {
	base string
	http *http.Client
	auth Auth
}

// New returns a client of the registry at the URL, which acts with its own
// credentials unless a call is made [Client.As] somebody else.
func New(base string, client *http.Client, auth Auth) *Client {
	return &Client{base: strings.TrimSuffix(base, "/"), http: client, auth: auth}
}

// As returns a client that acts with other credentials (AUTH-3).
func (c *Client) As(auth Auth) *Client {
	other := *c
	other.auth = auth
	return &other
}

// path escapes each name as one segment, since device names may hold anything (REG-8).
func path(t build.ObjectRef) string {
	p := basePath + "/" + segment(t.Application)
	if t.Device != "" {
		p += "/devices/" + segment(t.Device)
	}
	return p
}

// segment escapes a name such that no proxy takes it for a relative path.
func segment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

// Get reads an object.
func (c *Client) Get(ctx context.Context, t build.ObjectRef) (*Object, error) {
	data, err := c.do(ctx, http.MethodGet, path(t), nil, maxObject)
	if err != nil {
		return nil, err
	}
	return ParseObject(data)
}

// Object reads an object.
func (c *Client) Object(ctx context.Context, t build.ObjectRef) (build.Object, error) {
	o, err := c.existing(ctx, t)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// existing reads an object, and takes one that waits for its finalizers to go for none.
func (c *Client) existing(ctx context.Context, t build.ObjectRef) (*Object, error) {
	o, err := c.Get(ctx, t)
	if err == nil && o.Deleted() {
		return nil, fmt.Errorf("%s is being deleted: %w", t, ErrNotFound)
	}
	return o, err
}

// ObjectAs is like Object, on behalf of the bearer of an access token.
func (c *Client) ObjectAs(ctx context.Context, token string, t build.ObjectRef) (build.Object, error) {
	return c.As(Bearer(token)).Object(ctx, t)
}

// MayWriteAs reports whether the bearer of an access token may write an object, without writing
// it: the registry looks at rights before versions, and neither this one nor this uid is ever that of an object
// (contract 1.5, 1.11). To a caller who may only read, a device is not there.
func (c *Client) MayWriteAs(ctx context.Context, token string, t build.ObjectRef) (bool, error) {
	metadata := map[string]string{
		"name": t.Application, "uid": uuid.Nil.String(), "resourceVersion": uuid.Nil.String(),
	}
	if t.Device != "" {
		metadata["application"], metadata["name"] = t.Application, t.Device
	}
	body, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return false, fmt.Errorf("ask for the right to write %s: %w", t, err)
	}
	_, err = c.As(Bearer(token)).do(ctx, http.MethodPut, path(t), body, maxObject)
	switch {
	case errors.Is(err, ErrConflict):
		return true, nil
	case errors.Is(err, ErrForbidden), errors.Is(err, ErrNotFound):
		return false, nil
	case err == nil:
		return false, fmt.Errorf("ask for the right to write %s: the registry took a version that does not exist", t)
	default:
		return false, err
	}
}

// Update changes the status of an object. It reads the object, lets change edit
// it, and writes it back under the uid and resourceVersion that were read. When
// somebody else was faster it starts over; a soft-deleted object is left alone,
// and nothing is written when change reports false (REG-1, REG-2, REG-6).
//
// change may be called several times, each time with a fresh object.
func (c *Client) Update(ctx context.Context, t build.ObjectRef, change func(build.Object) (bool, error)) error {
	return c.update(ctx, t, func(o *Object) (bool, error) { return change(o) })
}

// SetFirmwareAs replaces the section spec.firmware of an object on behalf of the bearer of an access
// token, as Update changes the status. change returns the section, or the one that is there for no
// change.
func (c *Client) SetFirmwareAs(
	ctx context.Context, token string, t build.ObjectRef, change func(build.Object) (json.RawMessage, error),
) error {
	return c.As(Bearer(token)).update(ctx, t, func(o *Object) (bool, error) {
		section, err := change(o)
		if err != nil || bytes.Equal(section, o.Firmware()) {
			return false, err
		}
		o.SetFirmware(section)
		return true, nil
	})
}

func (c *Client) update(ctx context.Context, t build.ObjectRef, change func(*Object) (bool, error)) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.Multiplier, wait.MaxInterval = 10*time.Millisecond, 2, time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := c.updateOnce(ctx, t, change)
		if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnavailable) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(retryWithin))
	return err
}

func (c *Client) updateOnce(ctx context.Context, t build.ObjectRef, change func(*Object) (bool, error)) error {
	o, err := c.Get(ctx, t)
	if err != nil || o.Deleted() {
		return err
	}
	changed, err := change(o)
	if err != nil || !changed {
		return err
	}
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("write %s: %w", t, err)
	}
	_, err = c.do(ctx, http.MethodPut, path(t), body, maxObject)
	return err
}

func (c *Client) do(ctx context.Context, method, path string, body []byte, limit int64) ([]byte, error) {
	answer, err := c.open(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	data, err := io.ReadAll(http.MaxBytesReader(nil, answer, limit))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %w", method, path, ErrUnavailable, err)
	}
	return data, nil
}

// open makes a call, and returns the body of an answer that is no failure.
func (c *Client) open(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	u, err := url.Parse(c.base + path)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if err := c.auth(ctx, req.Header); errors.Is(err, ErrUnauthenticated) {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	} else if err != nil { // the issuer does not answer, say
		return nil, fmt.Errorf("%s %s: %w: %w", method, path, ErrUnavailable, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %w", method, path, ErrUnavailable, err)
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		return nil, statusError(method, path, res)
	}
	return res.Body, nil
}
