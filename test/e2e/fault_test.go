// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/test/devtest"
)

// victims are killed while builds run, all replicas of each at once.
var victims = []struct{ namespace, selector string }{
	{"ajour", "app.kubernetes.io/name=api"},
	{"ajour", "app.kubernetes.io/name=builder"},
	{"ajour", "app.kubernetes.io/name=status"},
	{"knative-eventing", "eventing.knative.dev/brokerRole=ingress"},
	{"knative-eventing", "eventing.knative.dev/brokerRole=filter"},
	{"knative-eventing", "messaging.knative.dev/role=dispatcher"},
	{"tekton-pipelines", "app.kubernetes.io/name=controller"},
	{"tekton-pipelines", "app.kubernetes.io/name=events"},
	{"tekton-pipelines", "app.kubernetes.io/name=webhook"},
	{"", "kube-apiserver"},
}

// TestNothingIsLostWhenEverythingIsKilled asks for builds while each part of the
// system is killed, in random order: every build that was accepted runs once, and
// its end is on its object.
func TestNothingIsLostWhenEverythingIsKilled(t *testing.T) {
	const builds = 20
	w := start(t)
	repo := shell(t, "sleep 5; "+makeFirmware)
	apps := make([]string, builds)
	for i := range apps {
		apps[i] = name(t)
		w.create(apps[i], "", repo)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	order := rand.New(rand.NewPCG(seed, 0)).Perm(len(victims))

	var killing sync.WaitGroup
	killing.Go(func() {
		for _, i := range order {
			kill(t, i)
			wait(t.Context(), 3*time.Second)
		}
	})
	watching, unwatch := context.WithCancel(t.Context())
	var beside sync.WaitGroup
	beside.Go(func() { killLeaders(watching, t) })
	beside.Go(func() { oneRunsAtATime(watching, t) })
	defer beside.Wait()
	defer unwatch()
	ids, superseded := make([]string, builds), map[string]string{}
	for i, app := range apps {
		if i%4 == 0 { // a build that is superseded, whenever that happens
			superseded[app] = triggerUntilAccepted(t, w, app, "first")
		}
		ids[i] = triggerUntilAccepted(t, w, app, "")
		wait(t.Context(), time.Second)
	}
	killing.Wait()
	t.Logf("all %d builds are accepted, all %d parts were killed", builds, len(victims))
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	refused := map[string]bool{}
	for i, app := range apps {
		refused[app] = awaitThroughFaults(ctx, t, w, app, ids[i])
	}
	unwatch()
	beside.Wait()
	for i, app := range apps {
		out, err := kubectl(t.Context(), "", "--namespace=ajour-builds", "get", "pods", "--selector=application="+app,
			"--output=jsonpath={range .items[*]}{.metadata.labels.ajour\\.drogue\\.io/build}{' '}{end}")
		if err != nil {
			t.Fatal(err)
		}
		pods := slices.DeleteFunc(strings.Fields(out), func(id string) bool { return id == superseded[app] })
		if refused[app] && len(pods) == 0 {
			continue // it ended before it had one, and its object says so
		}
		if diff := cmp.Diff([]string{ids[i]}, pods); diff != "" {
			t.Errorf("%s ran in other pods than one: %s", app, diff)
		}
	}
}

// killLeaders kills the leader of the builder every few seconds.
func killLeaders(ctx context.Context, t *testing.T) {
	t.Helper()
	for killed := 0; ; {
		wait(ctx, 5*time.Second)
		if ctx.Err() != nil {
			t.Logf("the leader was killed %d times", killed)
			return
		}
		leader, err := kubectl(
			ctx, "", "--namespace=ajour", "get", "lease", "ajour-builder",
			"--output=jsonpath={.spec.holderIdentity}",
		)
		if err != nil || leader == "" {
			continue // the API server is killed, too
		}
		if _, err := kubectl(
			ctx, "", "--namespace=ajour", "delete", "pod", leader, "--force", "--grace-period=0", "--wait=false",
		); err == nil {
			killed++
		}
	}
}

// oneRunsAtATime fails the test if two builds of an object run at the same time.
func oneRunsAtATime(ctx context.Context, t *testing.T) {
	t.Helper()
	const object, state = `{.metadata.labels.ajour\.drogue\.io/target}`, `{.spec.status}/{.status.conditions[0].status}`
	for ; ctx.Err() == nil; wait(ctx, 500*time.Millisecond) {
		out, err := kubectl(
			ctx, "", "--namespace="+builds, "get", "pipelineruns", "--selector=app.kubernetes.io/managed-by=ajour",
			`--output=jsonpath={range .items[*]}`+object+` `+state+`{"\n"}{end}`,
		)
		if err != nil {
			continue // the API server is killed, too
		}
		running := map[string]int{}
		for line := range strings.Lines(out) {
			object, state, _ := strings.Cut(strings.TrimSpace(line), " ")
			if state == "/Unknown" || state == "/" {
				running[object]++
			}
		}
		for object, n := range running {
			if n > 1 {
				t.Errorf("%d builds of %s run at the same time", n, object)
			}
		}
	}
}

// wait waits, which is what a fault takes to show.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func kill(t *testing.T, i int) {
	t.Helper()
	v := victims[i]
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if v.namespace == "" {
		program := os.Getenv("AJOUR_TEST_CLUSTER")
		if program == "" {
			t.Logf("%s is not killed: this cluster is not that of test/cluster", v.selector)
			return
		}
		if out, err := exec.CommandContext(ctx, program, "kill", v.selector).CombinedOutput(); err != nil {
			t.Errorf("kill %s: %v: %s", v.selector, err, out)
		}
		return
	}
	for { // the API server may be among the dead
		out, err := kubectl(
			ctx, "", "--namespace="+v.namespace, "delete", "pod", "--selector="+v.selector, "--force",
			"--grace-period=0", "--wait=false",
		)
		if err == nil && strings.Contains(out, "deleted") {
			return
		}
		if ctx.Err() != nil {
			t.Errorf("kill %s: %v: %s", v.selector, err, out)
			return
		}
		wait(ctx, 300*time.Millisecond)
	}
}

