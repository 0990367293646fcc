// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// device checks the token of a device and calls the handler (HBW-110, HBW-111). A
// device that is not known becomes a target with the gateway token.
func (s *Server) device(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.enter(r); err != nil {
			s.answer(w, r, 0, nil, err)
			return
		}
		status, body, err := h(r)
		s.answer(w, r, status, body, err)
	})
}

func (s *Server) enter(r *http.Request) error {
	if !strings.EqualFold(r.PathValue("tenant"), "DEFAULT") || s.settings[keyGatewayEnabled] != true ||
		r.Header.Get("Authorization") != fmt.Sprintf("GatewayToken %v", s.settings[keyGatewayToken]) {
		return empty(http.StatusUnauthorized)
	}
	if _, err := s.target(r.PathValue("id")); err != nil {
		s.newTarget(r.PathValue("id"), "")
	}
	return nil
}

func link(href string) map[string]any { return map[string]any{"href": href} }

func (s *Server) root(r *http.Request, t *target) string {
	return base(r) + "/" + r.PathValue("tenant") + "/controller/v1/" + t.id
}

// poll offers what the device has to do: open cancellations first, the oldest first
// (HBW-112).
func (s *Server) poll(r *http.Request) (int, any, error) {
	t, err := s.target(r.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	links := map[string]any{"configData": link(s.root(r, t) + "/configData")}
	if t.status == "unknown" {
		t.status = "registered"
	}
	offered := func(kind string) *action {
		i := slices.IndexFunc(t.actions, func(a *action) bool { return a.active && a.kind == kind })
		if i < 0 {
			return nil
		}
		return t.actions[i]
	}
	if a := offered("cancel"); a != nil {
		links["cancelAction"] = link(fmt.Sprintf("%s/cancelAction/%d", s.root(r, t), a.id))
	} else if a := offered("update"); a != nil {
		links["deploymentBase"] = link(fmt.Sprintf("%s/deploymentBase/%d?c=%d", s.root(r, t), a.id, a.created))
	}
	return http.StatusOK, map[string]any{
		"config": map[string]any{"polling": map[string]any{"sleep": "00:05:00"}},
		"_links": links,
	}, nil
}

// deployment describes what to install (HBW-113, HBW-115).
func (s *Server) deployment(r *http.Request) (int, any, error) {
	t, a, err := s.action(r)
	if err != nil {
		return 0, nil, err
	}
	if a.kind == "cancel" { // HBW-121
		return 0, nil, empty(http.StatusNotFound)
	}
	a.detail = "retrieved" // also that of one that is closed (HBW-98)
	chunks := []any{}
	for _, m := range a.set.modules {
		files := []any{}
		for _, f := range m.artifacts {
			href := fmt.Sprintf("%s/softwaremodules/%d/artifacts/%s", s.root(r, t), m.id, f.filename)
			files = append(files, map[string]any{
				"filename": f.filename,
				"size":     len(f.data),
				"hashes":   map[string]any{"sha1": f.sha1, "md5": f.md5, "sha256": f.sha256},
				"_links":   map[string]any{"download-http": link(href), "md5sum-http": link(href + ".MD5SUM")},
			})
		}
		part := m.kind
		if part == "application" {
			part = "bApp"
		}
		chunks = append(chunks, map[string]any{"part": part, "version": m.version, "name": m.name, "artifacts": files})
	}
	mode := map[string]string{
		"forced":       "forced",
		"timeforced":   "forced",
		"soft":         "attempt",
		"downloadonly": "forced",
	}[a.force]
	update := mode
	if a.force == "downloadonly" {
		update = "skip"
	}
	return http.StatusOK, map[string]any{
		"id": strconv.FormatInt(a.id, 10), "deployment": map[string]any{"download": mode, "update": update, "chunks": chunks},
	}, nil
}

// feedbackBody is what a device reports.
type feedbackBody struct {
	Status *struct {
		Execution string
		Result    *struct{ Finished string }
	}
}

func (b feedbackBody) valid() bool {
	return b.Status != nil && b.Status.Result != nil &&
		slices.Contains([]string{"success", "failure", "none"}, b.Status.Result.Finished) &&
		slices.Contains(
			[]string{"proceeding", "resumed", "rejected", "download", "downloaded", "scheduled", "canceled", "closed"},
			b.Status.Execution,
		)
}

// report reads what a device says of an action that is active.
func (s *Server) report(r *http.Request) (t *target, a *action, in feedbackBody, err error) {
	if t, a, err = s.action(r); err != nil {
		return t, a, in, err
	}
	switch err = decode(r, &in); {
	case err != nil:
	case !in.valid():
		err = notReadable()
	case !a.active:
		err = empty(http.StatusGone)
	}
	return t, a, in, err
}

// feedback takes the report of a device (HBW-119, HBW-120).
func (s *Server) feedback(r *http.Request) (int, any, error) {
	t, a, in, err := s.report(r)
	if err != nil {
		return 0, nil, err
	}
	switch {
	case in.Status.Execution != "closed":
	case in.Status.Result.Finished == "failure":
		a.active, a.detail, t.status, t.assigned = false, "error", "error", nil
	default:
		a.active, a.detail, t.installed, t.status = false, "finished", a.set, "in_sync"
	}
	return http.StatusOK, nil, nil
}

func (s *Server) cancellation(r *http.Request) (int, any, error) {
	_, a, err := s.action(r)
	if err != nil {
		return 0, nil, err
	}
	id := strconv.FormatInt(a.id, 10)
	return http.StatusOK, map[string]any{"id": id, "cancelAction": map[string]any{"stopId": id}}, nil
}

// cancelFeedback ends the cancellation, or has the update go on (HBW-121).
func (s *Server) cancelFeedback(r *http.Request) (int, any, error) {
	if _, a, err := s.action(r); err == nil && a.detail == "canceled" {
		return http.StatusOK, nil, nil
	}
	t, a, in, err := s.report(r)
	if err != nil {
		return 0, nil, err
	}
	switch {
	case in.Status.Execution == "rejected", in.Status.Execution == "closed" && in.Status.Result.Finished == "failure":
		a.kind, a.detail = "update", "running"
	case in.Status.Execution == "closed":
		s.canceled(t, a)
	}
	return http.StatusOK, nil, nil
}

// download gives a device a file of an action that is active (HBW-117, HBW-118).
func (s *Server) download() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := s.find(r)
		if err != nil {
			s.answer(w, r, 0, nil, err)
			return
		}
		if strings.HasSuffix(r.PathValue("file"), ".MD5SUM") {
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprintf(w, "%s  %s", f.md5, f.filename)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", "attachment;filename="+f.filename)
		w.Header().Set("ETag", `"`+f.sha1+`"`)
		r.Header.Del("If-None-Match") // ignored
		http.ServeContent(w, r, "", time.UnixMilli(f.created), bytes.NewReader(f.data))
	})
}

func (s *Server) find(r *http.Request) (*artifact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(r); err != nil {
		return nil, err
	}
	t, err := s.target(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	id, err := number(r, "module")
	if err != nil {
		return nil, err
	}
	for _, a := range t.actions {
		for _, m := range a.set.modules {
			i := slices.IndexFunc(
				m.artifacts,
				func(f *artifact) bool { return f.filename == strings.TrimSuffix(r.PathValue("file"), ".MD5SUM") },
			)
			if a.active && m.id == id && i >= 0 {
				return m.artifacts[i], nil
			}
		}
	}
	return nil, &fault{
		http.StatusNotFound, packages + "SoftwareModuleNotAssignedToTargetException", "repo.entityNotFound",
		fmt.Sprintf("No assignment found for software module with id %d to target with id %s.", id, t.id), nil,
	}
}
