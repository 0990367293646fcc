// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// recent is how long after its end a build is looked at in every round.
	recent = 10 * time.Minute
	// fullEvery is the number of rounds after which all builds are looked at:
	// conditions of older ones vanish at device reports, too (COND-5).
	fullEvery = 60
	// repairers bounds how many objects are looked at at the same time.
	repairers = 16
)

// Run looks at all runs from time to time until the context ends, so that a
// lost event costs seconds, never the truth.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.Repair)
	defer tick.Stop()
	var active map[string]build.Run
	for round := 0; ; round++ {
		var err error
		if active, err = s.repair(ctx, active, round%fullEvery == 0); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "repair is incomplete", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// repair brings the objects of the newest builds up to date, and those of builds that
// were active the last time and have no run any more. It returns the active ones by the
// names of their runs.
func (s *Service) repair(ctx context.Context, before map[string]build.Run, full bool) (active map[string]build.Run, err error) {
	runs, err := s.runs.List(ctx, build.Target{})
	if err != nil {
		return before, err
	}
	active = map[string]build.Run{}
	for _, run := range runs {
		delete(before, run.Name)
		if run.Active() {
			active[run.Name] = run
		}
	}
	// One object that fails must not keep the others from being repaired.
	var each []func() error
	for _, run := range newest(runs) {
		switch {
		case !full && !run.Active() && s.Clock().Sub(run.Completed) > recent:
		case s.told.has(run): // nothing more is to be found out, as from a log
			each = append(each, func() error { return s.write(ctx, run) })
		default:
			each = append(each, func() error { return s.observe(ctx, run.Name, "") })
		}
	}
	errs := inParallel(each)
	for name, run := range before {
		if err := s.write(ctx, s.vanished(run)); err != nil {
			errs, active[name] = append(errs, err), run // the next time
		}
	}
	return active, errors.Join(errs...)
}

// vanished is a build whose run was deleted before it ended.
func (s *Service) vanished(run build.Run) build.Run {
	run.Phase, run.Reason, run.Completed = build.Failed, build.ReasonInternalError, s.Clock()
	run.Message = "The run of the build was deleted before it ended: ask for it again"
	return run
}

func inParallel(each []func() error) []error {
	errs := make([]error, len(each))
	var g errgroup.Group
	g.SetLimit(repairers)
	for i, f := range each {
		g.Go(func() error {
			errs[i] = f()
			return nil
		})
	}
	_ = g.Wait() // the errors are all kept
	return errs
}

// newest keeps the newest build of each target.
func newest(runs []build.Run) map[build.Target]build.Run {
	byTarget := map[build.Target]build.Run{}
	for _, run := range runs {
		if old, ok := byTarget[run.Target]; !ok || run.After(old) {
			byTarget[run.Target] = run
		}
	}
	return byTarget
}
