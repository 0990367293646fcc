// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"net/http"
	"slices"
)

func (s *Server) createModules(r *http.Request) (int, any, error) {
	var list []creation
	if err := decode(r, &list); err != nil {
		return 0, nil, err
	}
	var made []*module
	for _, c := range list { // all of it or nothing (HBW-28)
		kind := text(c.Type)
		if c.Type == nil {
			return 0, nil, constraint(
				map[bool]string{true: "getByKey.key", false: "findByKey.key"}[s.old()] + " must not be empty.",
			)
		}
		if _, ok := moduleTypes[kind]; !ok {
			return 0, nil, missing("SoftwareModuleType", kind)
		}
		if err := s.check(c); err != nil {
			return 0, nil, err
		}
		m := &module{
			named: named{
				id:      s.id(),
				name:    text(c.Name),
				version: text(c.Version),
				kind:    kind,
				about:   text(c.Description),
				vendor:  text(c.Vendor),
				created: now(),
			},
		}
		if slices.ContainsFunc(
			append(s.modules, made...),
			func(o *module) bool { return o.same(m.named) && o.kind == m.kind },
		) { // HBW-27
			return 0, nil, alreadyThere()
		}
		made = append(made, m)
	}
	s.modules = append(s.modules, made...)
	answer := []any{}
	for _, m := range made {
		answer = append(answer, s.moduleJSON(r, m))
	}
	return http.StatusCreated, answer, nil
}

func (s *Server) module(r *http.Request) (*module, error) {
	id, err := number(r, "id")
	if err != nil {
		return nil, err
	}
	for _, m := range s.modules {
		if m.id == id {
			return m, nil
		}
	}
	return nil, missing("SoftwareModule", id)
}

func (s *Server) getModule(r *http.Request) (int, any, error) {
	m, err := s.module(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.moduleJSON(r, m), nil
}

// deleteModule keeps one that is part of a set, and with it its name (HBW-72).
func (s *Server) deleteModule(r *http.Request) (int, any, error) {
	m, err := s.module(r)
	if err != nil {
		return 0, nil, err
	}
	if m.locked && !s.old() {
		return 0, nil, locked("JpaSoftwareModule", m.id, "DELETE")
	}
	if m.used {
		m.deleted = true
	} else {
		s.modules = slices.DeleteFunc(s.modules, func(o *module) bool { return o == m })
	}
	return s.deleted(), nil, nil
}

// deleted is the status of a deletion.
func (s *Server) deleted() int {
	if s.old() {
		return http.StatusOK
	}
	return http.StatusNoContent
}
