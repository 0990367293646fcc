// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"crypto/md5"  //nolint:gosec // one of the checksums that hawkBit has
	"crypto/sha1" //nolint:gosec // one of the checksums that hawkBit has
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
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
	"os": {[]string{"os"}, nil}, "app": {[]string{"application"}, nil}, "os_app": {[]string{"os"}, []string{"application"}},
}

// named is what modules and sets have in common.
type named struct {
	id                         int64
	name, version, kind, about string
	vendor                     string
	created                    int64
	locked, deleted, used      bool
}

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
		"createdBy": s.User, "createdAt": n.created, "lastModifiedBy": s.User, "lastModifiedAt": n.created, "name": n.name, "id": n.id,
		"version": n.version, "type": n.kind, "deleted": n.deleted, "_links": self(fmt.Sprintf("%s/rest/v1/%s/%d", base(r), path, n.id)),
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
		v["valid"] = true
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
	return nil
}

// markup reports whether text parses as such (HBW-32).
func markup(s string) bool {
	_, rest, found := strings.Cut(s, "<")
	return found && strings.Contains(rest, ">")
}

func (s *Server) createModules(r *http.Request) (int, any, error) {
	var list []creation
	if err := decode(r, &list); err != nil {
		return 0, nil, err
	}
	var made []*module
	for _, c := range list { // all of it or nothing (HBW-28)
		kind := text(c.Type)
		if c.Type == nil {
			return 0, nil, constraint(map[bool]string{true: "getByKey.key", false: "findByKey.key"}[s.old()] + " must not be empty.")
		}
		if _, ok := moduleTypes[kind]; !ok {
			return 0, nil, missing("SoftwareModuleType", kind)
		}
		if err := s.check(c); err != nil {
			return 0, nil, err
		}
		m := &module{named: named{id: s.id(), name: text(c.Name), version: text(c.Version), kind: kind, about: text(c.Description), vendor: text(c.Vendor), created: now()}}
		if slices.ContainsFunc(append(s.modules, made...), func(o *module) bool { return o.same(m.named) && o.kind == m.kind }) { // HBW-27
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

func (n *named) same(o named) bool { return n.name == o.name && n.version == o.version }

func now() int64 { return time.Now().UnixMilli() }

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
	if m.used {
		m.deleted = true
	} else {
		s.modules = slices.DeleteFunc(s.modules, func(o *module) bool { return o == m })
	}
	return http.StatusNoContent, nil, nil
}

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
		ok, err := q.match(map[string]string{"id": strconv.FormatInt(n.id, 10), "name": n.name, "version": n.version, "type": n.kind})
		if err != nil {
			return 0, nil, err
		}
		if ok && !n.deleted {
			found = append(found, render(e))
		}
	}
	return http.StatusOK, page(r, found), nil
}

