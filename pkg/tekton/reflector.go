// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Reflector feeds a [Store] with the PipelineRuns and TaskRuns of a cluster. It lists and
// watches both, and resumes a watch that broke, by client-go's own reflectors.
type Reflector struct {
	store *Store
	Listers
	log *slog.Logger

	mu sync.Mutex
	// heads are by the name of the PipelineRun, children by its uid.
	heads    map[string]*head
	children map[types.UID]tasks
	taskRuns map[string]*task // by the name of the TaskRun
	// runsRead and tasksRead report that the first list of each is complete.
	runsRead, tasksRead bool
	warned              bool
	// runsListed is called when a list of PipelineRuns is complete.
	runsListed func()
}

// Listers are what a reflector reads with.
type Listers struct {
	Runs       Lister[*v1.PipelineRun, *v1.PipelineRunList]
	Tasks      Lister[*v1.TaskRun, *v1.TaskRunList]
	RunBriefs  Briefs
	TaskBriefs Briefs
}

// NewReflector returns a reflector. Nothing is read before [Reflector.Run].
func NewReflector(s *Store, from Listers, log *slog.Logger) *Reflector {
	return &Reflector{
		store: s, Listers: from, log: log, runsListed: func() {},
		heads: map[string]*head{}, children: map[types.UID]tasks{}, taskRuns: map[string]*task{},
	}
}

// Run keeps the store up to date until the context ends.
func (r *Reflector) Run(ctx context.Context) error {
	at, listed := make(chan struct{}), make(chan struct{})
	close(at)
	r.runsListed = sync.OnceFunc(func() { close(listed) })
	runs := mirror[*v1.PipelineRun, *v1.PipelineRunList, *head]{
		kind: "PipelineRun", client: r.Runs, briefs: r.RunBriefs, begin: at,
		items:  func(l *v1.PipelineRunList) []*v1.PipelineRun { return pointers(l.Items) },
		reduce: func(pr *v1.PipelineRun) (*head, bool) { h, _, ours := headOf(pr); return h, ours },
		brief:  func(m *metav1.PartialObjectMetadata) (any, bool) { return briefHeadOf(m) },
		feed:   feed[*head]{set: r.setRun, remove: r.removeRun, replace: r.replaceRuns},
	}
	tasks := mirror[*v1.TaskRun, *v1.TaskRunList, *task]{
		kind: "TaskRun", client: r.Tasks, briefs: r.TaskBriefs, begin: listed,
		items:  func(l *v1.TaskRunList) []*v1.TaskRun { return pointers(l.Items) },
		reduce: taskOf,
		brief:  func(m *metav1.PartialObjectMetadata) (any, bool) { return nil, r.needless(m) },
		feed:   feed[*task]{set: r.setTask, remove: r.removeTask, replace: r.replaceTasks},
	}
	var g sync.WaitGroup
	g.Go(func() { runs.run(ctx) })
	g.Go(func() { tasks.run(ctx) })
	g.Wait()
	return nil
}

// needless reports whether nothing depends on a TaskRun: no run owns it, or the state of its run was recorded.
func (r *Reflector) needless(m *metav1.PartialObjectMetadata) bool {
	owner := metav1.GetControllerOf(m)
	if owner == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.heads[owner.Name]
	return h != nil && h.record != nil && h.run.UID == string(owner.UID)
}

func pointers[T any](items []T) []*T {
	list := make([]*T, len(items))
	for i := range items {
		list[i] = &items[i]
	}
	return list
}

func (r *Reflector) setRun(h *head) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heads[h.run.Name] = h
	r.warn(h)
	r.update(h.run.Name)
}

func (r *Reflector) removeRun(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.heads, name)
	if r.read() {
		r.store.Remove(name)
	}
}

func (r *Reflector) replaceRuns(list []*head) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.heads)
	for _, h := range list {
		r.heads[h.run.Name] = h
		r.warn(h)
	}
	r.runsRead = true
	r.runsListed()
	r.replace()
}