// triggerUntilAccepted repeats a call that was not answered with the same key, as
// clients should.
func triggerUntilAccepted(t *testing.T, w *world, app, key string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		var accepted struct{ ID string }
		err := w.CallWithKey(ctx, app+key, http.MethodPost, devtest.Builds+"/apps/"+app+"/trigger", &accepted)
		if err == nil {
			return accepted.ID
		}
		var status *devtest.StatusError
		if errors.As(err, &status) && status.Status < 500 || ctx.Err() != nil {
			t.Fatalf("trigger %s: %v", app, err)
		}
		wait(ctx, 300*time.Millisecond)
	}
}

// tektonForbidden is in the message of a build that Tekton gave up because an API server that
// had just started forbade Tekton to read a StepAction (TEK-34).
const tektonForbidden = `is forbidden: User "system:serviceaccount:tekton-pipelines:`

// awaitThroughFaults waits for the success of a build. It reports true if Tekton gave the build
// up in place of that, for the one reason that is not ours.
func awaitThroughFaults(ctx context.Context, t *testing.T, w *world, app, id string) (refused bool) {
	t.Helper()
	for {
		o, err := w.Watch(
			ctx, devtest.AppPath(app), nil,
			func(o devtest.Object) bool { return o.Status.Build.Build == id && o.Status.Build.Final() },
		)
		if err == nil {
			end := o.Status.Build
			refused = end.Reason == "InternalError" && strings.Contains(end.Message, tektonForbidden)
			switch {
			case refused:
				t.Logf("%s: Tekton gave the build up: %s", app, end.Message)
			case end.Reason != "Succeeded":
				t.Errorf("%s: %s: %s", app, end.Reason, end.Message)
			}
			return refused
		}
		if ctx.Err() != nil {
			out, _ := kubectl(
				context.WithoutCancel(ctx), "", "--namespace=ajour-builds", "get", "pipelineruns",
				"--selector=application="+app, "--output=yaml",
			)
			t.Fatalf("build %s of %s does not end: %v\n%s", id, app, err, fmt.Sprintf("%.4000s", out))
		}
		wait(ctx, 300*time.Millisecond)
	}
}
