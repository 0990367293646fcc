// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

const id = "0190f2a4-6c3b-7a57-8f0e-0242ac120002"

var now = time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)

func spec() build.Spec {
	return build.Spec{
		ID: id, Object: build.ObjectRef{Application: "greenhouse", Device: "sensor #7"},
		UIDs: build.UIDs{Application: "uid-1", Device: "uid-2"}, Hash: "hash", Requester: "alice",
		Cause: build.CauseAPI, Requested: now,
		Description: build.Description{
			Registry: build.OCI,
			Image:    "greenhouse:4f1c2ab",
			Builder:  "rust:1",
			Source:   build.Source{URI: "https://h/r", Rev: "main", Path: "sub"},
			Env: []build.EnvVar{
				{Name: "BOARD", Value: "a b; $x"},
			},
			Args:     []string{"--release"},
			Artifact: "out/fw.bin",
			Timeout:  build.Duration(30 * time.Minute),
		},
	}
}

func render(t *testing.T) *v1.PipelineRun {
	t.Helper()
	pr, err := tekton.Render(spec(), tekton.Config{
		Namespace:      "builds",
		RegistryPrefix: "quay.io/acme/",
		Sources:        tekton.Sources{Schemes: "https", Hosts: "h", Addresses: "public"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return pr
}

func TestRenderingTwiceGivesTheSame(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(render(t), render(t)); diff != "" {
		t.Error(diff)
	}
}

// observe reads a build from a run and its TaskRuns by pipeline task.
func observe(pr *v1.PipelineRun, tasks map[string]*v1.TaskRun) (build.Run, bool) {
	var children []*v1.TaskRun
	for name, tr := range tasks {
		tr = tr.DeepCopy()
		tr.Labels = map[string]string{"tekton.dev/pipelineTask": name}
		tr.OwnerReferences = []metav1.OwnerReference{{Name: pr.Name, UID: pr.UID, Controller: new(true)}}
		children = append(children, tr)
	}
	return tekton.Observe(pr, children)
}

// started is a run that somebody has started.
func started(pr *v1.PipelineRun) *v1.PipelineRun {
	pr.Spec.Status = ""
	return pr
}

// task is a TaskRun with a condition, steps that failed if code is not 0, and
// results of its steps.
func task(status corev1.ConditionStatus, reason, message string, code int32, results ...string) *v1.TaskRun {
	tr := &v1.TaskRun{}
	tr.Status.SetCondition(
		&apis.Condition{Type: apis.ConditionSucceeded, Status: status, Reason: reason, Message: message},
	)
	for _, name := range []string{"fetch", "build", "publish"} {
		tr.Status.Steps = append(tr.Status.Steps, step(name, code, results...))
	}
	return tr
}

// step is a step that exited with a code, or one that runs if that is negative.
func step(name string, code int32, results ...string) v1.StepState {
	s := v1.StepState{Name: name}
	if code >= 0 {
		s.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error"}
	} else {
		s.Running = &corev1.ContainerStateRunning{}
	}
	for i := 0; i+1 < len(results); i += 2 {
		s.Results = append(s.Results, v1.TaskRunStepResult{Name: results[i], Value: *v1.NewStructuredValues(results[i+1])})
	}
	return s
}

// refused is a step whose container the kubelet does not create.
func refused(name, message string) v1.StepState {
	s := v1.StepState{Name: name}
	s.Waiting = &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: message}
	return s
}

// pod is the one TaskRun of the layout in which all steps share a pod.
func pod(status corev1.ConditionStatus, reason, message string, steps ...v1.StepState) map[string]*v1.TaskRun {
	tr := task(status, reason, message, 0)
	tr.Status.Steps = steps
	return map[string]*v1.TaskRun{"firmware": tr}
}

// exceptSteps leaves out what TestSteps compares.
var exceptSteps = cmpopts.IgnoreFields(build.Run{}, "Steps")

func TestObserveOnePod(t *testing.T) {
	t.Parallel()
	const unknown, no = corev1.ConditionUnknown, corev1.ConditionFalse
	oom := step("build", 137)
	oom.Terminated.Reason = "OOMKilled"
	for _, tt := range []struct {
		name     string
		tasks    map[string]*v1.TaskRun
		want     build.Reason
		message  string
		progress float64
		commit   string
	}{
		{
			name:     "a pod that is not known yet",
			tasks:    pod(unknown, "Pending", ""),
			want:     build.ReasonFetchingSource,
			progress: 5,
		},
		{
			name:     "all containers run from the start",
			tasks:    pod(unknown, "Running", "", step("fetch", -1), step("build", -1), step("publish", -1)),
			want:     build.ReasonFetchingSource,
			progress: 5,
		},
		{
			name: "a fetch that is done", tasks: pod(
				unknown, "Running", "", step("fetch", 0, "commit", "abc"), step("build", -1), step("publish", -1),
			),
			want: build.ReasonBuilding, progress: 20, commit: "abc",
		},
		{
			name: "a builder that failed while the pod is not done yet", // the steps after it are skipped
			tasks: pod(
				unknown, "Running", "", step("fetch", 0), step("build", 1), step("publish", 1),
			), want: build.ReasonBuilding, progress: 20,
		},
		{
			name:     "a builder that is done",
			tasks:    pod(unknown, "Running", "", step("fetch", 0), step("build", 0), step("publish", -1)),
			want:     build.ReasonPublishing,
			progress: 85,
		},
		{
			name: "a fetch that says why it failed", tasks: pod(
				no, "Failed", "", step("fetch", 1, "reason", "RevisionNotFound", "message", "no such"),
				step("build", 1), step("publish", 1),
			),
			want: build.ReasonRevisionNotFound, message: "no such", progress: 5,
		},
		{
			name: "a builder cannot forge a reason", tasks: pod(
				no, "Failed", "", step("fetch", 0), step("build", 3, "reason", "RegistryAuthFailed"),
				step("publish", 1),
			),
			want: build.ReasonBuildFailed, message: "The builder exited with code 3", progress: 20,
		},
		{
			name:     "a builder without memory",
			tasks:    pod(no, "Failed", "", step("fetch", 0), oom, step("publish", 1)),
			want:     build.ReasonBuildOutOfMemory,
			message:  "The builder ran out of memory",
			progress: 20,
		},
		{
			name: "a builder that fills the disk", // as Tekton 1.15 has it
			tasks: pod(
				no, "PodEvicted", "Pod ephemeral local storage usage exceeds the total limit of containers 8Gi.",
				step("fetch", 0), step("build", 255), step("publish", 2),
			),
			want: build.ReasonBuildFailed, progress: 20,
			message: "The cluster ended the pod of the builder: Pod ephemeral local storage usage exceeds the total limit of containers 8Gi.",
		},
		{
			name: "a builder image that cannot be pulled",
			tasks: pod(
				no, "TaskRunImagePullFailed", `the step "build" in TaskRun "x" failed to pull the image ""`,
				step("fetch", 1), step("build", 1), step("publish", 1),
			),
			want: build.ReasonBuilderImagePullFailed, progress: 20,
			message: `the step "build" in TaskRun "x" failed to pull the image ""`,
		},
		{
			name: "an image of ours that cannot be pulled",
			tasks: pod(
				no, "TaskRunImagePullFailed", `the step "fetch" in TaskRun "x" failed to pull the image ""`,
				step("fetch", 1), step("build", 1), step("publish", 1),
			),
			want: build.ReasonInternalError, message: `the step "fetch" in TaskRun "x" failed to pull the image ""`, progress: 5,
		},
		{
			name: "a pod that the cluster does not admit",
			tasks: pod(
				no, "PodAdmissionFailed", `pods "x" is forbidden`,
			), want: build.ReasonInternalError, message: `pods "x" is forbidden`, progress: 5,
		},
		{
			name: "a pod that the quota has no room for",
			tasks: pod(
				unknown, "ExceededResourceQuota", `TaskRun Pod exceeded available resources: exceeded quota: builds`,
			),
			want: build.ReasonFetchingSource, progress: 5,
			message: "The build waits until the quota of builds has room for it: " +
				"TaskRun Pod exceeded available resources: exceeded quota: builds",
		},
		{
			name: "a pod that no node has room for", tasks: pod(unknown, "ExceededNodeResources", "TaskRun Pod exceeded"),
			want: build.ReasonFetchingSource, progress: 5,
			message: "The build waits until a node of the cluster has room for it",
		},
		{
			name: "a Secret that is not there",
			tasks: pod(
				no, "CreateContainerConfigError", `the step "fetch" in TaskRun "x" failed to start. The pod errored with the `+
					`message: "secret "env.greenhouse" not found."`, step("fetch", 1), step("build", 1), step("publish", 1),
			),
			want: build.ReasonSecretNotFound, progress: 5,
			message: "There is no Secret env.greenhouse: ask those who run the installation to add it, or remove it from build.secrets",
		},
		{
			name: "a Secret that is not there, which only its steps say",
			tasks: pod(
				no, "CreateContainerConfigError", "Failed to create pod due to config error",
				refused("fetch", `secret "env.greenhouse" not found`), refused("build", `secret "env.greenhouse" not found`),
			),
			want: build.ReasonSecretNotFound, progress: 5,
			message: "There is no Secret env.greenhouse: ask those who run the installation to add it, or remove it from build.secrets",
		},
		{
			name: "a builder that would run as root, which only its step says",
			tasks: pod(
				no, "CreateContainerConfigError", "Failed to create pod due to config error",
				step("fetch", -1), refused("build", "container has runAsNonRoot and image will run as root"),
			),
			want: build.ReasonBuilderImagePullFailed, progress: 20,
			message: "The builder image cannot be started: container has runAsNonRoot and image will run as root. Builders run " +
				"without any privilege, and not as root: give the image a numeric USER",
		},
		{
			name: "a proxy that no Secret names",
			tasks: pod(
				no, "CreateContainerConfigError", "Failed to create pod due to config error",
				refused("fetch", `secret "proxy" not found`), refused("build", `secret "proxy" not found`),
			),
			want: build.ReasonInternalError, progress: 5,
			message: "There is no Secret proxy: ask those who run the installation to add it",
		},
		{
			name: "a key that is not in its Secret",
			tasks: pod(
				no, "CreateContainerConfigError", `the step "fetch" in TaskRun "x" failed to start. The pod errored with the `+
					`message: "couldn't find key TOKEN in Secret ajour-builds/env.greenhouse."`,
				step("fetch", 1), step("build", 1), step("publish", 1),
			),
			want: build.ReasonSecretNotFound, progress: 5,
			message: "The Secret env.greenhouse has no key TOKEN: ask those who run the installation to add it, or remove it " +
				"from build.secrets",
		},
		{
			name: "a builder that would run as root",
			tasks: pod(
				no, "CreateContainerConfigError", "image will run as root", step("fetch", 1), step("build", 1),
				step("publish", 1),
			),
			want: build.ReasonBuilderImagePullFailed, progress: 20,
			message: "The builder image cannot be started: image will run as root. Builders run without any privilege, and not as root: give the image a numeric USER",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pr := render(t)
			phase, status := build.Running, unknown
			if tt.tasks["firmware"].Status.GetCondition(apis.ConditionSucceeded).IsFalse() {
				phase, status = build.Failed, no
			}
			pr.Status.SetCondition(
				&apis.Condition{Type: apis.ConditionSucceeded, Status: status, Reason: "Failed", Message: "of the run"},
			)
			got, ours := observe(started(pr), tt.tasks)
			want := build.Run{
				ID:          id,
				Name:        pr.Name,
				Object:      spec().Object,
				UIDs:        spec().UIDs,
				Description: spec().Description,
				Requester:   "alice",
				Source:      spec().Description.Source,
				Status: build.Status{
					DescriptionHash: "hash", Cause: build.CauseAPI, Requested: now,
					Phase: phase, Reason: tt.want, Message: tt.message, Progress: tt.progress, Commit: tt.commit,
				},
			}
			if diff := cmp.Diff(want, got, exceptSteps); diff != "" || !ours {
				t.Error(ours, diff)
			}
		})
	}
}

// TestAPendingRunIsQueued, whatever Tekton says of it.
func TestAPendingRunIsQueued(t *testing.T) {
	t.Parallel()
	pr := render(t)
	pr.Status.SetCondition(
		&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionUnknown, Reason: "PipelineRunPending"},
	)
	if got, _ := observe(pr, nil); !got.Pending || got.Phase != build.Queued || got.Cancelling {
		t.Errorf("%+v", got)
	}
	pr.Spec.Status = v1.PipelineRunSpecStatusCancelled
	if got, _ := observe(pr, nil); got.Pending || !got.Cancelling || !got.Active() {
		t.Errorf("cancelled: %+v", got)
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	const unknown, yes, no = corev1.ConditionUnknown, corev1.ConditionTrue, corev1.ConditionFalse
	ok := func(results ...string) *v1.TaskRun { return task(yes, "Succeeded", "", 0, results...) }
	oom := task(no, "Failed", "", 137)
	oom.Status.Steps[1].Terminated.Reason = "OOMKilled"
	for _, tt := range []struct {
		name            string
		status          corev1.ConditionStatus // of the run, "" for none
		reason          string
		fetch, bld, pub *v1.TaskRun
		annotations     map[string]string
		phase           build.Phase
		want            build.Reason
		message         string
		progress        float64
	}{
		{name: "a run that Tekton has not seen yet", phase: build.Queued, want: build.ReasonQueued},
		{
			name:     "a run that started",
			status:   unknown,
			reason:   "Started",
			phase:    build.Running,
			want:     build.ReasonFetchingSource,
			progress: 5,
		},
		{
			name:     "a run that builds",
			status:   unknown,
			reason:   "Running",
			fetch:    ok(),
			bld:      task(unknown, "Running", "", 0),
			phase:    build.Running,
			want:     build.ReasonBuilding,
			progress: 20,
		},
		{
			name:     "a run that publishes",
			status:   unknown,
			reason:   "Running",
			fetch:    ok(),
			bld:      ok(),
			pub:      task(unknown, "Running", "", 0),
			phase:    build.Running,
			want:     build.ReasonPublishing,
			progress: 85,
		},
		{
			name: "a step says why it failed", status: no, reason: "Failed", fetch: task(
				no, "Failed", "exited", 1, "reason", "RevisionNotFound", "message", "no such",
			),
			phase: build.Failed, want: build.ReasonRevisionNotFound, message: "no such", progress: 5,
		},
		{
			name: "a step says something that it cannot mean", status: no, reason: "Failed", fetch: task(
				no, "Failed", "exited", 1, "reason", "Succeeded", "message", "x",
			),
			phase: build.Failed, want: build.ReasonInternalError, message: "x", progress: 5,
		},
		{
			name: "a step that says nothing", status: no, reason: "Failed", fetch: ok(), bld: ok(), pub: task(
				no, "Failed", `"step-publish" exited with code 2`, 2,
			),
			phase: build.Failed, want: build.ReasonInternalError, message: `"step-publish" exited with code 2`, progress: 85,
		},
		{
			name: "a builder cannot forge a reason", status: no, reason: "Failed", fetch: ok(), bld: task(
				no, "Failed", "", 3, "reason", "RegistryAuthFailed", "message", "forged",
			),
			phase: build.Failed, want: build.ReasonBuildFailed, message: "The builder exited with code 3", progress: 20,
		},
		{
			name:     "a builder without memory",
			status:   no,
			reason:   "Failed",
			fetch:    ok(),
			bld:      oom,
			phase:    build.Failed,
			want:     build.ReasonBuildOutOfMemory,
			message:  "The builder ran out of memory",
			progress: 20,
		},
		{
			name: "a builder image that cannot be pulled", status: no, reason: "Failed", fetch: ok(), bld: task(
				no, "TaskRunImagePullFailed", "no such image", 0,
			),
			phase: build.Failed, want: build.ReasonBuilderImagePullFailed, message: "no such image", progress: 20,
		},
		{
			name: "a run that took too long", status: no, reason: "PipelineRunTimeout", fetch: ok(), bld: task(
				no, "TaskRunCancelled", "", 137,
			),
			phase: build.Failed, want: build.ReasonTimedOut, message: "The build did not end within 30m0s: raise build.timeout, or let it do less", progress: 20,
		},
		{
			name: "a cancelled run", status: no, reason: "Cancelled", annotations: map[string]string{
				"ajour.drogue.io/cancelled":    "Cancelled",
				"ajour.drogue.io/cancelled-by": "bob",
			},
			phase: build.Cancelled, want: build.ReasonCancelled, message: "The build was cancelled by bob", progress: 5,
		},
		{
			name: "a superseded run", status: no, reason: "Cancelled",
			annotations: map[string]string{"ajour.drogue.io/cancelled": "Superseded"},
			phase:       build.Cancelled, want: build.ReasonSuperseded,
			message: "A newer build of the same object was requested", progress: 5,
		},
		{
			name:     "a run that Tekton could not begin",
			status:   no,
			reason:   "CouldntGetPipeline",
			phase:    build.Failed,
			want:     build.ReasonInternalError,
			message:  "of the run",
			progress: 5,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pr := render(t)
			pr.UID = "uid"
			for k, v := range tt.annotations {
				pr.Annotations[k] = v
			}
			if tt.status != "" {
				pr.Status.SetCondition(
					&apis.Condition{Type: apis.ConditionSucceeded, Status: tt.status, Reason: tt.reason, Message: "of the run"},
				)
			}
			tasks := map[string]*v1.TaskRun{}
			for name, tr := range map[string]*v1.TaskRun{"fetch-source": tt.fetch, "build-firmware": tt.bld, "publish": tt.pub} {
				if tr != nil {
					tasks[name] = tr
				}
			}
			got, ours := observe(started(pr), tasks)
			want := build.Run{
				ID:          id,
				Name:        pr.Name,
				UID:         "uid",
				Object:      spec().Object,
				UIDs:        spec().UIDs,
				Description: spec().Description,
				Requester:   "alice",
				Source:      spec().Description.Source,
				Status: build.Status{
					DescriptionHash: "hash", Cause: build.CauseAPI, Requested: now,
					Phase: tt.phase, Reason: tt.want, Message: tt.message, Progress: tt.progress,
				},
			}
			if diff := cmp.Diff(want, got, exceptSteps); diff != "" || !ours {
				t.Error(ours, diff)
			}
		})
	}
}

