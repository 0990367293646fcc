// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// moduleTypes are those of a fresh tenant; the value is how many modules of it a
// set can have (HBW-20).
var moduleTypes = map[string]int{"os": 1, "application": 1 << 31}

// setTypes are those of a fresh tenant, with the module types that a set must have and
// those that it may have (HBW-21).
var setTypes = map[string]struct{ mandatory, optional []string }{
	"os": {
		[]string{"os"},
		nil,
	},
	"app":    {[]string{"application"}, nil},
	"os_app": {[]string{"os"}, []string{"application"}},
}

// named is what modules and sets have in common.
type named struct {
	id                         int64
	name, version, kind, about string
	vendor                     string
	created                    int64
	locked, deleted, used      bool
}

// maxActions is how many actions a target can have, closed ones too.
const maxActions = 2000

func (n *named) base() *named { return n }

type module struct {
	named
	artifacts []*artifact
}

type artifact struct {
	id                int64
	filename          string
	data              []byte
	sha1, md5, sha256 string
	created           int64
}

type set struct {
	named
	modules []*module
	// invalid says that it was invalidated (HBW-73).
	invalid bool
}

func (s *set) complete() bool {
	for _, kind := range setTypes[s.kind].mandatory {
		if !slices.ContainsFunc(s.modules, func(m *module) bool { return m.kind == kind }) {
			return false
		}
	}
	return true
}

// json renders what modules and sets have in common (HBW-13, HBW-25).
func (n *named) json(s *Server, r *http.Request, path string) map[string]any {
	m := map[string]any{
		"createdBy":      s.User,
		"createdAt":      n.created,
		"lastModifiedBy": s.User,
		"lastModifiedAt": n.created,
		"name":           n.name,
		"id":             n.id,
		"version":        n.version,
		"type":           n.kind,
		"deleted":        n.deleted,
		"_links":         self(fmt.Sprintf("%s/rest/v1/%s/%d", base(r), path, n.id)),
	}
	if n.about != "" {
		m["description"] = n.about
	}
	if n.vendor != "" {
		m["vendor"] = n.vendor
	}
	if !s.old() {
		m["locked"] = n.locked
	}
	return m
}

func (s *Server) moduleJSON(r *http.Request, m *module) map[string]any {
	v := m.json(s, r, "softwaremodules")
	v["encrypted"] = false
	if !s.old() {
		v["complete"] = true
	}
	return v
}

func (s *Server) setJSON(r *http.Request, d *set) map[string]any {
	v := d.json(s, r, "distributionsets")
	modules := []any{}
	for _, m := range d.modules {
		modules = append(modules, s.moduleJSON(r, m))
	}
	v["modules"], v["complete"], v["requiredMigrationStep"] = modules, d.complete(), false
	if !s.old() {
		v["valid"] = !d.invalid
	}
	return v
}

// creation is an entry of a list that makes modules or sets.
type creation struct {
	Name, Version, Type, Vendor, Description *string
	Modules                                  []struct{ ID int64 }
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return strings.TrimSpace(*s) // silently (HBW-31)
}

// check looks at lengths and characters (HBW-30 to HBW-32).
func (s *Server) check(c creation) error {
	prefix := "create.create[0]."
	if s.old() {
		prefix = ""
	}
	for _, f := range []struct {
		name  string
		value *string
		most  int
	}{{"name", c.Name, 128}, {"version", c.Version, 64}} {
		switch n := len([]rune(text(f.value))); {
		case f.value == nil:
			return constraint(f.name + " must not be null.")
		case n < 1 || n > f.most:
			return constraint(fmt.Sprintf("%s%s size must be between 1 and %d.", prefix, f.name, f.most))
		case markup(text(f.value)):
			return constraint(prefix + f.name + " Invalid characters in string.")
		}
	}
	for _, f := range []struct {
		name  string
		value *string
		most  int
	}{{"description", c.Description, 512}, {"vendor", c.Vendor, 256}} {
		if len([]rune(text(f.value))) > f.most {
			return constraint(fmt.Sprintf("%s%s size must be between 0 and %d.", prefix, f.name, f.most))
		}
	}
	return nil
}

// markup reports whether text parses as such (HBW-32). A sign of its own is none.
func markup(s string) bool { return tag.MatchString(s) }

var tag = regexp.MustCompile(`<[A-Za-z/!?][^>]*>`)

func (n *named) same(o named) bool { return n.name == o.name && n.version == o.version }

func now() int64 { return time.Now().UnixMilli() }

func (s *Server) listModules(r *http.Request) (int, any, error) {
	return list(r, s.modules, func(m *module) map[string]any { return s.moduleJSON(r, m) })
}

func (s *Server) listSets(r *http.Request) (int, any, error) {
	return list(r, s.sets, func(d *set) map[string]any { return s.setJSON(r, d) })
}

// list filters entities that are not deleted, and returns one page (HBW-100).
func list[T interface{ base() *named }](r *http.Request, all []T, render func(T) map[string]any) (int, any, error) {
	q, err := parseQuery(r)
	if err != nil {
		return 0, nil, err
	}
	var found []any
	for _, e := range all {
		n := e.base()
		ok, err := q.match(
			map[string]string{"id": strconv.FormatInt(n.id, 10), "name": n.name, "version": n.version, "type": n.kind},
		)
		if err != nil {
			return 0, nil, err
		}
		if ok && !n.deleted {
			found = append(found, render(e))
		}
	}
	return page(r, found)
}

// page answers one page of a list (HBW-100). Only the direction of an order is looked at.
func page(r *http.Request, all []any) (int, any, error) {
	query := r.URL.Query()
	bounds := map[string]int{"offset": 0, "limit": 50}
	for key := range bounds {
		if !query.Has(key) {
			continue
		}
		n, err := strconv.Atoi(query.Get(key))
		if err != nil {
			return 0, nil, &fault{status: http.StatusBadRequest, message: "Bad Request"}
		}
		if n > 0 {
			bounds[key] = n
		}
	}
	if field, _, ok := strings.Cut(query.Get("sort"), ":"); ok && !slices.Contains(
		[]string{"id", "name", "version", "createdat", "status"}, strings.ToLower(field),
	) {
		return 0, nil, &fault{
			http.StatusBadRequest, packages + "SortParameterUnsupportedFieldException", "rest.param.invalidField", "", nil,
		}
	}
	first := min(bounds["offset"], len(all))
	content := all[first:min(first+min(bounds["limit"], 500), len(all))]
	if content == nil {
		content = []any{}
	}
	return http.StatusOK, map[string]any{"content": content, "total": len(all), "size": len(content)}, nil
}
