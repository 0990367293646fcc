// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

func (s *Server) getApplication(w http.ResponseWriter, c *call) error {
	return s.view(func(t transaction) error {
		a, err := t.application(c.app)
		switch {
		case err != nil:
			return err
		case a == nil:
			return errEmpty404
		case !a.may(c.user, read):
			return errNoRight
		}
		return reply(w, &a.Object)
	})
}

func (s *Server) listApplications(w http.ResponseWriter, c *call) error {
	page, err := parsePage(c.Request)
	if err != nil {
		return err
	}
	list := []*object{}
	err = s.view(func(t transaction) error {
		return t.applications(func(a *application) error {
			// Shared applications are counted, and only then dropped (1.9).
			_, shared := a.Members[""]
			listed := (a.Owner != "" && a.Owner == c.user.ID) || a.Members[c.user.ID] != "" || shared ||
				slices.Contains(c.user.Roles, AdminRole)
			if listed && page.take(a.Object.Labels) && (a.Owner != "" || shared || slices.Contains(c.user.Roles, AdminRole)) &&
				a.may(c.user, read) {
				list = append(list, &a.Object)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return reply(w, list)
}

func (s *Server) postApplication(w http.ResponseWriter, c *call) error {
	o, err := decodeObject(c.body, false)
	if err != nil {
		return err
	}
	if err := o.checkName(false); err != nil {
		return err
	}
	if err := o.checkStorable(false); err != nil {
		return err
	}
	err = s.update(c.Context(), func(t transaction) ([]uint64, error) {
		if old, err := t.application(o.Name); err != nil || old != nil {
			return nil, firstError(err, errConflict)
		}
		o.reset()
		a := &application{Object: *o, Owner: c.user.ID}
		if err := t.putApplication(a); err != nil {
			return nil, err
		}
		return t.emit(change{Application: o.Name, Path: ".", UID: o.UID})
	})
	if err != nil {
		return err
	}
	created(w, c.Request, url.PathEscape(o.Name))
	return nil
}

// reset fills in what the server sets on creation, whatever was sent (1.3).
func (o *object) reset() {
	o.UID, o.ResourceVersion = uuid.NewString(), uuid.NewString()
	o.Created, o.Deleted, o.Generation = time.Now(), time.Time{}, 0
}

func created(w http.ResponseWriter, r *http.Request, name string) {
	w.Header().Set("Location", "http://"+r.Host+strings.TrimSuffix(r.URL.EscapedPath(), "/")+"/"+name)
	w.WriteHeader(http.StatusCreated)
}

func (s *Server) putApplication(w http.ResponseWriter, c *call) error {
	o, err := decodeObject(c.body, false)
	if err != nil {
		return err
	}
	if o.Name != c.app {
		return errInvalidName
	}
	if err := o.checkStorable(false); err != nil {
		return err
	}
	err = s.update(c.Context(), func(t transaction) ([]uint64, error) {
		a, err := t.application(c.app)
		switch {
		case err != nil:
			return nil, err
		case a == nil:
			return nil, errNotFound
		case !a.may(c.user, writing):
			return nil, errNoRight
		case !matches(o.UID, a.Object.UID) || !matches(o.ResourceVersion, a.Object.ResourceVersion):
			return nil, errConflict
		}
		paths := a.Object.replace(o, &a.Revision)
		if err := checkSections(paths); err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, nil
		}
		if !a.Object.Deleted.IsZero() && len(a.Object.Finalizers) == 0 {
			return nil, t.dropApplication(c.app) // REG-4, N7: no event
		}
		if err := t.putApplication(a); err != nil {
			return nil, err
		}
		// The uid of an update is always nil (3.4).
		return t.emitAll(change{Application: c.app, Revision: a.Revision, UID: uuid.Nil.String()}, paths)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (t transaction) emitAll(c change, paths []string) ([]uint64, error) {
	changes := make([]change, len(paths))
	for i, p := range paths {
		changes[i] = c
		changes[i].Path = p
	}
	return t.emit(changes...)
}

// dropApplication removes an application and all that is left of its devices.
func (t transaction) dropApplication(name string) error {
	devices, err := t.devices(name, everything())
	if err != nil {
		return err
	}
	for _, d := range devices {
		if err := t.deleteDevice(name, d.Object.Name); err != nil {
			return err
		}
	}
	return t.deleteApplication(name)
}

// replace takes over what a client may set, and returns the paths that changed.
// Versions move only if there are any (1.6).
func (o *object) replace(next *object, revision *uint64) []string {
	paths := diff(o, next)
	if len(paths) == 0 {
		return nil
	}
	o.Labels, o.Annotations, o.Finalizers = next.Labels, next.Annotations, next.Finalizers
	o.Spec, o.Status = next.Spec, next.Status
	o.ResourceVersion = uuid.NewString()
	*revision++
	if slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, ".spec.") }) {
		o.Generation++
	}
	return paths
}

// matches compares a precondition. Any textual form of the same UUID is equal,
// and an absent one always holds (1.5, N9).
func matches(sent, stored string) bool {
	if sent == "" {
		return true
	}
	a, err := uuid.Parse(sent)
	return err == nil && a.String() == stored
}

// hasDevices is the finalizer that a deleted application gets while it has devices.
const hasDevices = "has-devices"

func (s *Server) deleteApplication(w http.ResponseWriter, c *call) error {
	pre := preconditions(c)
	err := s.update(c.Context(), func(t transaction) ([]uint64, error) {
		a, err := t.application(c.app)
		switch {
		case err != nil:
			return nil, err
		case a == nil || !a.Object.Deleted.IsZero(): // for everybody (X5)
			return nil, errNotFound
		case !a.may(c.user, administration):
			return nil, errNoRight
		case !pre.hold(&a.Object):
			return nil, errConflict
		}
		left, err := t.dropDevices(c.app)
		if err != nil {
			return nil, err
		}
		a.Revision++
		c := change{Application: c.app, Revision: a.Revision, UID: a.Object.UID}
		if left {
			a.Object.Finalizers = append(a.Object.Finalizers, hasDevices)
		}
		if len(a.Object.Finalizers) == 0 {
			if err := t.deleteApplication(a.Object.Name); err != nil {
				return nil, err
			}
			return t.emitAll(c, []string{"."})
		}
		a.Object.Deleted, a.Object.ResourceVersion = time.Now(), uuid.NewString()
		if err := t.putApplication(a); err != nil {
			return nil, err
		}
		return t.emitAll(c, []string{".metadata"})
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// dropDevices removes the devices without finalizers, without any event (3.5),
// and reports whether others are left.
func (t transaction) dropDevices(app string) (left bool, err error) {
	devices, err := t.devices(app, everything())
	if err != nil {
		return false, err
	}
	for _, d := range devices {
		if len(d.Object.Finalizers) > 0 {
			left = true
		} else if err := t.deleteDevice(app, d.Object.Name); err != nil {
			return false, err
		}
	}
	return left, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
