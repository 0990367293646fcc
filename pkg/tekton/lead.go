// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Lease names what replicas of a service elect their leader by.
type Lease struct {
	Namespace, Name string
	// Identity is that of this replica, the name of its pod.
	Identity string
}

// Times of an election: a leader that dies is replaced after the first, one that
// ends gives way at once.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// Lead runs f while this replica is the leader, again whenever it becomes it,
// until the context ends.
func Lead(ctx context.Context, l Lease, f func(context.Context) error) error {
	rc, err := inCluster()
	if err != nil {
		return err
	}
	leases, err := coordinationv1.NewForConfig(rc)
	if err != nil {
		return fmt.Errorf("connect to cluster: %w", err)
	}
	failed := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for ctx.Err() == nil {
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name}, Client: leases,
				LockConfig: resourcelock.ResourceLockConfig{Identity: l.Identity},
			},
			LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(ctx context.Context) {
					if err := f(ctx); err != nil {
						failed <- err
						cancel()
					}
				},
				OnStoppedLeading: func() {},
			},
		})
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