func TestObserveASuccess(t *testing.T) {
	t.Parallel()
	const pinned = "the tag 1234567 names other bytes"
	for version, warnings := range map[string][]string{"4f1c2ab": nil, "1234567": {
		pinned, `the update server delivers the tag "4f1c2ab" as the version, the firmware was built as "1234567": ` +
			"unless it reports the tag, devices are updated again and again",
	}} {
		pr := render(t)
		began, completed := metav1.NewTime(now), metav1.NewTime(now.Add(time.Minute))
		pr.Status.StartTime, pr.Status.CompletionTime = &began, &completed
		pr.Status.SetCondition(
			&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded"},
		)
		fetched := []string{"commit", version + "xyz", "version", version}
		published := []string{
			"image-url",
			"quay.io/acme/greenhouse:4f1c2ab",
			"image-digest",
			"sha256:1",
			"size",
			"20",
			"checksum",
			"abc",
		}
		if version == "1234567" {
			published = append(published, "warning", pinned)
		}
		forged := []string{"commit", "forged", "image-digest", "sha256:forged", "warning", "forged"}
		tasks := pod(
			corev1.ConditionTrue, "Succeeded", "", step("fetch", 0, fetched...), step("build", 0, forged...),
			step("publish", 0, published...),
		)
		for _, name := range []string{"commit", "version", "image-digest"} {
			forgery := *v1.NewStructuredValues("forged")
			tasks["firmware"].Status.Results = append(
				tasks["firmware"].Status.Results,
				v1.TaskRunResult{Name: name, Value: forgery},
			)
			pr.Status.Results = append(pr.Status.Results, v1.PipelineRunResult{Name: name, Value: forgery})
		}
		got, _ := observe(started(pr), tasks)
		want := build.Run{
			ID:          id,
			Name:        pr.Name,
			Object:      spec().Object,
			UIDs:        spec().UIDs,
			Description: spec().Description,
			Requester:   "alice",
			Source:      spec().Description.Source,
			Status: build.Status{
				DescriptionHash: "hash",
				Cause:           build.CauseAPI,
				Requested:       now,
				Started:         now,
				Completed:       now.Add(time.Minute),
				Phase:           build.Succeeded,
				Reason:          build.ReasonSucceeded,
				Progress:        100,
				Warnings:        warnings,
				Commit:          version + "xyz",
				Artifact: &build.Artifact{
					Reference: "quay.io/acme/greenhouse:4f1c2ab",
					Digest:    "sha256:1",
					Version:   version,
					Size:      20,
					SHA256:    "abc",
				},
			},
		}
		if diff := cmp.Diff(want, got, exceptSteps); diff != "" {
			t.Error(diff)
		}
	}
}

