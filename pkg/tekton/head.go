// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/internal/trace"
)

// head is what is stored of a PipelineRun: everything that its state depends on, read once.
// The description, the parameters and the pipeline, which are most of it, are not stored.
type head struct {
	// run has all that does not depend on TaskRuns.
	run         build.Run
	stages      []stage
	publication *build.Publication
	condition   condition
	cancelled   build.Reason
	cancelledBy string
	// claim is the volume claim that the run names; empty for one of its own.
	claim string
	// onePod reports that all steps share a pod, signed that Tekton Chains watches the run.
	onePod, signed bool
	// What messages say of the description.
	builder, tag string
	// message is that of a failed build with a line of its output; empty until that was archived.
	message string
	timeout time.Duration
	// children are the names of its TaskRuns, as Tekton has them.
	children []string
	// record is the state that was recorded at its end; nil if there is none.
	record *record
}

// behind reports whether the run has ended by itself, and what it left is not known yet (TEK-35): runs and
// TaskRuns come by watches of their own, and the later event by the faster one may be read first. A run that
// was cancelled or that timed out may end before its TaskRuns, and its reason does not depend on them.
func (h *head) behind(known map[string]*task) bool {
	alone := h.condition.ok || h.condition.failed && h.condition.reason == v1.PipelineRunReasonFailed.String()
	return alone && h.record == nil && slices.ContainsFunc(h.children, func(name string) bool {
		t := known[name]
		return t == nil || string(t.owner) != h.run.UID || !t.condition.ended()
	})
}

// condition is the condition Succeeded of a run.
type condition struct {
	known, ok, failed bool
	reason, message   string
	since             time.Time
}

func (c condition) ended() bool { return c.ok || c.failed }

func conditionOf(c *apis.Condition) condition {
	if c == nil {
		return condition{}
	}
	return condition{true, c.IsTrue(), c.IsFalse(), c.Reason, c.Message, c.LastTransitionTime.Inner.Time}
}

// chainsFinalizer is what Tekton Chains puts on the runs that it signs.
const chainsFinalizer = "chains.tekton.dev"

// headOf reads a PipelineRun. It reports false for one that is not ours.
func headOf(pr *v1.PipelineRun) (*head, build.Description, bool) {
	a := pr.Annotations
	requested, err := time.Parse(time.RFC3339Nano, a[annotationRequested])
	d, p := descriptionOf(pr), publicationOf(pr)
	h := &head{
		run: build.Run{
			ID:   pr.Labels[labelBuild],
			Name: pr.Name,
			UID:  string(pr.UID),
			Object: build.ObjectRef{
				Application: a[annotationApplication],
				Device:      a[annotationDevice],
			},
			UIDs:      build.UIDs{Application: a[annotationApplicationUID], Device: a[annotationDeviceUID]},
			Requester: a[annotationRequester],
			Source:    d.Source,
			Status: build.Status{
				DescriptionHash: a[annotationHash], Cause: causeOf(a), Requested: requested, Warnings: d.WarningLines(),
				Started: instant(pr.Status.StartTime), Completed: instant(pr.Status.CompletionTime),
			},
			Secret:     len(d.Secrets) > 0,
			Controller: d.Controller,
			Log:        logOf(a[annotationLog]),
			Trace:      trace.ParentIn(a[annotationTrace]),
			Pending:    pr.Spec.Status == v1.PipelineRunSpecStatusPending,
			Cancelling: pr.IsCancelled() || pr.IsGracefullyCancelled() || pr.IsGracefullyStopped(),
		},
		stages:      stagesOf(d, p),
		publication: p,
		condition:   conditionOf(pr.Status.GetCondition(apis.ConditionSucceeded)),
		cancelled:   build.Reason(a[annotationCancelled]),
		cancelledBy: a[annotationCancelledBy],
		claim: claimOf(
			pr.Spec.Workspaces,
		),
		onePod:  pr.Spec.PipelineSpec != nil,
		signed:  slices.Contains(pr.Finalizers, chainsFinalizer),
		builder: d.Builder,
		message: a[annotationMessage],
		tag:     d.Tag(),
		timeout: time.Duration(d.Timeout),
	}
	for _, c := range pr.Status.ChildReferences {
		h.children = append(h.children, c.Name)
	}
	switch revision := a[annotationRevision]; {
	case build.ValidCommit(revision):
		h.run.Commit = revision
	case revision != "":
		h.run.Source.Rev = revision
	}
	// A run whose name does not follow from its id was not made by us.
	if pr.Labels[labelManagedBy] != managedBy || err != nil || h.run.Object.Validate() != nil ||
		build.RunName(h.run.ID) != pr.Name {
		return nil, d, false
	}
	if h.condition.ended() {
		h.record = recordOf(&pr.ObjectMeta)
	}
	return h, d, true
}

