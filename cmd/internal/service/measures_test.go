// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/server"
	"github.com/drogue-iot/ajour/pkg/status"
)

const monitoring = "../../../config/components/monitoring/"

var now = time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)

// measured are the metrics of all services, in the format of Prometheus, after one of everything.
func measured(t *testing.T) string {
	t.Helper()
	m, err := server.NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	var o status.Options
	if err := MeasureStatus(m, &o); err != nil {
		t.Fatal(err)
	}
	queued := build.Run{
		Object: build.ObjectRef{
			Application: "greenhouse",
		},
		Status: build.Status{Phase: build.Queued, Requested: now.Add(-time.Minute)},
	}
	running := build.Run{Object: queued.Object, Status: build.Status{Phase: build.Running}}
	if err := MeasureQueue(m, func(q build.Query, f func(*build.Run)) {
		if q.Active {
			f(&queued)
			f(&running)
		}
	}, func() time.Time { return now }); err != nil {
		t.Fatal(err)
	}
	refused, err := MeasureCalls(m)
	if err != nil {
		t.Fatal(err)
	}
	records, err := MeasureSource(m, func() int64 { return 7 })
	if err != nil {
		t.Fatal(err)
	}
	common := Common{Metrics: m}
	if err := (Keys{EventKey: strings.Repeat("k", 32)}).Add(&common); err != nil {
		t.Fatal(err)
	}
	o.Wrote(t.Context(), "written")
	ended := build.Run{Object: queued.Object, Status: build.Status{
		Phase:     build.Failed,
		Reason:    build.ReasonBuildFailed,
		Requested: now,
		Started:   now.Add(3 * time.Second),
		Completed: now.Add(time.Minute),
	}, Steps: []build.Step{
		{
			Name:      "fetch-source",
			State:     build.StepSucceeded,
			Started:   now.Add(3 * time.Second),
			Completed: now.Add(7 * time.Second),
		},
		{Name: "publish", State: build.StepSkipped},
	}}
	o.Ended(t.Context(), ended)
	ended.Started, ended.Object.Application = time.Time{}, "pump"
	o.Ended(t.Context(), ended)
	refused(t.Context(), "Forbidden")
	records(t.Context(), "sent")
	common.Incoming.Dropped(t.Context(), "other", "unsigned")
	m.Wrap(
		http.NotFoundHandler(),
	).ServeHTTP(
		httptest.NewRecorder(),
		httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil),
	)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestWhatIsMeasured(t *testing.T) {
	t.Parallel()
	var got []string
	for line := range strings.Lines(measured(t)) {
		if strings.HasPrefix(line, "ajour_") && !strings.Contains(line, "_bucket") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		`ajour_build_duration_seconds_count{phase="Failed"} 1`,
		`ajour_build_duration_seconds_sum{phase="Failed"} 57`,
		`ajour_build_queue_duration_seconds_count 1`,
		`ajour_build_queue_duration_seconds_sum 3`,
		`ajour_build_step_duration_seconds_count{state="Succeeded",step="fetch-source"} 1`,
		`ajour_build_step_duration_seconds_sum{state="Succeeded",step="fetch-source"} 4`,
		`ajour_builds_active{application="greenhouse",phase="Queued"} 1`,
		`ajour_builds_active{application="greenhouse",phase="Running"} 1`,
		`ajour_builds_ended_total{application="greenhouse",phase="Failed",reason="BuildFailed"} 1`,
		`ajour_builds_ended_total{application="pump",phase="Failed",reason="BuildFailed"} 1`,
		`ajour_calls_refused_total{code="Forbidden"} 1`,
		`ajour_events_dropped_total{reason="unsigned",type="other"} 1`,
		`ajour_queue_oldest_seconds 60`,
		`ajour_registry_writes_total{outcome="written"} 1`,
		`ajour_source_lag 7`,
		`ajour_source_records_total{outcome="sent"} 1`,
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// alerts returns the groups of rules, as Prometheus reads them.
func alerts(t *testing.T) (text []byte, expressions []string) {
	t.Helper()
	data, err := os.ReadFile(monitoring + "alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Spec struct {
			Groups []struct {
				Rules []struct{ Alert, Expr string }
			}
		}
	}
	var spec struct{ Spec map[string]any }
	if err := yaml.Unmarshal(data, &rules); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range rules.Spec.Groups {
		for _, rule := range group.Rules {
			expressions = append(expressions, rule.Expr)
			if !strings.Contains(string(docs), "`"+rule.Alert+"`") {
				t.Errorf("docs/monitoring.md does not say what to do about %s", rule.Alert)
			}
		}
	}
	if text, err = yaml.Marshal(spec.Spec); err != nil {
		t.Fatal(err)
	}
	return text, expressions
}

// dashboard returns the queries of Grafana's panels.
func dashboard(t *testing.T) (expressions []string) {
	t.Helper()
	data, err := os.ReadFile(monitoring + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	return expressions
}

// TestAlertsAndDashboardUseWhatIsMeasured: each metric that they name exists, with the labels that they
// select by.
func TestAlertsAndDashboardUseWhatIsMeasured(t *testing.T) {
	t.Parallel()
	labels := map[string]string{}
	series := regexp.MustCompile(`(?m)^([a-z_]+)(?:\{([^}]*)\})? `)
	for _, found := range series.FindAllStringSubmatch(measured(t), -1) {
		labels[found[1]] += "," + found[2]
	}
	labels["up"] = ""
	selector := regexp.MustCompile(`\b((?:ajour|http|process|up)[a-z_]*)\b(?:\{([^}]*)\})?`)
	label := regexp.MustCompile(`([a-z_]+)(?:=|!)`)
	_, rules := alerts(t)
	checked := 0
	for _, expression := range append(rules, dashboard(t)...) {
		for _, found := range selector.FindAllStringSubmatch(expression, -1) {
			if strings.Contains(expression, found[1]+"=") || strings.HasPrefix(found[1], "http_response") { // a label
				continue
			}
			have, ok := labels[found[1]]
			if !ok {
				t.Errorf("%s: there is no %s", expression, found[1])
				continue
			}
			checked++
			for _, name := range label.FindAllStringSubmatch(found[2], -1) {
				// Those that Prometheus adds.
				if !strings.Contains(have, name[1]+"=") && !slices.Contains([]string{"service", "namespace", "pod"}, name[1]) {
					t.Errorf("%s: %s has no label %s", expression, found[1], name[1])
				}
			}
		}
	}
	if checked < 20 {
		t.Errorf("%d selectors were found", checked)
	}
}

// TestAlertsFire when they should, and not otherwise, by Prometheus' own tool.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, _ := alerts(t)
	cases, err := os.ReadFile("testdata/alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"alerts.yaml": text, "alerts_test.yaml": cases} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), "promtool", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
