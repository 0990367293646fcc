// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/drogue-iot/ajour/pkg/tekton"
)

// cluster has pods and TaskRuns of the same names.
type cluster struct {
	pods    []corev1.Pod
	ended   map[types.UID]time.Time
	deleted map[string]types.UID
	fails   map[string]error
}

func (c *cluster) List(context.Context, metav1.ListOptions) (*corev1.PodList, error) {
	return &corev1.PodList{Items: c.pods}, nil
}

func (c *cluster) Delete(_ context.Context, name string, opts metav1.DeleteOptions) error {
	if err := c.fails[name]; err != nil {
		return err
	}
	c.deleted[name] = *opts.Preconditions.UID
	return nil
}

// add makes a TaskRun that ended some time ago, or runs if that is 0, and its pod.
func (c *cluster) add(name string, ended time.Duration) *corev1.Pod {
	uid := types.UID("task-" + name)
	if ended != 0 {
		c.ended[uid] = now.Add(-ended)
	}
	yes := true
	c.pods = append(c.pods, corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name:            name,
		UID:             types.UID("pod-" + name),
		OwnerReferences: []metav1.OwnerReference{{Kind: "TaskRun", Name: name, UID: uid, Controller: &yes}},
	}})
	return &c.pods[len(c.pods)-1]
}

func TestPodsThatOutliveTheirTaskRunsAreDeleted(t *testing.T) {
	t.Parallel()
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "gone")
	down := errors.New("the API server is down")
	c := &cluster{
		ended:   map[types.UID]time.Time{},
		deleted: map[string]types.UID{},
		fails:   map[string]error{"gone": gone, "stuck": down},
	}
	c.add("stuck", time.Minute)
	c.add("gone", time.Minute)
	c.add("left", time.Minute)
	c.add("runs", 0)
	c.add("ended-now", time.Second) // Tekton deletes it
	c.add("deleted", time.Minute).DeletionTimestamp = &metav1.Time{Time: now}
	c.add("foreign", time.Minute).OwnerReferences = nil
	ended := func(owner metav1.OwnerReference, _ string) (time.Time, bool) {
		at, ok := c.ended[owner.UID]
		return at, ok
	}
	err := tekton.NewReaper(c, ended, func() time.Time { return now }, slog.New(slog.DiscardHandler)).Reap(t.Context())
	if !errors.Is(err, down) || errors.Is(err, gone) {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]types.UID{"left": "pod-left"}, c.deleted); diff != "" {
		t.Error(diff)
	}
}
