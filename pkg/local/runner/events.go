// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"fmt"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/tektoncd/pipeline/pkg/reconciler/events/cloudevent"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"knative.dev/pkg/apis"
)

// Tekton's retries of one event: ten, from 10 ms on, doubling.
const (
	sendRetries = 10
	sendBackoff = 10 * time.Millisecond
)

type conditioned interface {
	runtime.Object
	metav1.ObjectMetaAccessor
	GetStatusCondition() apis.ConditionAccessor
}

// emit sends the event that belongs to the state of a run, as Tekton does: from
// a goroutine of its own, so in no order, with a bounded number of retries, and
// lost after that. The event itself is made by Tekton's own code; its source is
// malformed because objects from a typed client have no kind.
func (r *Runner) emit(run conditioned) {
	if r.options.Send == nil {
		return
	}
	ctx := context.Background() // an event is still sent while the runner ends
	//nolint:staticcheck // deprecated as internal to Tekton, which is what makes it the exact event
	ev, err := cloudevent.EventForObjectWithCondition(ctx, run)
	if err != nil {
		r.options.Log.ErrorContext(ctx, "event cannot be made", "run", run.GetObjectMeta().GetName(), "error", err)
		return
	}
	r.sending.Go(func() {
		if err := r.send(ctx, *ev); err != nil {
			r.options.Log.WarnContext(ctx, "event is lost", "type", ev.Type(), "run", ev.Subject(), "error", err)
		}
	})
}

func (r *Runner) send(ctx context.Context, ev cloudevents.Event) (err error) {
	for try := range sendRetries + 1 {
		if err = r.options.Send(ctx, ev); err == nil {
			return nil
		}
		t := time.NewTimer(sendBackoff << try)
		select {
		case <-r.stopped:
			t.Stop()
			return fmt.Errorf("runner ends: %w", err)
		case <-t.C:
		}
	}
	return err
}
