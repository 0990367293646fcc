// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/test/devtest"
)

// end patches the status of a run, as Tekton does when it fails.
func (b *bench) end(ctx context.Context, id string) error {
	now := time.Now().UTC().Format(time.RFC3339)
	patch, err := json.Marshal(map[string]any{"status": map[string]any{
		"startTime":      now,
		"completionTime": now,
		"conditions": []map[string]any{
			{"type": "Succeeded", "status": "False", "reason": "CouldntGetTask", "message": "bench", "lastTransitionTime": now},
		},
	}})
	if err != nil {
		return err
	}
	_, err = b.runs.Patch(ctx, build.RunName(id), types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// ends measures the time from the end of a run to the condition on its object.
func (b *bench) ends(ctx context.Context) error {
	const n = 100
	if err := b.createApplications(ctx, burst+steady, n); err != nil {
		return err
	}
	var took []time.Duration
	for i := range n {
		app := burst + steady + i
		id, err := b.trigger(ctx, app)
		if err != nil {
			return err
		}
		if _, err := b.await(ctx, []string{id}, true); err != nil {
			return err
		}
		begin := time.Now()
		if err := b.end(ctx, id); err != nil {
			return err
		}
		for {
			var o devtest.Object
			if err := b.Call(ctx, http.MethodGet, devtest.AppPath(b.application(app)), nil, &o); err != nil {
				return err
			}
			if o.Status.Build.Build == id && o.Status.Build.Final() {
				break
			}
			time.Sleep(time.Millisecond)
		}
		took = append(took, time.Since(begin))
	}
	b.atMost("end of a run to the condition on the object, p50", percentile(took, 50), 50*time.Millisecond)
	b.atMost("end of a run to the condition on the object, p99", percentile(took, 99), 500*time.Millisecond)
	return nil
}
