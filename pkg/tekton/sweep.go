// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	sweepEvery = 15 * time.Second
	// sweepAfter is how long ago a TaskRun ended whose pod is ended for it: Tekton
	// does so itself at first.
	sweepAfter = 15 * time.Second
)

// Pods is the part of the cluster's typed client that is used.
type Pods interface {
	List(ctx context.Context, opts metav1.ListOptions) (*corev1.PodList, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
}

// Sweeper deletes pods of builds that go on after their TaskRun has ended. Tekton leaves
// that of a TaskRun which is cancelled in the moment in which its pod is made, and that
// of one whose image cannot be started. Such a pod does nothing, but keeps what it
// reserves until its deadline, one and a half times the timeout of the build.
type Sweeper struct {
	pods  Pods
	tasks TaskRuns
	clock func() time.Time
	log   *slog.Logger
}

// NewSweeper returns a sweeper.
func NewSweeper(pods Pods, tasks TaskRuns, clock func() time.Time, log *slog.Logger) *Sweeper {
	return &Sweeper{pods, tasks, clock, log}
}

// ConnectSweeper returns one for a namespace of the cluster that this process runs in.
func ConnectSweeper(namespace string, log *slog.Logger) (*Sweeper, error) {
	runs, core, err := clients()
	if err != nil {
		return nil, err
	}
	return NewSweeper(core.Pods(namespace), runs.TaskRuns(namespace), time.Now, log), nil
}

// Run sweeps from time to time until the context ends.
func (s *Sweeper) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "pods of ended builds may go on", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep looks once.
func (s *Sweeper) Sweep(ctx context.Context) error {
	pods, err := s.pods.List(ctx, metav1.ListOptions{LabelSelector: labelBuild, FieldSelector: "status.phase!=Succeeded,status.phase!=Failed"})
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	if len(pods.Items) == 0 {
		return nil
	}
	tasks, err := listTasks(ctx, s.tasks, labelManagedBy+"="+managedBy)
	if err != nil {
		return err
	}
	ended := map[types.UID]bool{}
	for _, tr := range tasks {
		// Not each that failed has the time of its completion.
		c := conditionOf(tr)
		ended[tr.UID] = tr.IsDone() && s.clock().Sub(c.LastTransitionTime.Inner.Time) > sweepAfter
	}
	var errs []error
	for _, pod := range pods.Items {
		owner := metav1.GetControllerOf(&pod)
		if owner == nil || !ended[owner.UID] || pod.DeletionTimestamp != nil {
			continue
		}
		err := s.pods.Delete(ctx, pod.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}})
		switch {
		case apierrors.IsNotFound(err) || apierrors.IsConflict(err): // it is gone
		case err != nil:
			errs = append(errs, fmt.Errorf("delete pod %s: %w", pod.Name, err))
		default:
			s.log.InfoContext(ctx, "pod of an ended build deleted", "pod", pod.Name, "build", pod.Labels[labelBuild])
		}
	}
	return errors.Join(errs...)
}
