// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package devtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client calls an installation: the Drogue registry and the API of builds.
type Client struct {
	// URL is the base of the registry, API that of the API of builds.
	URL, API string
	// Token authenticates all calls.
	Token string
}

func (c *Client) base(path string) string {
	if strings.HasPrefix(path, Builds) {
		return c.API
	}
	return c.URL
}

// Call makes an HTTP call with the token, and decodes its answer into
// the value unless that is nil. An answer other than 2xx is an error.
func (c *Client) Call(ctx context.Context, method, path string, body, into any) error {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(data)
	}
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return do(req, into)
}

// CallWithKey is Call without a body, and with an Idempotency-Key.
func (c *Client) CallWithKey(ctx context.Context, key, method, path string, into any) error {
	req, err := c.request(ctx, method, path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Idempotency-Key", key)
	return do(req, into)
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base(path)+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	return req, nil
}

func do(req *http.Request, into any) error {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return &StatusError{res.StatusCode, strings.TrimSpace(string(data))}
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(data, into)
}

// StatusError is an answer other than 2xx.
type StatusError struct {
	Status int
	Body   string
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Body) }

// Paths of the APIs.
const (
	Apps   = "/api/registry/v1alpha1/apps"
	Builds = "/api/builds/v1alpha1"
)

// AppPath returns the registry's path of an application.
func AppPath(app string) string { return Apps + "/" + url.PathEscape(app) }

// DevicePath returns the registry's path of a device.
func DevicePath(app, device string) string {
	return AppPath(app) + "/devices/" + url.PathEscape(device)
}

// Object is what is read of a Drogue object.
type Object struct {
	Status struct {
		Firmware struct {
			Conditions []Condition `json:"conditions"`
		} `json:"firmware"`
		Build Record `json:"firmwareBuild"`
	} `json:"status"`
}

// Condition is one entry of status.firmware.conditions.
type Condition struct {
	Type               string    `json:"type"`
	Status             string    `json:"status"`
	Reason             string    `json:"reason,omitempty"`
	Message            string    `json:"message,omitempty"`
	LastTransitionTime time.Time `json:"lastTransitionTime"`
}

// Record is status.firmwareBuild.
type Record struct {
	Build    string `json:"build"`
	Phase    string `json:"phase"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`
	Cause    string `json:"cause"`
	Commit   string `json:"commit"`
	Artifact *struct {
		Reference, Digest, Version, SHA256 string
		Size                               int64
		Hawkbit                            *struct {
			Controller              string
			DistributionSet, Action int64
		}
	} `json:"artifact"`
}

// Final reports whether the recorded build has ended.
func (r Record) Final() bool {
	return r.Phase == "Succeeded" || r.Phase == "Failed" || r.Phase == "Cancelled"
}

// Condition returns the condition of a type, the zero one if there is none.
func (o Object) Condition(kind string) Condition {
	for _, c := range o.Status.Firmware.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return Condition{}
}

// Watch reads an object until done, and returns it as it is then. See is called
// with every state that differs from the one before.
func (c *Client) Watch(ctx context.Context, path string, see func(Object), done func(Object) bool) (Object, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last []byte
	for {
		var raw json.RawMessage
		if err := c.Call(ctx, http.MethodGet, path, nil, &raw); err != nil {
			return Object{}, err
		}
		if !bytes.Equal(raw, last) {
			last = raw
			var o Object
			if err := json.Unmarshal(raw, &o); err != nil {
				return o, err
			}
			if see != nil {
				see(o)
			}
			if done(o) {
				return o, nil
			}
		}
		select {
		case <-ctx.Done():
			return Object{}, fmt.Errorf("%w: last seen: %s", ctx.Err(), last)
		case <-tick.C:
		}
	}
}

// Stream copies the body of an answer, such as a log.
func (c *Client) Stream(ctx context.Context, path string, into io.Writer) error {
	req, err := c.request(ctx, http.MethodGet, path, http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &StatusError{Status: res.StatusCode}
	}
	_, err = io.Copy(into, res.Body)
	return err
}
