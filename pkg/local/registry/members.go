// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
)

type memberList struct {
	ResourceVersion string                `json:"resourceVersion,omitempty"`
	Members         map[string]memberRole `json:"members"`
}

type memberRole struct {
	Role string `json:"role"`
}

func (s *Server) getMembers(w http.ResponseWriter, c *call) error {
	return s.view(func(t transaction) error {
		a, err := t.permitted(c, administration)
		if err != nil {
			return err
		}
		list := memberList{ResourceVersion: a.Object.ResourceVersion, Members: map[string]memberRole{}}
		for id, role := range a.Members {
			list.Members[cmp.Or(a.MemberNames[id], id)] = memberRole{role}
		}
		return reply(w, list)
	})
}

// putMembers replaces the member list. Neither the version nor any event tells
// others about it (1.6).
func (s *Server) putMembers(w http.ResponseWriter, c *call) error {
	var list memberList
	if err := json.Unmarshal(c.body, &list); err != nil {
		return jsonError(err)
	}
	members, names := map[string]string{}, map[string]string{}
	for name, m := range list.Members {
		if m.Role != "admin" && m.Role != "manager" && m.Role != "reader" {
			return jsonError(fmt.Errorf("unknown variant `%s`, expected one of `admin`, `manager`, `reader`", m.Role))
		}
		id, known := "", name == ""
		if !known && s.options.Credentials.UserID != nil {
			id, known = s.options.Credentials.UserID(name)
		}
		if !known {
			return &answer{http.StatusBadRequest, "BadRequest", "Bad request: Username " + name + " does not exist"}
		}
		members[id], names[id] = m.Role, name
	}
	err := s.update(c.Context(), func(t transaction) ([]uint64, error) {
		a, err := t.application(c.app)
		switch {
		case err != nil:
			return nil, err
		case a != nil && !matches(list.ResourceVersion, a.Object.ResourceVersion): // whoever calls
			return nil, errLockFailed
		case a == nil || !a.may(c.user, administration):
			return nil, errNotFound
		}
		a.Members, a.MemberNames = members, names
		return nil, t.putApplication(a)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