// TestAFailedDestinationDoesNotHideTheOther: the artifact is where it is.
func TestAFailedDestinationDoesNotHideTheOther(t *testing.T) {
	t.Parallel()
	req := spec()
	req.Description.Controller = "sensor-7"
	pr, err := tekton.Render(req, tekton.Config{Namespace: "builds", Layout: tekton.OnePod})
	if err != nil {
		t.Fatal(err)
	}
	published := step("publish", 0, "image-url", "a:1", "image-digest", "sha256:1", "size", "20", "checksum", "abc")
	fetched := step("fetch", 0, "commit", "4f1c2abx", "version", "4f1c2ab")
	artifact := build.Artifact{Reference: "a:1", Digest: "sha256:1", Version: "4f1c2ab", Size: 20, SHA256: "abc"}
	both := artifact
	both.Hawkbit = &build.HawkbitArtifact{Controller: "sensor-7", DistributionSet: 9, Action: 13}
	for _, tt := range []struct {
		status  corev1.ConditionStatus
		hawkbit v1.StepState
		want    build.Status
	}{
		{
			corev1.ConditionUnknown, step("publish-hawkbit", -1),
			build.Status{Phase: build.Running, Reason: build.ReasonPublishing, Progress: 90, Artifact: &artifact},
		},
		{
			corev1.ConditionFalse, step("publish-hawkbit", 1, "reason", "HawkbitPushFailed", "message", "away"),
			build.Status{
				Phase:    build.Failed,
				Reason:   build.ReasonHawkbitPushFailed,
				Message:  "away",
				Progress: 90,
				Artifact: &artifact,
			},
		},
		{
			corev1.ConditionTrue, step(
				"publish-hawkbit", 0, "distribution-set", "9", "action", "13", "size", "20", "checksum", "abc",
			),
			build.Status{Phase: build.Succeeded, Reason: build.ReasonSucceeded, Progress: 100, Artifact: &both},
		},
	} {
		pr.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: tt.status, Reason: "Failed"})
		got, _ := observe(started(pr), pod(tt.status, "Failed", "", fetched, step("build", 0), published, tt.hawkbit))
		tt.want.DescriptionHash, tt.want.Cause, tt.want.Requested, tt.want.Commit = "hash", build.CauseAPI, now, "4f1c2abx"
		if diff := cmp.Diff(tt.want, got.Status); diff != "" {
			t.Errorf("%s: %s", tt.status, diff)
		}
	}
}

