// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	clientv1 "github.com/tektoncd/pipeline/pkg/client/clientset/versioned/typed/pipeline/v1"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
	"github.com/drogue-iot/ajour/test/devtest"
)

const (
	backend   = "http://backend.ajour-test.svc.cluster.local"
	api       = "http://api.ajour.svc.cluster.local"
	namespace = "ajour-builds"
	clients   = 16
)

// bench is the client of an installation and of its cluster.
type bench struct {
	devtest.Client
	runs   clientv1.PipelineRunInterface
	prefix string // of the names of this run
	missed int

	mu   sync.Mutex
	seen map[string]*sighting // by build id, or by application for one that a push began
}

// sighting is when a watch first showed something of a run.
type sighting struct {
	name             string
	visible, started time.Time
	times            int
}

func connect(ctx context.Context) (*bench, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // the API server is the limit
	client, err := clientv1.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	b := &bench{
		Client: devtest.Client{URL: backend, API: api}, runs: client.PipelineRuns(namespace),
		prefix: fmt.Sprintf("bench-%d", time.Now().Unix()), seen: map[string]*sighting{},
	}
	if b.Token, err = login(ctx, "bench"); err != nil {
		return nil, err
	}
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 2 * clients
	return b, nil
}

// login returns a token of a user.
func login(ctx context.Context, user string) (string, error) {
	form := url.Values{"username": {user}}
	req, err := http.NewRequestWithContext(
		ctx, http.MethodPost, backend+"/realms/drogue/token", strings.NewReader(form.Encode()),
	)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("log in as %s: %w", user, err)
	}
	return answer.Token, nil
}

func kubectl(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "kubectl", args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// pauseTekton scales Tekton's controller to zero, and returns what undoes it.
func (b *bench) pauseTekton(ctx context.Context) (restore func() error, err error) {
	scale := func(ctx context.Context, n string) error {
		_, err := kubectl(
			ctx, "--namespace=tekton-pipelines", "scale", "deployment/tekton-pipelines-controller", "--replicas="+n,
		)
		return err
	}
	if err := scale(ctx, "0"); err != nil {
		return nil, err
	}
	_, err = kubectl(ctx, "--namespace=tekton-pipelines", "wait", "--for=delete", "pod",
		"--selector=app.kubernetes.io/name=controller", "--timeout=60s")
	return func() error { return scale(context.WithoutCancel(ctx), "1") }, err
}

// watch notes when runs become visible and when they are started.
func (b *bench) watch(ctx context.Context) error {
	list, err := b.runs.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	w, err := b.runs.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return err
	}
	go func() {
		for ev := range w.ResultChan() {
			if pr, ok := ev.Object.(*v1.PipelineRun); ok {
				b.note(pr)
			}
		}
	}()
	return nil
}

func (b *bench) note(pr *v1.PipelineRun) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	id := pr.Labels["ajour.drogue.io/build"]
	if pr.Annotations["ajour.drogue.io/cause"] == "push" {
		id = pr.Annotations["ajour.drogue.io/application"]
	}
	s := b.seen[id]
	if s == nil {
		s = &sighting{name: pr.Name, visible: now, times: 1}
		b.seen[id] = s
	} else if s.name != pr.Name {
		s.times++
	}
	if pr.Spec.Status == "" && s.started.IsZero() {
		s.started = now
	}
}

// await waits until runs of all ids were seen, started if that is asked for.
func (b *bench) await(ctx context.Context, ids []string, started bool) ([]sighting, error) {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		b.mu.Lock()
		var found []sighting
		for _, id := range ids {
			if s := b.seen[id]; s != nil && (!started || !s.started.IsZero()) {
				found = append(found, *s)
			}
		}
		b.mu.Unlock()
		if len(found) == len(ids) {
			return found, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return found, fmt.Errorf("%d of %d runs were seen", len(found), len(ids))
		}
		time.Sleep(time.Millisecond)
	}
}

// createRun creates a run directly, as the builder would. The function changes it before.
func (b *bench) createRun(
	ctx context.Context, o build.ObjectRef, d build.Description, requested time.Time, change func(*v1.PipelineRun),
) (id string, err error) {
	id = uuid.Must(uuid.NewV7()).String()
	pr, err := tekton.Render(
		build.Spec{ID: id, Object: o, Description: d, Hash: d.Hash(), Cause: build.CauseAPI, Requested: requested},
		tekton.Config{Namespace: namespace, ServiceAccount: "ajour-build", Layout: tekton.OnePod},
	)
	if err != nil {
		return "", err
	}
	change(pr)
	_, err = b.runs.Create(ctx, pr, metav1.CreateOptions{})
	return id, err
}

// begun has a run that is created begin at once.
func begun(pr *v1.PipelineRun) { pr.Spec.Status = "" }

// row prints a figure with its limit.
func (b *bench) row(what, figure string, met bool, limit string) {
	mark := "ok  "
	if !met {
		mark = "MISS"
		b.missed++
	}
	fmt.Printf("%s  %-58s %14s   (%s)\n", mark, what, figure, limit)
}

func (b *bench) atMost(what string, got, limit time.Duration) {
	b.row(what, got.Round(100*time.Microsecond).String(), got <= limit, "at most "+limit.String())
}

// percentile returns the p-th percentile of durations.
func percentile(list []time.Duration, p int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

// parallel calls f for each index by the clients, until one fails.
func parallel(n int, f func(i int) error) error {
	var failed atomic.Bool
	var g errgroup.Group
	g.SetLimit(clients)
	for i := 0; i < n && !failed.Load(); i++ {
		g.Go(func() error {
			err := f(i)
			failed.CompareAndSwap(false, err != nil)
			return err
		})
	}
	return g.Wait()
}
