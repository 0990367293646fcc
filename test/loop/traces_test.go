// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/drogue-iot/ajour/test/devtest"
)

// spans is an OpenTelemetry collector.
type spans struct {
	mu   sync.Mutex
	list []*trace.Span
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	data, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(data, &request) != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			s.list = append(s.list, scope.GetSpans()...)
		}
	}
}

// of returns the spans of a trace by their ids.
func (s *spans) of(id string) map[string]*trace.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]*trace.Span{}
	for _, span := range s.list {
		if hex.EncodeToString(span.GetTraceId()) == id {
			found[hex.EncodeToString(span.GetSpanId())] = span
		}
	}
	return found
}

// TestATraceLeadsFromACallToTheCondition, by way of the event and the run.
func TestATraceLeadsFromACallToTheCondition(t *testing.T) {
	t.Parallel()
	const id, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	collected := &spans{}
	srv := httptest.NewServer(collected)
	t.Cleanup(srv.Close)
	w := startWith(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + srv.URL, "OTEL_BSP_SCHEDULE_DELAY=50"})
	w.createApp("traced", shell(anything(t), makeFirmware))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+devtest.Builds+"/apps/traced/trigger", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.Token)
	r.Header.Set("Traceparent", "00-"+id+"-"+caller+"-01")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	w.until(devtest.AppPath("traced"), func(o devtest.Object) bool { return o.Status.Build.Final() })

	want := []string{
		"POST /apps/{app}/trigger", "send io.drogue.ajour.build.requested.v1", "process io.drogue.ajour.build.requested.v1",
		"write condition",
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		got := pathTo(collected.of(id), caller, "send io.drogue.ajour.build.finished.v1")
		rest := want
		for _, name := range got {
			if len(rest) > 0 && name == rest[0] {
				rest = rest[1:]
			}
		}
		if len(rest) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the spans from the call to the announcement of the end are\n%s\nwithout %q", strings.Join(got, "\n"), rest)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// pathTo returns the names of the spans that lead from a caller to a span, from the first one on; none
// while one of them is missing.
func pathTo(all map[string]*trace.Span, caller, name string) (names []string) {
	for id, span := range all {
		if span.GetName() != name {
			continue
		}
		names = nil
		for span != nil {
			names = append(names, span.GetName())
			id = hex.EncodeToString(span.GetParentSpanId())
			span = all[id]
		}
		if id == caller {
			slices.Reverse(names)
			return names
		}
	}
	return nil
}
