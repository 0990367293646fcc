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
)

const (
	reapEvery = 15 * time.Second
	// reapAfter is the minimum age of the end of a TaskRun before its pod is deleted: Tekton
	// deletes it itself at first.
	reapAfter = 15 * time.Second
)

// Pods is the part of the cluster's typed client that is used.
type Pods interface {
	List(ctx context.Context, opts metav1.ListOptions) (*corev1.PodList, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
}

// Reaper deletes pods of builds that still run after their TaskRun has ended. Tekton leaves
// the pod of a TaskRun that is cancelled in the moment in which the pod is created, and the
// pod of one whose image cannot be started. Such a pod does nothing, but holds what it
// reserves until its deadline, one and a half times the timeout of the build.
type Reaper struct {
	pods  Pods
	ended func(owner metav1.OwnerReference, id string) (time.Time, bool)
	clock func() time.Time
	log   *slog.Logger
}

// NewReaper returns a reaper. The function ended says when the TaskRun that owns a pod of a build ended.
func NewReaper(
	pods Pods,
	ended func(owner metav1.OwnerReference, id string) (time.Time, bool),
	clock func() time.Time,
	log *slog.Logger,
) *Reaper {
	return &Reaper{pods, ended, clock, log}
}

// Run deletes such pods periodically until the context ends.
func (r *Reaper) Run(ctx context.Context) error {
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	for {
		if err := r.Reap(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "pods of ended builds cannot be deleted", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Reap deletes such pods once.
func (r *Reaper) Reap(ctx context.Context) error {
	pods, err := r.pods.List(
		ctx,
		metav1.ListOptions{LabelSelector: labelBuild, FieldSelector: "status.phase!=Succeeded,status.phase!=Failed"},
	)
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	var errs []error
	for _, pod := range pods.Items {
		owner := metav1.GetControllerOf(&pod)
		if owner == nil || pod.DeletionTimestamp != nil {
			continue
		}
		if at, ok := r.ended(*owner, pod.Labels[labelBuild]); !ok || r.clock().Sub(at) <= reapAfter {
			continue
		}
		err := r.pods.Delete(ctx, pod.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}})
		switch {
		case apierrors.IsNotFound(err) || apierrors.IsConflict(err): // deleted already
		case err != nil:
			errs = append(errs, fmt.Errorf("delete pod %s: %w", pod.Name, err))
		default:
			r.log.InfoContext(ctx, "pod of an ended build deleted", "pod", pod.Name, "build", pod.Labels[labelBuild])
		}
	}
	return errors.Join(errs...)
}
