// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// recent is how long after its end a build is looked at in every round.
	recent = 10 * time.Minute
	// fullEvery is the number of rounds after which all builds are looked at:
	// conditions of older ones vanish at device reports, too (COND-5).
	fullEvery = 60
)

// Run looks at all runs from time to time until the context ends, so that a
// lost event costs seconds, never the truth.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.Repair)
	defer tick.Stop()
	for round := 0; ; round++ {
		if err := s.repair(ctx, round%fullEvery == 0); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "repair is incomplete", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// repair brings the objects of the newest builds up to date.
func (s *Service) repair(ctx context.Context, full bool) error {
	runs, err := s.runs.List(ctx, build.Target{})
	if err != nil {
		return err
	}
	var errs []error
	for _, run := range newest(runs) {
		if !full && !run.Active() && s.Clock().Sub(run.Completed) > recent {
			continue
		}
		// One object that fails must not keep the others from being repaired.
		errs = append(errs, s.observe(ctx, run.Name, ""))
	}
	return errors.Join(errs...)
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
