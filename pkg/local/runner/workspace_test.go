// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/local/runner"
)

// claiming has a run make a volume claim of its own; others name it.
func claiming(pr *v1.PipelineRun) {
	pr.Spec.Workspaces = []v1.WorkspaceBinding{{Name: "ws", VolumeClaimTemplate: &corev1.PersistentVolumeClaim{
		Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}},
	}}}
}

// retaining retains the workspaces of runs that failed in their second task.
func retaining(o *runner.Options) {
	o.Retain = func(b build.Run) bool { return b.Phase == build.Failed && b.Progress == 2 }
}

func (f *fixture) claim(run string) string {
	f.t.Helper()
	ws := f.task(run, "second").Spec.Workspaces
	if len(ws) != 1 || ws[0].Name != "ws" || ws[0].PersistentVolumeClaim == nil {
		f.t.Fatalf("%+v", ws)
	}
	return ws[0].PersistentVolumeClaim.ClaimName
}

func TestASecondRunFindsTheWorkspaceOfOneThatFailed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := start(t, dir, retaining)
	using := func(claim string) func(*v1.PipelineRun) {
		return func(pr *v1.PipelineRun) {
			pr.Spec.Workspaces = []v1.WorkspaceBinding{
				{Name: "ws", PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}},
			}
		}
	}
	f.create(pipelineRun("good", "echo made > here", claiming))
	f.create(pipelineRun("bad", "echo made > here; exit 1", claiming))
	f.ended("good")
	f.ended("bad")
	good, bad := f.claim("good"), f.claim("bad")
	f.stop() // with all its removing done
	f = start(t, dir, retaining)
	f.create(pipelineRun("again", "cat here", using(bad)))
	if pr := f.ended(
		"again",
	); reason(pr) != "Succeeded" || f.log("again", "second", "run") != "made\n" ||
		f.claim("again") != bad {
		t.Errorf("%+v %q", pr.Status.Conditions, f.log("again", "second", "run"))
	}
	f.create(pipelineRun("refused", "exit 1", using(bad)))
	f.ended("refused")
	f.stop()
	if found, err := filepath.Glob(
		filepath.Join(dir, "runs", "*", "workspace-*"),
	); err != nil || len(found) != 1 ||
		!strings.Contains(found[0], "/bad/") {
		t.Error("these workspaces are left:", found, err)
	}
	f = start(t, dir, retaining)
	for name, claim := range map[string]string{"gone": good, "nobody": "pvc-none", "outside": "pvc-../../x", "foreign": "bad"} {
		f.create(pipelineRun(name, "true", using(claim)))
		if pr := f.ended(
			name,
		); reason(pr) != "Failed" ||
			!strings.Contains(pr.Status.GetCondition(apis.ConditionSucceeded).Message, "not found") {
			t.Errorf("%s: %+v", name, pr.Status.Conditions)
		}
	}
}

// TestAWorkspaceStaysWhileASecondRunUsesIt, or waits for its turn to do so.
func TestAWorkspaceStaysWhileASecondRunUsesIt(t *testing.T) {
	t.Parallel()
	dir, turn := t.TempDir(), filepath.Join(t.TempDir(), "turn")
	f := start(t, dir, retaining)
	f.create(pipelineRun("bad", "echo made > here; exit 1", claiming))
	f.ended("bad")
	use := func(pr *v1.PipelineRun) {
		pr.Spec.Workspaces = []v1.WorkspaceBinding{
			{Name: "ws", PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: f.claim("bad")}},
		}
	}
	f.create(pipelineRun("uses", "until [ -e "+turn+" ]; do sleep 0.1; done; cat here", use))
	f.until("uses", func(pr *v1.PipelineRun) bool { return pr.HasStarted() })
	for i := range 7 {
		name := "other" + strconv.Itoa(i)
		f.create(pipelineRun(name, "exit 1", claiming))
		f.ended(name)
	}
	f.create(pipelineRun("blocks", "until [ -e "+turn+" ]; do sleep 0.1; done"))
	f.create(pipelineRun("waits", "cat here", use))
	if err := os.WriteFile(turn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"uses", "waits"} {
		if pr := f.ended(name); reason(pr) != "Succeeded" || f.log(name, "second", "run") != "made\n" {
			t.Errorf("%s: %+v", name, pr.Status.Conditions)
		}
	}
}

// TestAFolderOfNobodyIsRemoved: what is left of a store that was lost keeps no others.
func TestAFolderOfNobodyIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "runs", "stray", "workspace-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	f := start(t, dir, retaining)
	f.create(pipelineRun("good", "true", claiming))
	f.create(pipelineRun("broken", "true", func(pr *v1.PipelineRun) { pr.Spec.PipelineRef.Name = "none" }))
	f.ended("good")
	f.ended("broken")
	f.stop()
	if found, err := filepath.Glob(filepath.Join(dir, "runs", "*", "workspace-*")); err != nil || len(found) != 0 {
		t.Error(found, err)
	}
}

// TestOnlyTheNewestWorkspacesAreRetained: what failed builds leave has a bound.
func TestOnlyTheNewestWorkspacesAreRetained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := start(t, dir, retaining)
	for i := range 7 {
		name := "bad" + strconv.Itoa(i)
		f.create(pipelineRun(name, "exit 1", claiming))
		f.ended(name)
	}
	f.stop()
	found, err := filepath.Glob(filepath.Join(dir, "runs", "*", "workspace-*"))
	if err != nil || len(found) != 5 {
		t.Error(found, err)
	}
	for _, w := range found {
		if entries, err := os.ReadDir(w); err != nil || len(entries) != 1 || entries[0].Name() != "workspace" {
			t.Error(w, entries, err)
		}
		if run := filepath.Base(filepath.Dir(w)); run == "bad0" || run == "bad1" {
			t.Errorf("%s is an old one", run)
		}
	}
}
