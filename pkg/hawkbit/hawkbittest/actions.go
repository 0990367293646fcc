// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// json renders an action; old servers say neither whether it is active nor, in
// its status, more than that (HBW-90).
func (a *action) json(s *Server, r *http.Request, t *target) map[string]any {
	m := map[string]any{
		"createdBy":      s.User,
		"createdAt":      a.created,
		"lastModifiedBy": s.User,
		"lastModifiedAt": a.created,
		"id":             a.id,
		"type":           a.kind,
		"forceType":      a.force,
		"_links":         self(fmt.Sprintf("%s/rest/v1/targets/%s/actions/%d", base(r), t.id, a.id)),
	}
	if a.window != nil {
		m["maintenanceWindow"] = a.window
	}
	if s.old() {
		m["status"], m["detailStatus"] = a.oldStatus(), a.detail
	} else {
		m["active"], m["status"], m["weight"] = a.active, a.detail, 1000
	}
	return m
}

func (a *action) oldStatus() string {
	if a.active {
		return "pending"
	}
	return "finished"
}

// listActions filters by what each generation knows (HBW-93).
func (s *Server) listActions(r *http.Request) (int, any, error) {
	t, err := s.target(r.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	q, err := parseQuery(r)
	if err != nil {
		return 0, nil, err
	}
	if err := s.statusKnown(q); err != nil {
		return 0, nil, err
	}
	var found []any
	for _, a := range slices.Backward(t.actions) {
		fields := map[string]string{"id": strconv.FormatInt(a.id, 10), "distributionset.id": strconv.FormatInt(a.set.id, 10)}
		if s.old() {
			fields["status"], fields["detailstatus"] = a.oldStatus(), a.detail
		} else {
			fields["status"], fields["active"] = a.detail, strconv.FormatBool(a.active)
		}
		ok, err := q.match(fields)
		if err != nil {
			return 0, nil, err
		}
		if ok {
			found = append(found, a.json(s, r, t))
		}
	}
	return page(r, found)
}

// statusKnown refuses a status that the generation does not have.
func (s *Server) statusKnown(q query) error {
	for _, t := range q.terms() {
		for _, v := range t.values {
			plain := slices.Contains([]string{"pending", "finished"}, v)
			if t.field == "status" && (s.old() && !plain || !s.old() && v == "pending") {
				return &fault{
					http.StatusBadRequest, packages + "RSQLParameterUnsupportedFieldException", "rest.param.rsqlInvalidField", "", nil,
				}
			}
		}
	}
	return nil
}

func (s *Server) action(r *http.Request) (*target, *action, error) {
	t, err := s.target(r.PathValue("id"))
	if err != nil {
		return nil, nil, err
	}
	id, err := number(r, "action")
	if err != nil {
		return nil, nil, err
	}
	for _, a := range t.actions {
		if a.id == id {
			return t, a, nil
		}
	}
	for _, other := range s.targets { // HBW-94: that of a different target has no body
		if slices.ContainsFunc(other.actions, func(a *action) bool { return a.id == id }) {
			return nil, nil, empty(http.StatusNotFound)
		}
	}
	return nil, nil, missing("Action", id)
}

func (s *Server) getAction(r *http.Request) (int, any, error) {
	t, a, err := s.action(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, a.json(s, r, t), nil
}

// forceAction makes an action forced, unless it is so from some time on (HBW-96).
func (s *Server) forceAction(r *http.Request) (int, any, error) {
	t, a, err := s.action(r)
	if err != nil {
		return 0, nil, err
	}
	var in struct{ ForceType string }
	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}
	if in.ForceType == "forced" && a.force != "timeforced" {
		a.force = in.ForceType
	}
	return http.StatusOK, a.json(s, r, t), nil
}

// cancelAction asks the device to end an action, or with force does not (HBW-94,
// HBW-95).
func (s *Server) cancelAction(r *http.Request) (int, any, error) {
	t, a, err := s.action(r)
	if err != nil {
		return 0, nil, err
	}
	refuse := func(code, message string) (int, any, error) {
		return 0, nil, &fault{
			http.StatusMethodNotAllowed,
			packages + "CancelActionNotAllowedException",
			"action." + code,
			message,
			nil,
		}
	}
	if r.URL.Query().Get("force") != "true" {
		if a.kind == "cancel" || !a.active {
			return refuse("notCancelable", "Actions in canceling or canceled state cannot be canceled")
		}
		a.kind, a.detail = "cancel", "canceling"
		return http.StatusNoContent, nil, nil
	}
	switch {
	case !a.active:
		return refuse("notForceQuitable", fmt.Sprintf("%d is not active and cannot be force quit", a.id))
	case a.kind != "cancel":
		return refuse("notForceQuitable", fmt.Sprintf("%d is not canceled yet and cannot be force quit", a.id))
	}
	s.canceled(t, a)
	return http.StatusNoContent, nil, nil
}

// canceled ends an action. With the last one that is open, the target goes back to
// what it has installed.
func (s *Server) canceled(t *target, a *action) {
	a.detail, a.active = "canceled", false
	if !slices.ContainsFunc(t.actions, func(a *action) bool { return a.active }) {
		t.assigned, t.status = t.installed, "in_sync"
	}
}
