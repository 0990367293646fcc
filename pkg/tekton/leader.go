// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Lease names the Lease by which the replicas of a service elect their leader.
type Lease struct {
	Namespace, Name string
	// Identity is that of this replica, the name of its pod.
	Identity string
}

// Times of an election. A leader that dies is replaced after leaseDuration; one that ends
// releases the Lease, and is replaced after retryPeriod.
const (
	leaseDuration = 8 * time.Second
	renewDeadline = 5 * time.Second
	retryPeriod   = 2 * time.Second
)

// Lead runs f while this replica is the leader, each time that it becomes the leader, until
// the context ends or f fails. The Lease is released when f has returned: two leaders act at
// the same time only if one of them lost the API server.
func (c *Cluster) Lead(ctx context.Context, l Lease, f func(context.Context) error) error {
	for ctx.Err() == nil {
		if err := c.lead(ctx, l, f); err != nil {
			return err
		}
	}
	return nil
}

// lead takes part in one election.
func (c *Cluster) lead(ctx context.Context, l Lease, f func(context.Context) error) (err error) {
	election, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	var leading sync.WaitGroup
	var once sync.Once
	begun := false
	// A candidate ends with the context; a leader when f has returned.
	stop := context.AfterFunc(ctx, func() { once.Do(release) })
	defer stop()
	leaderelection.RunOrDie(election, leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name}, Client: c.leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: l.Identity},
		},
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(led context.Context) {
				once.Do(func() { begun = true; leading.Add(1) })
				if !begun {
					return // the context ended first
				}
				defer leading.Done()
				defer release()
				led, cancel := context.WithCancel(led)
				defer cancel()
				defer context.AfterFunc(ctx, cancel)()
				err = f(led)
			},
			OnStoppedLeading: func() {},
		},
	})
	leading.Wait()
	return err
}
