// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

// TestWhatIsInARegistryIsRepublished: from its digest, and without a builder.
func TestWhatIsInARegistryIsRepublished(t *testing.T) {
	t.Parallel()
	req := spec()
	req.Description.Controller, req.Cause = "sensor-7", build.CausePublish
	artifact := build.Artifact{
		Reference: "quay.io/acme/greenhouse:4f1c2ab",
		Digest:    "sha256:1",
		Version:   "4f1c2ab",
		Size:      20,
		SHA256:    "abc",
	}
	req.Publication = &build.Publication{Build: "earlier", Commit: "4f1c2abx", Artifact: artifact}
	for _, layout := range []tekton.Layout{tekton.OnePod, tekton.PodPerTask} {
		pr, err := tekton.Render(req, tekton.Config{Namespace: "builds", Layout: layout})
		if err != nil {
			t.Fatal(err)
		}
		if err := pr.Validate(t.Context()); err != nil {
			t.Error(err)
		}
		pr.Status.SetCondition(
			&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionUnknown, Reason: "Running"},
		)
		got, _ := observe(
			started(pr),
			pod(corev1.ConditionUnknown, "Running", "", step("pull", -1), step("publish-hawkbit", -1)),
		)
		if got.Reason != build.ReasonPublishing || got.Progress != 85 || got.Commit != "4f1c2abx" ||
			!cmp.Equal(got.Artifact, &artifact) {
			t.Errorf("while it runs: %+v", got)
		}
		pr.Status.SetCondition(
			&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded"},
		)
		got, _ = observe(started(pr), pod(corev1.ConditionTrue, "Succeeded", "", step("pull", 0),
			step("publish-hawkbit", 0, "distribution-set", "9", "action", "13", "size", "20", "checksum", "abc")))
		both := artifact
		both.Hawkbit = &build.HawkbitArtifact{Controller: "sensor-7", DistributionSet: 9, Action: 13}
		if diff := cmp.Diff(&both, got.Artifact); diff != "" || got.Phase != build.Succeeded {
			t.Error(got.Phase, diff)
		}
	}
}

// inPod is a TaskRun of a pod of its own.
func inPod(name string, status corev1.ConditionStatus, claim string, steps ...v1.StepState) *v1.TaskRun {
	tr := &v1.TaskRun{ObjectMeta: metav1.ObjectMeta{
		Labels:          map[string]string{"tekton.dev/pipelineTask": name},
		OwnerReferences: []metav1.OwnerReference{{UID: "uid", Controller: new(true)}},
	}}
	if claim != "" {
		tr.Spec.Workspaces = []v1.WorkspaceBinding{
			{Name: "source", PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}},
		}
	}
	tr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: status, Reason: "Failed"})
	tr.Status.Steps = steps
	return tr
}