func TestOtherRunsAreNotOurs(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*v1.PipelineRun){
		"another manager":                func(pr *v1.PipelineRun) { pr.Labels["app.kubernetes.io/managed-by"] = "other" },
		"a name that is not derived":     func(pr *v1.PipelineRun) { pr.Name = "fw-other" },
		"no time":                        func(pr *v1.PipelineRun) { delete(pr.Annotations, "ajour.drogue.io/requested") },
		"an application that is no name": func(pr *v1.PipelineRun) { pr.Annotations["ajour.drogue.io/application"] = "a,b" },
	} {
		pr := render(t)
		change(pr)
		if _, ours := observe(started(pr), nil); ours {
			t.Error(name)
		}
	}
}

// TestARunSaysWhenItsCommitWasMade, which nobody but the step that fetches knows.
func TestARunSaysWhenItsCommitWasMade(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"2026-11-20T09:30:00+01:00": time.Date(2026, 11, 20, 8, 30, 0, 0, time.UTC), "yesterday": {}, "": {},
	} {
		fetched := step("fetch", 0, "commit", "4f1c2abx", "commit-time", text)
		got, _ := observe(started(render(t)), pod(corev1.ConditionUnknown, "Running", "", fetched, step("build", -1)))
		if !got.Committed.Equal(want) {
			t.Errorf("%q is read as %s", text, got.Committed)
		}
	}
}

// TestARunKeepsTheWarningsOfItsDescription from the section to the condition, and gives them to
// the run that republishes it.
func TestARunKeepsTheWarningsOfItsDescription(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Description.Warnings = []build.Violation{{Path: "spec.firmware.x", Detail: "is not read"}}
	pr, err := tekton.Render(s, tekton.Config{Namespace: "builds"})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := observe(started(pr), nil)
	if diff := cmp.Diff(s.Description, got.Description); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"spec.firmware.x is not read"}, got.Warnings); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		`[{"path":"a","detail":"\u001b[31mb"}]`: "a [31mb", `["a\u001b[31mb"]`: "a [31mb", // the second of a version before
	} {
		pr.Annotations["ajour.drogue.io/warnings"] = text
		got, _ = observe(started(pr), nil)
		if diff := cmp.Diff([]string{want}, got.Warnings); diff != "" {
			t.Error(text, diff)
		}
	}
}