// causeOf also reads the annotation of versions before 0.2.
func causeOf(annotations map[string]string) build.Cause {
	return build.Cause(cmp.Or(annotations[annotationCause], annotations["ajour.drogue.io/trigger"]))
}

// descriptionOf reads the description that a run was made of. A run that somebody edited is
// read as far as possible.
func descriptionOf(pr *v1.PipelineRun) (d build.Description) {
	_ = json.Unmarshal([]byte(pr.Annotations[annotationDescription]), &d)
	d.Warnings = warningsOf(pr.Annotations[annotationWarnings])
	for _, p := range pr.Spec.Params {
		if p.Name == paramArgs && len(p.Value.ArrayVal) > 0 {
			d.Args = p.Value.ArrayVal
		}
	}
	return d
}

// warningsOf also reads the lines that versions before 0.2 wrote.
func warningsOf(text string) (list []build.Violation) {
	var lines []string
	if json.Unmarshal([]byte(text), &lines) == nil {
		for _, line := range lines {
			list = append(list, build.Violation{Detail: build.Clean(line)})
		}
		return list
	}
	_ = json.Unmarshal([]byte(text), &list)
	for i, w := range list {
		list[i] = build.Violation{Path: build.Clean(w.Path), Detail: build.Clean(w.Detail)}
	}
	return list
}

// publicationOf returns what a run republishes, nil for one that compiles.
func publicationOf(pr *v1.PipelineRun) *build.Publication {
	var p build.Publication
	if text := pr.Annotations[annotationPublication]; text == "" || json.Unmarshal([]byte(text), &p) != nil {
		return nil
	}
	return &p
}

// logOf reads what was archived of the output; nil for nothing that is known.
func logOf(text string) *build.Log {
	l := new(build.Log)
	if text == "" || json.Unmarshal([]byte(text), l) != nil {
		return nil
	}
	return l
}

func claimOf(workspaces []v1.WorkspaceBinding) string {
	for _, w := range workspaces {
		if w.Name == workspaceSource && w.PersistentVolumeClaim != nil {
			return w.PersistentVolumeClaim.ClaimName
		}
	}
	return ""
}

func instant(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// task is what is stored of a TaskRun.
type task struct {
	name, run string // of the TaskRun, and of its PipelineRun
	uid       types.UID
	owner     types.UID // of the PipelineRun
	task      string    // the pipeline task
	condition condition
	started   time.Time
	claim     string
	steps     []step
}

// step is what is stored of the state of a step.
type step struct {
	name               string
	terminated         bool
	exitCode           int32
	started, completed time.Time
	// why is Tekton's reason for the end.
	why      string
	outOfMem bool
	results  map[string]string
	// refused is why the kubelet does not create the container; empty if it does.
	refused string
}

// taskOf reads a TaskRun. It reports false for one that no PipelineRun owns.
func taskOf(tr *v1.TaskRun) (*task, bool) {
	owner := metav1.GetControllerOf(tr)
	if owner == nil {
		return nil, false
	}
	t := &task{
		name: tr.Name, run: owner.Name, uid: tr.UID, owner: owner.UID, task: tr.Labels[labelPipelineTask],
		condition: conditionOf(tr.Status.GetCondition(apis.ConditionSucceeded)), claim: claimOf(tr.Spec.Workspaces),
		started: instant(tr.Status.StartTime),
	}
	for _, st := range tr.Status.Steps {
		s := step{name: st.Name}
		if w := st.Waiting; w != nil && w.Reason == reasonCreateContainer {
			s.refused = w.Message
		}
		if e := st.Terminated; e != nil {
			s.terminated, s.exitCode = true, e.ExitCode
			s.started, s.completed = e.StartedAt.Time, e.FinishedAt.Time
			s.why = st.TerminationReason
			s.outOfMem = e.Reason == reasonOOM || st.TerminationReason == reasonOOM
		}
		for _, r := range st.Results {
			if s.results == nil {
				s.results = make(map[string]string, len(st.Results))
			}
			s.results[r.Name] = r.Value.StringVal
		}
		t.steps = append(t.steps, s)
	}
	return t, true
}

// reasonOOM is the reason of a container that was killed for its memory.
const reasonOOM = "OOMKilled"