func (r *Reflector) setTask(t *task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addTask(t)
	r.update(t.run)
}

// removeTask forgets a TaskRun. The state of a run that has ended is left as it is: its
// TaskRuns may be deleted before it is.
func (r *Reflector) removeTask(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.taskRuns[name]
	if !ok {
		return
	}
	delete(r.taskRuns, name)
	rest := slices.DeleteFunc(slices.Clone(r.children[t.owner]), func(other *task) bool { return other.name == name })
	if r.children[t.owner] = rest; len(rest) == 0 {
		delete(r.children, t.owner)
	}
	if h := r.heads[t.run]; h != nil && !h.condition.ended() {
		r.update(t.run)
	}
}

func (r *Reflector) replaceTasks(list []*task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.taskRuns)
	clear(r.children)
	for _, t := range list {
		r.addTask(t)
	}
	r.tasksRead = true
	r.replace()
}

// addTask replaces the TaskRun of the same pipeline task. The slice is never changed in
// place: a state that was derived from it may be compared with the next one.
func (r *Reflector) addTask(t *task) {
	r.taskRuns[t.name] = t
	siblings := slices.DeleteFunc(
		slices.Clone(r.children[t.owner]),
		func(other *task) bool { return other.task == t.task },
	)
	r.children[t.owner] = append(siblings, t)
}

func (r *Reflector) read() bool { return r.runsRead && r.tasksRead }

// maxBehind bounds how long an end waits for those of its TaskRuns: one that was deleted never comes.
const maxBehind = 30 * time.Second

// observe derives the state of a build from what is known. One whose end was read before those of
// its TaskRuns still runs until they are: an end is final, and says what was published.
func (r *Reflector) observe(h *head) build.Run {
	if h.behind(r.taskRuns) && r.waits(h) {
		open := *h
		open.condition, open.run.Completed = condition{known: true}, time.Time{}
		h = &open
	}
	return observe(h, r.children[types.UID(h.run.UID)])
}

// waits reports whether a build whose TaskRuns are behind is not to be shown as ended yet, and has it
// looked at once more when it is. One that was shown as ended stays so.
func (r *Reflector) waits(h *head) bool {
	left := time.Until(h.condition.since.Add(maxBehind))
	shown, err := r.store.Find(h.run.Name)
	if left <= 0 || err == nil && shown.UID == h.run.UID && shown.Phase.Final() {
		return false
	}
	time.AfterFunc(left, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.update(h.run.Name)
	})
	return true
}

// update derives the state of one build.
func (r *Reflector) update(name string) {
	if h := r.heads[name]; h != nil && r.read() {
		r.store.Set(r.observe(h))
	}
}

// replace derives the state of all builds.
func (r *Reflector) replace() {
	if !r.read() {
		return
	}
	runs := make([]build.Run, 0, len(r.heads))
	for _, h := range r.heads {
		runs = append(runs, r.observe(h))
	}
	r.store.Replace(runs)
}

// warn says once that Tekton Chains watches runs whose results a builder can forge.
func (r *Reflector) warn(h *head) {
	if h.signed && h.onePod && !r.warned {
		r.warned = true
		r.log.WarnContext(
			context.Background(),
			"Tekton Chains signs builds of one pod, whose results a builder can forge: see \"Provenance\" in docs/install.md",
			"run", h.run.Name,
		)
	}
}

// TaskRunEnded returns when the TaskRun that owns an object of a build ended. It reports false for one
// that has not ended, or is not known. Those of a build whose state was recorded are not read: all of them have
// ended.
func (r *Reflector) TaskRunEnded(owner metav1.OwnerReference, id string) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, ok := r.taskRuns[owner.Name]; ok {
		return t.condition.since, t.uid == owner.UID && t.condition.ended()
	}
	h := r.heads[build.RunName(id)]
	if h == nil || h.record == nil || owner.Kind != "TaskRun" {
		return time.Time{}, false
	}
	return h.record.Completed, true
}
