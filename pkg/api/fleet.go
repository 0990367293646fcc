// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// defaultDevices and maxDevices bound a page of devices, each of which may have 64 KiB.
	defaultDevices = 100
	maxDevices     = 1000
	// maxLooked is how many devices are looked at for one page of those in a state.
	maxLooked = 5000
	// readDevices is how many devices are read at once for that.
	readDevices = 500
)

// listDevices shows devices of an application, in the order of the registry. A page of those in a state
// may have fewer than asked for, and yet not be the last one.
func (h *handler) listDevices(w http.ResponseWriter, c *call) error {
	limit, err := c.number("limit", defaultDevices)
	if err != nil {
		return err
	}
	if limit < 1 || limit > maxDevices {
		return invalid("The parameter limit is out of range: use 1 to %d", maxDevices)
	}
	states, err := c.oneOf("state", build.DriftStates)
	if err != nil {
		return err
	}
	offset, err := strconv.Atoi(cmp.Or(c.query.Get("cursor"), "0"))
	if err != nil || offset < 0 {
		return errCursor()
	}
	_, application, err := h.application(c)
	if err != nil {
		return err
	}
	list, next := []Object{}, offset
	for end := offset + maxLooked; next >= 0 && next < end && len(list) < limit; {
		size := limit
		if len(states) > 0 {
			size = readDevices
		}
		if list, next, err = h.readPage(c, application, list, pageOf{next, size, limit, states}); err != nil {
			return asSelector(err, c)
		}
	}
	if next >= 0 {
		query := c.query
		query.Set("cursor", strconv.Itoa(next))
		w.Header().Set("Link", fmt.Sprintf(
			`<%s/apps/%s/devices?%s>; rel="next"`, c.prefix, url.PathEscape(c.object.Application), query.Encode(),
		))
	}
	return reply(w, http.StatusOK, list)
}

// pageOf says what is read for a page.
type pageOf struct {
	offset, size int
	// limit is how many devices may be on the page.
	limit  int
	states []string
}

// readPage adds devices to a page. It returns where the next one begins, -1 if there is none.
func (h *handler) readPage(c *call, application view, list []Object, p pageOf) ([]Object, int, error) {
	next := -1
	n, err := h.registry.DevicesPageAs(c.Context(), c.principal.Token, build.DevicesPage{
		Application: c.object.Application, Labels: c.query.Get("labels"), Limit: p.size, Offset: p.offset,
	}, func(at int, ref build.ObjectRef, o build.Object) error {
		if len(list) == p.limit {
			if next < 0 {
				next = p.offset + at
			}
			return nil
		}
		d := h.device(ref, o, application)
		if len(p.states) == 0 || slices.Contains(p.states, string(d.Drift.State)) {
			list = append(list, d)
		}
		return nil
	})
	if next < 0 && n == p.size {
		next = p.offset + n
	}
	return list, next, err
}

// Fleet counts the devices of an application.
type Fleet struct {
	Devices int `json:"devices"`
	// States says how many are in which state of drift.
	States map[build.DriftState]int `json:"states"`
	// Own is how many have a description of their own, OutOfDate and Failed of how many of these the
	// description is out of date, or the newest build has failed.
	Own       int `json:"own"`
	OutOfDate int `json:"outOfDate"`
	Failed    int `json:"failed"`
	// At is when they were counted.
	At time.Time `json:"at"`
}

// getFleet counts the devices of an application. It remembers the counts for a while: all devices have
// to be read for them.
func (h *handler) getFleet(w http.ResponseWriter, c *call) error {
	o, application, err := h.application(c)
	if err != nil {
		return err
	}
	// Those who ask at the same time wait for one of them, whose devices they may all read.
	f, err, _ := h.counting.Do(o.UID(), func() (any, error) {
		if known, ok := h.fleets.Get(o.UID()); ok && o.UID() != "" && h.Clock().Sub(known.At) < devicesFor {
			return known, nil
		}
		f, err := h.count(c, application)
		if err == nil {
			h.fleets.Add(o.UID(), f)
		}
		return f, err
	})
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, f)
}

// count counts the devices of an application.
func (h *handler) count(c *call, application view) (Fleet, error) {
	f := Fleet{States: map[build.DriftState]int{}, At: h.Clock().UTC()}
	for _, s := range build.DriftStates {
		f.States[build.DriftState(s)] = 0
	}
	for offset := 0; ; offset += readDevices {
		n, err := h.registry.DevicesPageAs(c.Context(), c.principal.Token, build.DevicesPage{
			Application: c.object.Application, Limit: readDevices, Offset: offset,
		}, func(_ int, ref build.ObjectRef, o build.Object) error {
			f.add(h.device(ref, o, application))
			return nil
		})
		if err != nil || n < readDevices {
			return f, err
		}
	}
}

func (f *Fleet) add(d Object) {
	f.Devices++
	f.States[d.Drift.State]++
	if d.Inherits || !d.Builds {
		return
	}
	f.Own++
	if d.OutOfDate {
		f.OutOfDate++
	}
	if d.Newest != nil && d.Newest.Status.Phase == build.Failed {
		f.Failed++
	}
}
