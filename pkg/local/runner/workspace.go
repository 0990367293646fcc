// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// retainedWorkspaces bounds how many workspaces of runs that have ended are there.
const retainedWorkspaces = 5

// claimOf is the name of the volume claim of a run.
func claimOf(run string) string { return "pvc-" + run }

// workspaces returns the workspaces that match a pattern below the folder of runs.
func (r *Runner) workspaces(pattern string) ([]string, error) {
	root := filepath.Join(r.options.Dir, "runs")
	found, err := fs.Glob(os.DirFS(root), pattern)
	for i := range found {
		found[i] = filepath.Join(root, found[i])
	}
	return found, err
}

// newWorkspace returns an empty folder for an attempt of a run. A process of a former
// attempt may be alive and still write into its own: that one is never reused.
func (r *Runner) newWorkspace(run string) (string, error) {
	old, err := r.workspaces(run + "/workspace-*")
	if err != nil {
		return "", err
	}
	for _, d := range old {
		if err := r.removeAll(d); err != nil {
			return "", err
		}
	}
	dir := r.runDir(run)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder of run: %w", err)
	}
	path, err := os.MkdirTemp(dir, "workspace-")
	if err != nil {
		return "", fmt.Errorf("make workspace: %w", err)
	}
	return filepath.Abs(path)
}

// claimed returns the name of the claim that a workspace of a run is on: its own, or one
// that the run names.
func claimed(pr *v1.PipelineRun) string {
	for _, w := range pr.Spec.Workspaces {
		if w.PersistentVolumeClaim != nil {
			return w.PersistentVolumeClaim.ClaimName
		}
	}
	return claimOf(pr.Name)
}

// findVolume finds the folder of the volume that a run's workspace is on. Nobody removes
// it from then on: the run is one that uses it.
func (p *pipeline) findVolume() (folder string, err error) {
	claim := claimed(p.run)
	if claim == claimOf(p.run.Name) {
		return filepath.Join(p.workspace, "workspace"), nil
	}
	p.removing.Lock()
	defer p.removing.Unlock()
	name, ok := strings.CutPrefix(claim, claimOf(""))
	if owner, err := get[v1.PipelineRun](p.store, bucketPipelineRuns, name); ok && err == nil {
		found, err := p.workspaces(owner.Name + "/workspace-*/workspace")
		if err == nil && len(found) == 1 {
			return found[0], nil
		}
	}
	return "", &taskError{
		v1.TaskRunReasonFailed.String(),
		fmt.Sprintf(
			"persistentvolumeclaim %q not found: its workspace was removed to make room for others, build again",
			claim,
		),
	}
}

// leave removes what an attempt that is over needs no more: all of it if the run starts
// over later, what [Runner.removeUnused] finds otherwise.
func (p *pipeline) leave(ctx context.Context, end error) {
	if errors.Is(end, errStopped) && p.workspace != "" {
		if err := p.removeAll(p.workspace); err != nil {
			p.options.Log.WarnContext(ctx, "workspace cannot be removed", "folder", p.workspace, "error", err)
		}
	}
	p.removeUnused(ctx)
}

// removeUnused removes the workspaces of runs that have ended, but for the newest ones that may
// be needed anew, and those that a second run uses.
func (r *Runner) removeUnused(ctx context.Context) {
	r.removing.Lock()
	defer r.removing.Unlock()
	if err := r.removeWorkspaces(); err != nil {
		r.options.Log.WarnContext(ctx, "workspaces cannot be removed", "error", err)
	}
}

func (r *Runner) removeWorkspaces() error {
	found, err := r.workspaces("*/workspace-*")
	if err != nil {
		return err
	}
	used, err := r.claimsInUse()
	if err != nil {
		return err
	}
	type ended struct {
		folder string
		run    *v1.PipelineRun
	}
	var all []ended
	for _, folder := range found {
		pr, failed := get[v1.PipelineRun](r.store, bucketPipelineRuns, filepath.Base(filepath.Dir(folder)))
		switch {
		case apierrors.IsNotFound(failed):
			failed = r.removeAll(folder)
		case failed == nil && pr.IsDone() && !used[claimOf(pr.Name)]:
			all = append(all, ended{folder, pr})
		}
		err = errors.Join(err, failed)
	}
	// The newest ones first: times are whole seconds.
	slices.SortFunc(all, func(a, b ended) int { return cmp.Compare(version(b.run), version(a.run)) })
	retained := 0
	for _, e := range all {
		if retained < retainedWorkspaces && r.keeps(e.run) {
			retained++
			e.folder = filepath.Join(e.folder, "tasks") // the rest of it
		}
		err = errors.Join(err, r.removeAll(e.folder))
	}
	return err
}

// claimsInUse returns the claims of the runs that are carried out, or wait for that.
func (r *Runner) claimsInUse() (map[string]bool, error) {
	r.mu.Lock()
	names := slices.Collect(maps.Keys(r.active))
	r.mu.Unlock()
	used := map[string]bool{}
	for _, name := range names {
		pr, err := get[v1.PipelineRun](r.store, bucketPipelineRuns, name)
		if err != nil {
			return nil, err
		}
		if !pr.IsDone() {
			used[claimed(pr)] = true
		}
	}
	return used, nil
}

func version(pr *v1.PipelineRun) uint64 {
	n, _ := strconv.ParseUint(pr.ResourceVersion, 10, 64) // the store's own
	return n
}

// keeps reports whether the workspace of a run that has ended may still be needed. One
// that was on the claim of a second run left nothing on its own.
func (r *Runner) keeps(pr *v1.PipelineRun) bool {
	if r.options.Retain == nil || claimed(pr) != claimOf(pr.Name) {
		return false
	}
	trs, err := r.store.taskRuns(pr.Name)
	if err != nil {
		return true
	}
	b, ours := r.options.Observe(pr, trs)
	return ours && r.options.Retain(b)
}