// TestWhatNoRegistryTookIsPublishedFromItsWorkspace: as long as the claim is there.
func TestWhatNoRegistryTookIsPublishedFromItsWorkspace(t *testing.T) {
	t.Parallel()
	fetched := inPod(
		"fetch-source", corev1.ConditionTrue, "pvc-1", step("fetch", 0, "commit", "4f1c2abx", "version", "4f1c2ab"),
	)
	built := inPod("build-firmware", corev1.ConditionTrue, "pvc-1", step("build", 0))
	refused := inPod(
		"publish", corev1.ConditionFalse, "pvc-1",
		step("publish", 1, "reason", "RegistryPushFailed", "message", "away"),
	)
	failed := render(t)
	failed.UID = "uid"
	failed.Status.SetCondition(
		&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "Failed"},
	)
	retained := &build.Retained{Build: id, Claim: "pvc-1", Version: "4f1c2ab"}
	for name, tt := range map[string]struct {
		tasks map[string]*v1.TaskRun
		want  *build.Retained
	}{
		"the registry refused": {
			map[string]*v1.TaskRun{"fetch-source": fetched, "build-firmware": built, "publish": refused},
			retained,
		},
		"the builder failed": {map[string]*v1.TaskRun{
			"fetch-source": fetched, "build-firmware": inPod("build-firmware", corev1.ConditionFalse, "pvc-1", step("build", 1)),
		}, nil},
		"a volume that ends with its pod": {
			pod(
				corev1.ConditionFalse, "Failed", "", step("fetch", 0, "version", "4f1c2ab"), step("build", 0),
				step("publish", 1),
			),
			nil,
		},
		"a file that is not there": {map[string]*v1.TaskRun{
			"fetch-source": fetched, "build-firmware": built,
			"publish": inPod(
				"publish", corev1.ConditionFalse, "pvc-1",
				step("publish", 1, "reason", "ArtifactNotFound", "message", "none"),
			),
		}, nil},
		"no claim": {
			map[string]*v1.TaskRun{
				"fetch-source":   fetched,
				"build-firmware": inPod("build-firmware", corev1.ConditionTrue, "", step("build", 0)),
			},
			nil,
		},
	} {
		got, _ := observe(started(failed), tt.tasks)
		if diff := cmp.Diff(tt.want, got.Retained); diff != "" {
			t.Error(name, diff)
		}
	}
	retains := func(tasks ...*v1.TaskRun) bool {
		byName := map[string]*v1.TaskRun{}
		for _, tr := range tasks {
			byName[tr.Labels["tekton.dev/pipelineTask"]] = tr
		}
		r, _ := observe(failed, byName)
		return tekton.Retains(r)
	}
	if !retains(fetched, built, refused) || retains(fetched) {
		t.Error("the workspace is not retained as long as it is needed")
	}
	inRegistry := inPod(
		"publish", corev1.ConditionTrue, "pvc-1", step("publish", 0, "image-digest", "sha256:1", "checksum", "abc"),
	)
	if retains(fetched, built, inRegistry) {
		t.Error("the workspace of a firmware that is in the registry is retained")
	}

	req := spec()
	req.Cause, req.Description.Controller = build.CausePublish, "sensor-7"
	req.Publication = &build.Publication{
		Build:    "earlier",
		Commit:   "4f1c2abx",
		Claim:    "pvc-1",
		Artifact: build.Artifact{Version: "4f1c2ab"},
	}
	for _, layout := range []tekton.Layout{tekton.OnePod, tekton.PodPerTask} {
		pr, err := tekton.Render(req, tekton.Config{Namespace: "builds", Layout: layout})
		if err != nil {
			t.Fatal(err)
		}
		if err := pr.Validate(t.Context()); err != nil {
			t.Error(err)
		}
		pr.Status.SetCondition(
			&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionUnknown, Reason: "Running"},
		)
		got, _ := observe(
			started(pr),
			map[string]*v1.TaskRun{"firmware": inPod("firmware", corev1.ConditionUnknown, "pvc-1")},
		)
		if got.Reason != build.ReasonPublishing || got.Progress != 85 || got.Commit != "4f1c2abx" || got.Artifact != nil ||
			got.Retained != nil {
			t.Errorf("while it runs: %+v", got)
		}
		pr.Status.SetCondition(
			&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "Failed"},
		)
		got, _ = observe(
			pr,
			map[string]*v1.TaskRun{"firmware": inPod("firmware", corev1.ConditionFalse, "pvc-1", refused.Status.Steps...)},
		)
		if diff := cmp.Diff(
			&build.Retained{Build: "earlier", Claim: "pvc-1", Version: "4f1c2ab"},
			got.Retained,
		); diff != "" ||
			got.Reason != build.ReasonRegistryPushFailed {
			t.Error("refused again:", got.Reason, diff)
		}
		pr.Status.SetCondition(
			&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded"},
		)
		got, _ = observe(pr, map[string]*v1.TaskRun{
			"firmware": inPod("firmware", corev1.ConditionTrue, "pvc-1",
				step("publish", 0, "image-url", "h/a:1", "image-digest", "sha256:1", "size", "20", "checksum", "abc"),
				step("publish-hawkbit", 0, "distribution-set", "9", "action", "13", "size", "20", "checksum", "abc")),
		})
		artifact := &build.Artifact{
			Reference: "h/a:1", Digest: "sha256:1", Version: "4f1c2ab", Size: 20, SHA256: "abc",
			Hawkbit: &build.HawkbitArtifact{Controller: "sensor-7", DistributionSet: 9, Action: 13},
		}
		if diff := cmp.Diff(artifact, got.Artifact); diff != "" || got.Phase != build.Succeeded {
			t.Error(got.Phase, diff)
		}
	}
}

// TestARunThatSomebodyBrokeIsObserved as far as it goes.
func TestARunThatSomebodyBrokeIsObserved(t *testing.T) {
	t.Parallel()
	for _, status := range []corev1.ConditionStatus{corev1.ConditionUnknown, corev1.ConditionFalse, corev1.ConditionTrue} {
		for _, publication := range []string{"", "{", `{"claim":"x"}`, `{"build":"x"}`, "[]", "null"} {
			pr := render(t)
			pr.Annotations["ajour.drogue.io/description"], pr.Annotations["ajour.drogue.io/publication"] = "{", publication
			pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: status, Reason: "Failed"})
			if got, ours := observe(started(pr), nil); !ours || got.ID != id || got.Retained != nil {
				t.Errorf("%s %s: %+v", status, publication, got)
			}
		}
	}
}
