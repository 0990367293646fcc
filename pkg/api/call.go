// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drogue-iot/ajour/pkg/auth"
	"github.com/drogue-iot/ajour/pkg/build"
)

// call is one authenticated request.
type call struct {
	*http.Request

	// at is when it came, before anything was read: whoever reads something newer is newer.
	at        time.Time
	principal auth.Principal
	prefix    string
	// object is that of the path; device says that it is one of a device.
	object build.ObjectRef
	device bool
	// id is that of the build in the path.
	id string
	// query has the parameters, all of which are known.
	query url.Values
	// action is what somebody asks to be done; empty for a call that only reads.
	action string
	// build is the build that the action is about, as soon as that is known.
	build string
}

// parse reads the parameters of the query. A name that is not known is refused: a filter that is
// left out would show everything, and pass for an answer.
func (c *call) parse(known []string) error {
	query, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return invalid("The query cannot be read: escape its parameters")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return invalid("The parameter %q is not known: there are none here", name)
		case !slices.Contains(known, name):
			return invalid("The parameter %q is not known: use %s", name, strings.Join(known, ", "))
		case len(values) > 1 && !slices.Contains(repeatable, name):
			return invalid("The parameter %s is there more than once: give it once", name)
		}
	}
	c.query = query
	return nil
}

// repeatable are the parameters that may be given several times.
var repeatable = []string{"status", "reason", "trigger", "state"}

// flag reads a parameter that is true or false; false if it is not there.
func (c *call) flag(name string) (bool, error) {
	if !c.query.Has(name) {
		return false, nil
	}
	v, err := strconv.ParseBool(c.query.Get(name))
	if err != nil {
		return false, invalid("The parameter %s is neither true nor false", name)
	}
	return v, nil
}

// number reads a parameter that is a number from 0; fallback if it is not there.
func (c *call) number(name string, fallback int) (int, error) {
	if !c.query.Has(name) {
		return fallback, nil
	}
	n, err := strconv.Atoi(c.query.Get(name))
	switch {
	case err != nil || n < 0:
		return 0, invalid("The parameter %s is not a number: use 0 or more", name)
	case n > math.MaxInt32:
		return 0, invalid("The parameter %s is out of range: use at most %d", name, math.MaxInt32)
	default:
		return n, nil
	}
}

// named returns the object that the parameters application and device name; the zero ObjectRef if
// neither is there.
func (c *call) named() (o build.ObjectRef, err error) {
	if o = (build.ObjectRef{Application: c.query.Get("application"), Device: c.query.Get("device")}); c.query.Has(
		"application",
	) || c.query.Has("device") {
		err = o.Validate()
	}
	return o, err
}

// instant reads a parameter that is a time; the zero time if it is not there.
func (c *call) instant(name string) (time.Time, error) {
	if !c.query.Has(name) {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, c.query.Get(name))
	if err != nil {
		return t, invalid("The parameter %s is not a time: write it like 2026-11-20T08:00:00Z (RFC 3339)", name)
	}
	return t, nil
}

// read reads the body of a call.
func (c *call) read(w http.ResponseWriter) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, c.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, tooLargeBody()
	case err != nil:
		return nil, invalid("The body did not come as a whole: send it once more")
	default:
		return body, nil
	}
}

// decode reads the body of a call, which is JSON. Members that are not known are refused.
func (c *call) decode(w http.ResponseWriter, into any) error {
	body, err := c.read(w)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err = d.Decode(into)
	switch {
	case err != nil:
		return invalid("The body cannot be read as JSON: %s", build.Clean(err.Error()))
	case d.More():
		return invalid("The body has more than one JSON value")
	default:
		return nil
	}
}

func invalid(format string, args ...any) *Problem {
	return problem(http.StatusBadRequest, "InvalidRequest", fmt.Sprintf(format, args...))
}
