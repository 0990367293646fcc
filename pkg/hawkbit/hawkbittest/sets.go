// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

func (s *Server) createSets(r *http.Request) (int, any, error) {
	var list []creation
	if err := decode(r, &list); err != nil {
		return 0, nil, err
	}
	var made []*set
	for _, c := range list {
		d, err := s.newSet(c)
		if err != nil {
			return 0, nil, err
		}
		if slices.ContainsFunc(
			append(s.sets, made...),
			func(o *set) bool { return o.same(d.named) && (s.old() || o.kind == d.kind) },
		) { // HBW-62
			return 0, nil, alreadyThere()
		}
		made = append(made, d)
	}
	answer := []any{}
	for _, d := range made {
		for _, m := range d.modules {
			m.used = true
		}
		answer = append(answer, s.setJSON(r, d))
	}
	s.sets = append(s.sets, made...)
	return http.StatusCreated, answer, nil
}

// newSet checks a set's type and modules (HBW-63, HBW-64).
func (s *Server) newSet(c creation) (*set, error) {
	kind := text(c.Type)
	if c.Type == nil {
		kind = "os_app"
	}
	fits, ok := setTypes[kind]
	if !ok {
		return nil, missing("DistributionSetType", kind)
	}
	if err := s.check(c); err != nil {
		return nil, err
	}
	d := &set{
		named: named{
			id:      s.id(),
			name:    text(c.Name),
			version: text(c.Version),
			kind:    kind,
			about:   text(c.Description),
			created: now(),
		},
	}
	for n, wanted := range c.Modules {
		i := slices.IndexFunc(s.modules, func(m *module) bool { return m.id == wanted.ID })
		if i < 0 || s.old() && slices.Contains(c.Modules[:n], wanted) {
			return nil, &fault{
				http.StatusNotFound,
				packages + "EntityNotFoundException",
				"repo.entityNotFound",
				fmt.Sprintf("SoftwareModules with given identifiers {%d} do not exist.", wanted.ID),
				map[string]any{"type": "SoftwareModule", "entityId": []string{strconv.FormatInt(wanted.ID, 10)}},
			}
		}
		m := s.modules[i]
		if !slices.Contains(append(slices.Clone(fits.mandatory), fits.optional...), m.kind) {
			return nil, &fault{
				http.StatusBadRequest,
				packages + "UnsupportedSoftwareModuleForThisDistributionSetException",
				"distributionset.modules.unsupported",
				"Distribution set type does not contain the given module, i.e. is incompatible.",
				nil,
			}
		}
		if moduleTypes[m.kind] == 1 { // only the last one stays, silently
			d.modules = slices.DeleteFunc(d.modules, func(o *module) bool { return o.kind == m.kind })
		}
		d.modules = append(d.modules, m)
	}
	return d, nil
}

func (s *Server) set(id int64) (*set, error) {
	for _, d := range s.sets {
		if d.id == id {
			return d, nil
		}
	}
	return nil, missing("DistributionSet", id)
}

// setOf returns the set of the path.
func (s *Server) setOf(r *http.Request) (*set, error) {
	id, err := number(r, "id")
	if err != nil {
		return nil, err
	}
	return s.set(id)
}

func (s *Server) getSet(r *http.Request) (int, any, error) {
	d, err := s.setOf(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.setJSON(r, d), nil
}

// deleteSet keeps one that was ever assigned, and with it its name (HBW-71).
func (s *Server) deleteSet(r *http.Request) (int, any, error) {
	d, err := s.setOf(r)
	if err != nil {
		return 0, nil, err
	}
	if d.used {
		d.deleted = true
	} else {
		s.sets = slices.DeleteFunc(s.sets, func(o *set) bool { return o == d })
	}
	return s.deleted(), nil, nil
}

// invalidateSet keeps a set from being assigned any more (HBW-73).
func (s *Server) invalidateSet(r *http.Request) (int, any, error) {
	d, err := s.setOf(r)
	if err != nil {
		return 0, nil, err
	}
	d.invalid = true
	return http.StatusNoContent, nil, nil
}
