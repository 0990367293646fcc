// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package drogue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Applications lists all applications that may be read, without those that wait for their
// finalizers to go.
func (c *Client) Applications(ctx context.Context) ([]build.Listed, error) {
	return c.list(ctx, basePath)
}

// Devices lists the devices of an application, without those that wait for their finalizers
// to go.
func (c *Client) Devices(ctx context.Context, application string) ([]build.Listed, error) {
	return c.list(ctx, path(build.ObjectRef{Application: application})+"/devices")
}

// ApplicationsAs is like Applications, on behalf of the bearer of an access token.
func (c *Client) ApplicationsAs(ctx context.Context, token string) ([]build.Listed, error) {
	return c.As(Bearer(token)).Applications(ctx)
}

// DevicesAs is like Devices, on behalf of the bearer of an access token.
func (c *Client) DevicesAs(ctx context.Context, token, application string) ([]build.Listed, error) {
	return c.As(Bearer(token)).Devices(ctx, application)
}

// EachApplication calls f for each application that may be read. It reads them at once: a page of
// applications that is short, or empty, does not prove the end (REG-7).
func (c *Client) EachApplication(ctx context.Context, f func(build.ObjectRef, build.Object) error) error {
	_, err := c.page(ctx, basePath, func(o *Object) error { return f(o.Ref(), o) })
	return err
}

// EachApplicationAs is like EachApplication, on behalf of the bearer of an access token, of those that a
// label selector finds; all if it is empty.
func (c *Client) EachApplicationAs(
	ctx context.Context, token, labels string, f func(build.ObjectRef, build.Object) error,
) error {
	path := basePath
	if labels != "" {
		path += "?" + url.Values{"labels": {labels}}.Encode()
	}
	_, err := c.As(Bearer(token)).page(ctx, path, func(o *Object) error { return f(o.Ref(), o) })
	return err
}

// DevicesPageAs reads some devices of an application on behalf of the bearer of an access token, and
// calls f for each, with its place on the page: those after so many, of those that a label selector finds.
// It returns how many there are on the page with those that wait for their finalizers to go, for which f is
// not called: fewer than limit at the end.
func (c *Client) DevicesPageAs(
	ctx context.Context, token string, p build.DevicesPage, f func(at int, o build.ObjectRef, device build.Object) error,
) (int, error) {
	query := url.Values{"limit": {strconv.Itoa(p.Limit)}, "offset": {strconv.Itoa(p.Offset)}}
	if p.Labels != "" {
		query.Set("labels", p.Labels)
	}
	return c.As(Bearer(token)).positions(
		ctx, path(build.ObjectRef{Application: p.Application})+"/devices?"+query.Encode(),
		func(at int, o *Object) error { return f(at, o.Ref(), o) },
	)
}

// pageSize is how many devices are read at once by [Client.EachDevice]: each may have 64 KiB.
const pageSize = 200

// EachDevice calls f for each device of an application, which it reads in pages. A device that comes
// or goes meanwhile may hide a different one, until the next time.
func (c *Client) EachDevice(
	ctx context.Context,
	application string,
	f func(build.ObjectRef, build.Object) error,
) error {
	devices := path(build.ObjectRef{Application: application}) + "/devices"
	for offset := 0; ; offset += pageSize {
		n, err := c.page(
			ctx, fmt.Sprintf("%s?limit=%d&offset=%d", devices, pageSize, offset), func(o *Object) error { return f(o.Ref(), o) },
		)
		if err != nil || n < pageSize {
			return err
		}
	}
}

func (c *Client) list(ctx context.Context, path string) ([]build.Listed, error) {
	list := []build.Listed{}
	_, err := c.page(ctx, path, func(o *Object) error {
		list = append(list, build.Listed{Object: o.Ref(), UID: o.UID(), Described: build.Describes(o.Firmware())})
		return nil
	})
	return list, err
}

// page reads a list, or a part of it, and calls f for each object but for those that wait for
// their finalizers to go. It returns how many objects there are with those.
func (c *Client) page(ctx context.Context, path string, f func(*Object) error) (int, error) {
	return c.positions(ctx, path, func(_ int, o *Object) error { return f(o) })
}

// positions is like page, and says the position of each object on it.
func (c *Client) positions(ctx context.Context, path string, f func(int, *Object) error) (int, error) {
	body, err := c.open(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	items := json.NewDecoder(http.MaxBytesReader(nil, body, maxList))
	// A list that fails late ends without its last chunk, which is an error here (X6).
	broken := func(err error) error { return fmt.Errorf("read list of %s: %w: %w", path, ErrUnavailable, err) }
	if start, err := items.Token(); err != nil || start != json.Delim('[') {
		return 0, broken(cmp.Or(err, errNoList))
	}
	n := 0
	for ; items.More(); n++ {
		var item json.RawMessage
		if err := items.Decode(&item); err != nil {
			return n, broken(err)
		}
		o, err := ParseObject(item)
		if err != nil {
			return n, fmt.Errorf("read list of %s: %w", path, err)
		}
		if o.Deleted() {
			continue
		}
		if err := f(n, o); err != nil {
			return n, err
		}
	}
	if _, err := items.Token(); err != nil {
		return n, broken(err)
	}
	return n, nil
}

var errNoList = errors.New("the answer is no list")