func page(r *http.Request, all []any) map[string]any {
	number := func(key string, fallback int) int {
		if n, err := strconv.Atoi(r.URL.Query().Get(key)); err == nil && n > 0 {
			return n
		}
		return fallback
	}
	first := min(number("offset", 0), len(all))
	content := all[first:min(first+min(number("limit", 50), 500), len(all))]
	if content == nil {
		content = []any{}
	}
	return map[string]any{"content": content, "total": len(all), "size": len(content)}
}

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
		if slices.ContainsFunc(append(s.sets, made...), func(o *set) bool { return o.same(d.named) && (s.old() || o.kind == d.kind) }) { // HBW-62
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
	d := &set{named: named{id: s.id(), name: text(c.Name), version: text(c.Version), kind: kind, about: text(c.Description), created: now()}}
	for _, wanted := range c.Modules {
		i := slices.IndexFunc(s.modules, func(m *module) bool { return m.id == wanted.ID })
		if i < 0 {
			return nil, &fault{
				http.StatusNotFound, packages + "EntityNotFoundException", "repo.entityNotFound", fmt.Sprintf("SoftwareModules with given identifiers {%d} do not exist.", wanted.ID),
				map[string]any{"type": "SoftwareModule", "entityId": []string{strconv.FormatInt(wanted.ID, 10)}},
			}
		}
		m := s.modules[i]
		if !slices.Contains(append(slices.Clone(fits.mandatory), fits.optional...), m.kind) {
			return nil, &fault{
				http.StatusBadRequest, packages + "UnsupportedSoftwareModuleForThisDistributionSetException", "distributionset.modules.unsupported",
				"Distribution set type does not contain the given module, i.e. is incompatible.", nil,
			}
		}
		if moduleTypes[m.kind] == 1 { // only the last one is kept, silently
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

func (s *Server) getSet(r *http.Request) (int, any, error) {
	id, err := number(r, "id")
	if err != nil {
		return 0, nil, err
	}
	d, err := s.set(id)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.setJSON(r, d), nil
}

// deleteSet keeps one that was ever assigned, and with it its name (HBW-71).
func (s *Server) deleteSet(r *http.Request) (int, any, error) {
	id, err := number(r, "id")
	if err != nil {
		return 0, nil, err
	}
	d, err := s.set(id)
	if err != nil {
		return 0, nil, err
	}
	if d.used {
		d.deleted = true
	} else {
		s.sets = slices.DeleteFunc(s.sets, func(o *set) bool { return o == d })
	}
	if s.old() {
		return http.StatusOK, nil, nil
	}
	return http.StatusNoContent, nil, nil
}

func (a *artifact) json(s *Server, r *http.Request, m *module) map[string]any {
	href := fmt.Sprintf("%s/rest/v1/softwaremodules/%d/artifacts/%d", base(r), m.id, a.id)
	return map[string]any{
		"createdBy": s.User, "createdAt": a.created, "lastModifiedBy": s.User, "lastModifiedAt": a.created, "id": a.id,
		"hashes": map[string]any{"sha1": a.sha1, "md5": a.md5, "sha256": a.sha256}, "providedFilename": a.filename, "size": len(a.data), "_links": self(href),
	}
}

// listArtifacts returns a bare list (HBW-50).
func (s *Server) listArtifacts(r *http.Request) (int, any, error) {
	m, err := s.module(r)
	if err != nil {
		return 0, nil, err
	}
	all := []any{}
	for _, a := range m.artifacts {
		all = append(all, a.json(s, r, m))
	}
	return http.StatusOK, all, nil
}

// upload takes a file (HBW-40 to HBW-48).
func (s *Server) upload(r *http.Request) (int, any, error) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return 0, nil, &fault{status: http.StatusUnsupportedMediaType, message: "Unsupported Media Type"}
	}
	file, header, err := r.FormFile("file")
	if err != nil {
		return 0, nil, &fault{status: http.StatusBadRequest, message: "Bad Request"}
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		return 0, nil, err
	}
	m, err := s.module(r)
	if err != nil {
		return 0, nil, err
	}
	a := &artifact{filename: header.Filename, data: data, created: now()}
	if name := r.FormValue("filename"); name != "" {
		a.filename = name
	}
	sum1, sum5, sum256 := sha1.Sum(data), md5.Sum(data), sha256.Sum256(data) //nolint:gosec // not for security
	a.sha1, a.md5, a.sha256 = hex.EncodeToString(sum1[:]), hex.EncodeToString(sum5[:]), hex.EncodeToString(sum256[:])
	if err := s.accept(r, m, a); err != nil {
		return 0, nil, err
	}
	a.id = s.id()
	m.artifacts = append(m.artifacts, a)
	answer := a.json(s, r, m)
	return http.StatusCreated, answer, nil
}

func (s *Server) accept(r *http.Request, m *module, a *artifact) error {
	switch {
	case len(a.data) == 0:
		return empty(http.StatusBadRequest)
	case m.locked && !s.old():
		return locked("JpaSoftwareModule", m.id, "ADD_ARTIFACT")
	case slices.ContainsFunc(m.artifacts, func(o *artifact) bool { return o.filename == a.filename }):
		return exists("File with that name already exists in the Software Module")
	case len(a.filename) > 256 || markup(a.filename):
		return constraint("filename size must be between 1 and 256.")
	case len(m.artifacts) >= 50:
		return &fault{
			http.StatusTooManyRequests, packages + "AssignmentQuotaExceededException", "quota.tooManyEntries",
			fmt.Sprintf("Quota exceeded: Cannot assign 1 more Artifact entities to SoftwareModule '%d'. The maximum is 50.", m.id), nil,
		}
	}
	for _, sum := range []struct{ name, class, is string }{{"sha1", "Sha1", a.sha1}, {"md5", "MD5", a.md5}, {"sha256", "Sha256", a.sha256}} {
		given, ok := r.Form[sum.name+"sum"]
		if ok && !strings.EqualFold(given[0], sum.is) {
			return &fault{
				http.StatusBadRequest, packages + "Invalid" + sum.class + "HashException", "artifact.uploadFailed.checksum." + sum.name + ".match",
				fmt.Sprintf("The given %s hash %s does not match the calculated %s hash %s", sum.name, given[0], sum.name, sum.is), nil,
			}
		}
	}
	return nil
}
