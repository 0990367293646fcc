// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/builder"
	"github.com/drogue-iot/ajour/pkg/event/eventtest"
)

// builds is what the builder works with: a registry whose objects have revisions, which are an
// argument of their descriptions, and runs, which never end.
type builds struct {
	mu        sync.Mutex
	revisions map[build.ObjectRef]int
	runs      map[string]build.Spec // by the names of runs
}

func newBuilds() *builds {
	return &builds{revisions: map[build.ObjectRef]int{}, runs: map[string]build.Spec{}}
}

// handler is the builder, in place of the broker that would call it.
func (b *builds) handler() http.Handler {
	return builder.New(
		builder.Deps{State: b, Runs: b, Canceller: b, Objects: b, List: b, Sender: b},
		builder.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now, Events: eventtest.Options(time.Now())},
	)
}

// change gives an object its next revision, which it returns.
func (b *builds) change(o build.ObjectRef) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.revisions[o]++
	return b.revisions[o]
}

// newest returns how many objects there are, and those whose newest revision is not built exactly
// once, with how often it is.
func (b *builds) newest() (all int, wrong map[string]int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	times := map[build.ObjectRef]int{}
	for _, s := range b.runs {
		if s.Description.Args[0] == strconv.Itoa(b.revisions[s.Object]) {
			times[s.Object]++
		}
	}
	wrong = map[string]int{}
	for o := range b.revisions {
		if times[o] != 1 {
			wrong[o.String()] = times[o]
		}
	}
	return len(b.revisions), wrong
}

// object is a device with a revision, and its application without a description.
type object struct {
	ref      build.ObjectRef
	revision int
}

func (o object) UID() string                       { return "uid-" + o.ref.String() }
func (o object) Status(string) json.RawMessage     { return nil }
func (o object) SetStatus(string, json.RawMessage) {}
func (object) Labels() map[string]string           { return nil }
func (o object) Firmware() json.RawMessage {
	return json.RawMessage(
		fmt.Sprintf(`{"container":{"image":"a:1","build":{"image":"b","args":["%d"],"artifact":{"path":"f"},
		"source":{"git":{"uri":"https://h/r","rev":"main","project":"."}}}}}`, o.revision),
	)
}

func (b *builds) Object(_ context.Context, o build.ObjectRef) (build.Object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return object{o, b.revisions[o]}, nil
}

func (b *builds) run(s build.Spec) build.Run {
	return build.Run{ID: s.ID, Object: s.Object, UIDs: s.UIDs, Status: build.Status{
		Phase: build.Running, DescriptionHash: s.Hash, Requested: s.Requested, Cause: s.Cause,
	}}
}

func (b *builds) Create(_ context.Context, s build.Spec) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.runs[build.RunName(s.ID)]; !there {
		b.runs[build.RunName(s.ID)] = s
	}
	return nil
}

func (b *builds) Find(name string) (build.Run, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, there := b.runs[name]
	if !there {
		return build.Run{}, build.ErrNotFound
	}
	return b.run(s), nil
}

func (b *builds) Get(_ context.Context, id string) (build.Run, error) {
	return b.Find(build.RunName(id))
}

func (b *builds) ListObject(_ context.Context, o build.ObjectRef) (list []build.Run, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.runs {
		if s.Object == o {
			list = append(list, b.run(s))
		}
	}
	return list, nil
}

func (*builds) Cancel(context.Context, build.Run, build.Reason, string) error { return nil }
func (*builds) Send(context.Context, cloudevents.Event) error                 { return nil }

func (*builds) EachApplication(context.Context, func(build.ObjectRef, build.Object) error) error {
	return nil
}

func (*builds) EachDevice(context.Context, string, func(build.ObjectRef, build.Object) error) error {
	return nil
}
