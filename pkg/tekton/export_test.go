// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"fmt"
	"io"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/drogue-iot/ajour/pkg/build"
)

// OpenArchived reads what was archived of a step.
func OpenArchived(ctx context.Context, k *LogArchive, run, step string, o build.LogOptions) (io.ReadCloser, error) {
	return k.open(ctx, run, step, o)
}

// ProgressOf returns the progress of a build, with the count that is in some output.
func ProgressOf(r build.Run, history []build.Run, output string, now time.Time) (float64, time.Time) {
	return progressOf(&r, append([]build.Run{}, history...), countIn(output, count{}).part, now)
}

// CountIn returns the count that is in some output, as text.
func CountIn(output string) string {
	c := countIn(output, count{})
	return fmt.Sprintf("%.2f of %d", c.part, c.of)
}

// SetClock sets the clock of a store.
func SetClock(s *Store, clock func() time.Time) { s.clock = clock }

// Advance moves the progress of all builds, each with the count that is in some output.
func Advance(s *Store, output string) {
	counts := map[string]count{}
	for _, r := range s.List(build.Query{}) {
		counts[r.Name] = countIn(output, count{})
	}
	s.advance(counts)
}

// Fed is a reflector that is given what the watches of a cluster would bring, in an order of the
// test's choice.
type Fed struct{ *Reflector }

// List gives it the first lists: of one PipelineRun, and of no TaskRun.
func (f Fed) List(pr *v1.PipelineRun) {
	h, _, _ := headOf(pr)
	f.replaceTasks(nil)
	f.replaceRuns([]*head{h})
}

// SetRun gives it the next state of a PipelineRun.
func (f Fed) SetRun(pr *v1.PipelineRun) {
	h, _, _ := headOf(pr)
	f.setRun(h)
}

// SetTask gives it the next state of a TaskRun.
func (f Fed) SetTask(tr *v1.TaskRun) {
	t, _ := taskOf(tr)
	f.setTask(t)
}

// RemoveTask tells it that a TaskRun was deleted.
func (f Fed) RemoveTask(tr *v1.TaskRun) { f.removeTask(tr.Name) }

// ListWithout gives it a later list of the TaskRuns, which is without one.
func (f Fed) ListWithout(*v1.TaskRun) { f.replaceTasks(nil) }

// RecordFor returns the record of a build that has ended.
func RecordFor(r build.Run, pr *v1.PipelineRun) (string, error) {
	return recordFor(r, pr.Spec.PipelineSpec != nil)
}

// RecordCounts reports whether the metadata of a run have the state of its build.
func RecordCounts(pr *v1.PipelineRun) bool {
	_, ok := briefHeadOf(&metav1.PartialObjectMetadata{ObjectMeta: pr.ObjectMeta})
	return ok
}

// Archive archives one build.
func (a *Archiver) Archive(ctx context.Context, r build.Run) error { return a.archive(ctx, r) }
