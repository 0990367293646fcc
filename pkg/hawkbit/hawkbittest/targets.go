// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

type target struct {
	id, name, token     string
	status              string
	assigned, installed *set
	actions             []*action
	created             int64
}

// action is the way of a set to a target. Its detail is what 1.0 calls its status.
type action struct {
	id           int64
	set          *set
	kind, detail string
	force        string
	active       bool
	window       map[string]any // of maintenance, nil for none
	created      int64
}

func (s *Server) target(id string) (*target, error) {
	for _, t := range s.targets {
		if t.id == id {
			return t, nil
		}
	}
	return nil, missing("Target", id)
}

func (s *Server) newTarget(id, name string) *target {
	if name == "" {
		name = id[:min(len(id), 128)]
	}
	t := &target{id: id, name: name, token: fmt.Sprintf("%032x", s.id()), status: "unknown", created: now()}
	s.targets = append(s.targets, t)
	return t
}

func (t *target) json(s *Server, r *http.Request) map[string]any {
	return map[string]any{
		"createdBy":         s.User,
		"createdAt":         t.created,
		"lastModifiedBy":    s.User,
		"lastModifiedAt":    t.created,
		"name":              t.name,
		"controllerId":      t.id,
		"updateStatus":      t.status,
		"securityToken":     t.token,
		"requestAttributes": true,
		"_links":            self(base(r) + "/rest/v1/targets/" + t.id),
	}
}

// createTargets makes targets (HBW-75, HBW-76).
func (s *Server) createTargets(r *http.Request) (int, any, error) {
	var list []struct{ ControllerID, Name string }
	if err := decode(r, &list); err != nil {
		return 0, nil, err
	}
	for _, c := range list {
		switch {
		case c.ControllerID == "" || utf8.RuneCountInString(c.ControllerID) > 256:
			return 0, nil, constraint("controllerId size must be between 1 and 256.")
		case strings.ContainsFunc(c.ControllerID, unicode.IsSpace):
			return 0, nil, constraint("controllerId has whitespaces which are not allowed.")
		case markup(c.ControllerID):
			return 0, nil, constraint("controllerId Invalid characters in string.")
		case utf8.RuneCountInString(c.Name) > 128:
			return 0, nil, constraint("name size must be between 1 and 128.")
		}
		if _, err := s.target(c.ControllerID); err == nil {
			return 0, nil, alreadyThere()
		}
	}
	answer := []any{}
	for _, c := range list {
		answer = append(answer, s.newTarget(c.ControllerID, c.Name).json(s, r))
	}
	return http.StatusCreated, answer, nil
}

func (s *Server) getTarget(r *http.Request) (int, any, error) {
	t, err := s.target(r.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, t.json(s, r), nil
}

func (s *Server) deleteTarget(r *http.Request) (int, any, error) {
	t, err := s.target(r.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	s.targets = slices.DeleteFunc(s.targets, func(o *target) bool { return o == t })
	return s.deleted(), nil, nil
}

// maybeSet answers 204 where there is none (HBW-78).
func (s *Server) maybeSet(r *http.Request, d *set) (int, any, error) {
	if d == nil {
		return http.StatusNoContent, nil, nil
	}
	return http.StatusOK, s.setJSON(r, d), nil
}

func (s *Server) assignedSet(r *http.Request) (int, any, error) {
	t, err := s.target(r.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	return s.maybeSet(r, t.assigned)
}

func (s *Server) installedSet(r *http.Request) (int, any, error) {
	t, err := s.target(r.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	return s.maybeSet(r, t.installed)
}

// assign assigns a set (HBW-80 to HBW-86).
func (s *Server) assign(r *http.Request) (int, any, error) {
	t, err := s.target(r.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	var in struct {
		ID                   *int64
		Type                 string
		ConfirmationRequired bool
		MaintenanceWindow    map[string]any
		Weight               *int
	}
	if err := decode(r, &in); err != nil {
		return 0, nil, err
	}
	if in.ID == nil || !slices.Contains([]string{"", "forced", "soft", "downloadonly", "timeforced"}, in.Type) {
		return 0, nil, notReadable()
	}
	if err := s.weighable(in.Weight); err != nil {
		return 0, nil, err
	}
	d, err := s.assignable(*in.ID)
	if err != nil {
		return 0, nil, err
	}
	if t.assigned == d && s.settings[keyMultiAssignments] != true {
		return http.StatusOK, map[string]any{"alreadyAssigned": 1, "assignedActions": []any{}, "assigned": 0, "total": 1}, nil
	}
	if len(t.actions) >= maxActions {
		return 0, nil, tooMany("Action", "Target", t.id, maxActions)
	}
	for _, a := range t.actions {
		s.obsolete(a)
	}
	d.used, d.locked = true, true
	for _, m := range d.modules {
		m.locked = true
	}
	if in.Type == "" {
		in.Type = "forced"
	}
	a := &action{
		id: s.id(), set: d, kind: "update", detail: "running", force: in.Type, active: true, window: in.MaintenanceWindow,
		created: now(),
	}
	if in.ConfirmationRequired {
		a.detail = "wait_for_confirmation"
	}
	t.actions, t.assigned, t.status = append(t.actions, a), d, "pending"
	return http.StatusOK, map[string]any{
		"alreadyAssigned": 0,
		"assigned":        1,
		"total":           1,
		"assignedActions": []any{
			map[string]any{"id": a.id, "_links": self(fmt.Sprintf("%s/rest/v1/targets/%s/actions/%d", base(r), t.id, a.id))},
		},
	}, nil
}

// weighable refuses a weight that a set cannot be assigned with (HBW-82).
func (s *Server) weighable(weight *int) error {
	switch {
	case weight == nil:
		return nil
	case s.old():
		return &fault{
			http.StatusBadRequest, packages + "MultiAssignmentIsNotEnabledException", "multiassignmentNotEnabled", "", nil,
		}
	case *weight < 0 || *weight > 1000:
		return constraint("weight must be between 0 and 1000.")
	default:
		return nil
	}
}

// assignable returns a set that a target can get (HBW-82).
func (s *Server) assignable(id int64) (*set, error) {
	d, err := s.set(id)
	switch {
	case err != nil:
		return nil, err
	case d.deleted && !s.old():
		return nil, &fault{
			http.StatusNotFound,
			packages + "DeletedException",
			"deleted",
			fmt.Sprintf("DistributionSet with given identifier {%d} is deleted.", d.id),
			nil,
		}
	case d.invalid:
		return nil, &fault{
			http.StatusBadRequest, packages + "InvalidDistributionSetException", "distributionset.invalid",
			fmt.Sprintf("Distribution set of type %s is invalid: %d", d.kind, d.id), nil,
		}
	case !d.complete():
		return nil, &fault{
			http.StatusBadRequest, packages + "IncompleteDistributionSetException", "distributionset.incomplete",
			fmt.Sprintf("Distribution set of type %s is incomplete: %d", d.kind, d.id), nil,
		}
	}
	return d, nil
}

// obsolete is what a new assignment does to an action: it stays active until the
// device agrees, unless the tenant has it closed at once (HBW-85).
func (s *Server) obsolete(a *action) {
	if !a.active {
		return
	}
	a.kind, a.detail = "cancel", "canceling"
	if s.settings[keyAutoclose] == true {
		a.detail, a.active = "canceled", false
	}
}
