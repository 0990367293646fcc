// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// readable finds a device's application, or answers as if nothing existed.
func (t transaction) permitted(c *call, p permission) (*application, error) {
	a, err := t.application(c.app)
	if err != nil {
		return nil, err
	}
	if a == nil || !a.may(c.user, p) {
		return nil, errNotFound
	}
	return a, nil
}

func (s *Server) getDevice(w http.ResponseWriter, c *call) error {
	return s.view(func(t transaction) error {
		if _, err := t.permitted(c, read); err != nil {
			return err
		}
		d, err := t.device(c.app, c.device)
		if err != nil || d == nil {
			return firstError(err, errEmpty404)
		}
		return reply(w, &d.Object)
	})
}

func (s *Server) listDevices(w http.ResponseWriter, c *call) error {
	page, err := parsePage(c.Request)
	if err != nil {
		return err
	}
	list := []*object{}
	err = s.view(func(t transaction) error {
		if _, err := t.permitted(c, read); err != nil {
			return err
		}
		devices, err := t.devices(c.app, page)
		for _, d := range devices {
			list = append(list, &d.Object)
		}
		return err
	})
	if err != nil {
		return err
	}
	return reply(w, list)
}

func (s *Server) postDevice(w http.ResponseWriter, c *call) error {
	o, err := decodeObject(c.body, true)
	if err != nil {
		return err
	}
	if err := o.checkName(true); err != nil {
		return err
	}
	if err := o.checkStorable(true); err != nil {
		return err
	}
	err = s.update(c.Context(), func(t transaction) ([]uint64, error) {
		// The path is not compared: the device goes where its metadata says (1.4).
		a, err := t.application(o.Application)
		if err != nil {
			return nil, err
		}
		if a == nil || !a.may(c.user, writing) || !a.Object.Deleted.IsZero() {
			return nil, errReference
		}
		old, err := t.device(o.Application, o.Name)
		if err != nil || old != nil {
			return nil, firstError(err, errConflict)
		}
		if t.aliasTaken(o) {
			return nil, errConflict
		}
		o.reset()
		if err := t.putDevice(&device{Object: *o}); err != nil {
			return nil, err
		}
		// The event names a uid that is never stored (3.4).
		return t.emit(change{Application: o.Application, Device: o.Name, Path: ".", UID: uuid.NewString()})
	})
	if err != nil {
		return err
	}
	// Escaped as a whole path, so that it is no use for names with "/" or "%" (1.1).
	created(w, c.Request, strings.ReplaceAll((&url.URL{Path: o.Name}).EscapedPath(), "%25", "%"))
	return nil
}

func (s *Server) putDevice(w http.ResponseWriter, c *call) error {
	o, err := decodeObject(c.body, true)
	if err != nil {
		return err
	}
	if o.Name != c.device || o.Application != c.app {
		return errInvalidName
	}
	if err := o.checkStorable(true); err != nil {
		return err
	}
	err = s.update(c.Context(), func(t transaction) ([]uint64, error) {
		a, err := t.permitted(c, writing)
		if err != nil {
			return nil, err
		}
		d, err := t.device(c.app, c.device)
		switch {
		case err != nil:
			return nil, err
		case d == nil:
			return nil, errNotFound
		case !matches(o.UID, d.Object.UID) || !matches(o.ResourceVersion, d.Object.ResourceVersion):
			return nil, errConflict
		}
		if t.aliasTaken(o) {
			return nil, errConflict
		}
		paths := d.Object.replace(o, &d.Revision)
		if err := checkSections(paths); err != nil || len(paths) == 0 {
			return nil, err
		}
		if !d.Object.Deleted.IsZero() && len(d.Object.Finalizers) == 0 {
			return nil, t.finish(a, c.device)
		}
		if err := t.putDevice(d); err != nil {
			return nil, err
		}
		return t.emitAll(change{Application: c.app, Device: c.device, Revision: d.Revision, UID: d.Object.UID}, paths)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// finish removes a soft-deleted device whose last finalizer went. If it was the
// last one of a deleted application, has-devices goes as well, and with it maybe
// the application: all without an event (X1, N8).
func (t transaction) finish(a *application, name string) error {
	if err := t.deleteDevice(a.Object.Name, name); err != nil {
		return err
	}
	if t.anyDevices(a.Object.Name) || !slices.Contains(a.Object.Finalizers, hasDevices) {
		return nil
	}
	a.Object.Finalizers = slices.DeleteFunc(a.Object.Finalizers, func(f string) bool { return f == hasDevices })
	if len(a.Object.Finalizers) == 0 {
		return t.deleteApplication(a.Object.Name)
	}
	a.Object.ResourceVersion = uuid.NewString()
	return t.putApplication(a)
}

func (s *Server) deleteDevice(w http.ResponseWriter, c *call) error {
	pre := preconditions(c)
	err := s.update(c.Context(), func(t transaction) ([]uint64, error) {
		if _, err := t.permitted(c, writing); err != nil {
			return nil, err
		}
		d, err := t.device(c.app, c.device)
		switch {
		case err != nil:
			return nil, err
		case d == nil || !d.Object.Deleted.IsZero():
			return nil, errNotFound
		case !pre.hold(&d.Object):
			return nil, errConflict
		}
		d.Revision++
		event := change{Application: c.app, Device: c.device, Revision: d.Revision, UID: d.Object.UID}
		if len(d.Object.Finalizers) == 0 {
			if err := t.deleteDevice(c.app, c.device); err != nil {
				return nil, err
			}
			return t.emitAll(event, []string{"."})
		}
		d.Object.Deleted, d.Object.ResourceVersion = time.Now(), uuid.NewString()
		if err := t.putDevice(d); err != nil {
			return nil, err
		}
		return t.emitAll(event, []string{".metadata"})
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// precondition is what a DELETE may ask for.
type precondition struct {
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
}

// preconditions reads the body of a DELETE. What cannot be read is ignored, and
// the object is deleted all the same (1.8).
func preconditions(c *call) precondition {
	var body struct {
		Preconditions precondition `json:"preconditions"`
	}
	if !isJSON(c.Header) || json.Unmarshal(c.body, &body) != nil {
		return precondition{}
	}
	return body.Preconditions
}

func (p precondition) hold(o *object) bool {
	return matches(p.UID, o.UID) && matches(p.ResourceVersion, o.ResourceVersion)
}
