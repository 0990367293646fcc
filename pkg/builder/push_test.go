// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

var (
	commit = strings.Repeat("a", 40)
	before = strings.Repeat("b", 40)
)

// push is one to the branch main of the repository that descriptions of tests name.
func push(refs ...string) build.Push {
	p := build.Push{
		Application: "a", URLs: []string{"git@h:r.git", "https://h/r"}, DefaultBranch: "main", Time: now.Add(-time.Second),
	}
	for _, name := range refs {
		p.Refs = append(p.Refs, build.PushedRef{Name: name, Commit: commit, Before: before})
	}
	return p
}

// pushes is a listing whose runs are created by several at a time, each object with a section.
type pushes struct {
	*listing

	mu       sync.Mutex
	sections map[string]string
}

func (p *pushes) Create(ctx context.Context, s build.Spec) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.listing.Create(ctx, s)
}

func (p *pushes) EachDevice(ctx context.Context, app string, f func(build.ObjectRef, build.Object) error) error {
	return p.listing.EachDevice(ctx, app, func(ref build.ObjectRef, o build.Object) error {
		return f(ref, document{p.sections[ref.String()], "", o.UID()})
	})
}

func (p *pushes) Object(ctx context.Context, ref build.ObjectRef) (build.Object, error) {
	o, err := p.listing.Object(ctx, ref)
	return document{p.sections[ref.String()], "", o.UID()}, err
}

// newPushes has objects with a source each: "REV" or "REV URI", and perhaps triggers.
func newPushes(t *testing.T, sources map[string]string) *pushes {
	t.Helper()
	p := &pushes{listing: newListing(t, ""), sections: map[string]string{}}
	for name, source := range sources {
		app, device, _ := strings.Cut(name, "/")
		p.objects = append(p.objects, build.ObjectRef{Application: app, Device: device})
		source, triggers, _ := strings.Cut(source, " triggers=")
		rev, uri, ok := strings.Cut(source, " ")
		if !ok {
			uri = "https://h/r"
		}
		if triggers != "" {
			triggers = `,"triggers":[` + triggers + `]`
		}
		p.sections[name] = strings.Replace(
			fmt.Sprintf(section, triggers), `"uri":"https://h/r"`, fmt.Sprintf(`"uri":%q,"rev":%q`, uri, rev), 1,
		)
	}
	return p
}

func (p *pushes) pushed(t *testing.T, push build.Push) int {
	t.Helper()
	ev, err := event.Pushed(event.SourceAPI, id(9), push)
	return deliver(t, p, p.options, ev, err)
}

// TestAPushBuildsWhatIsMadeOfIt: the application and its devices whose source is that repository and
// that branch or tag, however both are written.
func TestAPushBuildsWhatIsMadeOfIt(t *testing.T) {
	t.Parallel()
	objects := map[string]string{
		"a":                     "main",
		"a/default branch":      "",
		"a/head":                "HEAD",
		"a/full name":           "refs/heads/main",
		"a/by ssh":              "main ssh://git@H:2222/r.git",
		"a/by scp":              "main git@h:r",
		"a/other letters":       "main https://h:8443/R/",
		"a/a tag":               "v1",
		"a/the tag in full":     "refs/tags/v1",
		"a/pushes only":         `main triggers="push"`,
		"a/manual and pushes":   `main triggers="manual","push"`,
		"a/changes only":        `main triggers="change"`,
		"a/manual":              `main triggers="manual"`,
		"a/other branch":        "next",
		"a/other repository":    "main https://h/r2",
		"a/repository below it": "main https://h/r/r",
		"a/other host":          "main https://h2/r",
		"a/a commit":            commit,
		"b":                     "main",
	}
	branch := []string{
		"a", "a/by scp", "a/by ssh", "a/default branch", "a/full name", "a/head", "a/manual and pushes", "a/other letters",
		"a/pushes only",
	}
	for name, tt := range map[string]struct {
		push build.Push
		want []string
	}{
		"a branch":          {push("refs/heads/main"), branch},
		"a tag":             {push("refs/tags/v1"), []string{"a/a tag", "a/the tag in full"}},
		"a branch and more": {push("refs/heads/none", "refs/tags/v1", "refs/heads/next"), []string{"a/a tag", "a/other branch", "a/the tag in full"}},
		"a branch that is like the name of a tag": {push("refs/heads/v1"), []string{"a/a tag"}},
		"a branch that is called like a commit":   {push("refs/heads/" + commit), nil},
		"a branch that is called like a ref":      {push("refs/heads/refs/heads/main", "refs/tags/refs/heads/main"), nil},
		"what nobody builds":                      {push("refs/heads/none"), nil},
	} {
		p := newPushes(t, objects)
		for range 2 {
			if code := p.pushed(t, tt.push); code != 202 {
				t.Fatal(name, code)
			}
		}
		var got []string
		for _, s := range p.created {
			got = append(got, s.Object.String())
			revision := commit
			if s.Object.Device == "a tag" && !strings.HasPrefix(name, "a branch that") { // there may be a branch of that name
				revision = ""
			}
			want := build.Spec{
				ID: s.ID, Object: s.Object, UIDs: s.UIDs, Description: s.Description, Hash: s.Description.Hash(),
				Revision: revision, Cause: build.CausePush, Requested: now.Add(-time.Second),
			}
			if diff := cmp.Diff(want, s); diff != "" {
				t.Error(name, diff)
			}
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Error(name, diff)
		}
	}
}

// TestWhatHasNoDefaultBranchBuildsByNameOnly: a forge that does not say which is the default branch
// does not build the wrong one.
func TestWhatHasNoDefaultBranchBuildsByNameOnly(t *testing.T) {
	t.Parallel()
	p := newPushes(t, map[string]string{"a": "", "a/d": "main"})
	unnamed := push("refs/heads/main")
	unnamed.DefaultBranch = ""
	if code := p.pushed(t, unnamed); code != 202 || len(p.created) != 1 || p.created[0].Object.Device != "d" {
		t.Error(code, p.created)
	}
}

// TestOnePushIsOneBuild: however often it is delivered, by two webhooks as well; a push of a
// different commit, back to an earlier one, and of an object that was made anew are others.
func TestOnePushIsOneBuild(t *testing.T) {
	t.Parallel()
	p := newPushes(t, map[string]string{"a": "main"})
	later := push("refs/heads/main")
	later.Time, later.URLs = now, []string{"https://h/r.git"}
	back := push("refs/heads/main")
	back.Refs[0].Commit, back.Refs[0].Before = before, commit
	for _, step := range []struct {
		push build.Push
		uid  string
		want int
	}{{push("refs/heads/main"), "", 1}, {later, "", 1}, {back, "", 2}, {later, "", 2}, {later, "anew", 3}} {
		p.uid = step.uid
		if code := p.pushed(t, step.push); code != 202 || len(p.created) != step.want {
			t.Fatalf("%d builds, want %d (%d)", len(p.created), step.want, code)
		}
	}
}

// TestALatePushDoesNotWin: builds are in the order in which a forge has taken the pushes, not in that
// of their deliveries; and what was pushed a second time is built a second time.
func TestALatePushDoesNotWin(t *testing.T) {
	t.Parallel()
	p := newPushes(t, map[string]string{"a": "main"})
	at := func(pushed, delivered time.Duration) build.Push {
		p := push("refs/heads/main")
		p.Pushed, p.Time = now.Add(pushed).Truncate(time.Second), now.Add(delivered)
		return p
	}
	// Pushed at -40 s and delivered late; at -30 s; twice at -20 s, the second time delivered later.
	for _, push := range []build.Push{
		at(-40*time.Second, -time.Second), at(-30*time.Second, -29*time.Second), at(-20*time.Second, -18*time.Second),
		at(-10*time.Second, -9*time.Second), at(-10*time.Second, -8*time.Second),
	} {
		if code := p.pushed(t, push); code != 202 {
			t.Fatal(code)
		}
	}
	if len(p.created) != 4 {
		t.Fatalf("%d builds, want one of each time", len(p.created))
	}
	for i := range p.created[1:] {
		if earlier, later := p.created[i], p.created[i+1]; !later.Requested.After(earlier.Requested) {
			t.Errorf("the build of %s is not after that of %s", later.Requested, earlier.Requested)
		}
	}
	second := at(-10*time.Second, -8*time.Second)
	first := at(-10*time.Second, -9*time.Second)
	if !second.Requested().After(first.Requested()) || second.Requested().After(now.Add(-9*time.Second)) {
		t.Error(first.Requested(), second.Requested())
	}
	if future := at(time.Hour, 0); !future.Requested().Equal(now) {
		t.Errorf("a forge whose clock is ahead: %s", future.Requested())
	}
}

// TestNoPushIsLost while something is away, and one that comes too late or that is none of ours
// builds nothing.
func TestNoPushIsLost(t *testing.T) {
	t.Parallel()
	late := push("refs/heads/main")
	late.Time = now.Add(-time.Hour - time.Second)
	away := errors.New("away")
	for name, tt := range map[string]struct {
		push    build.Push
		fail    map[string]error
		allowed []string
		code    int
		created int
	}{
		"all is well":                      {push("refs/heads/main"), nil, nil, 202, 2},
		"the application is enabled":       {push("refs/heads/main"), nil, []string{"a"}, 202, 2},
		"the registry is away":             {push("refs/heads/main"), map[string]error{"object": away}, nil, 503, 0},
		"the devices cannot be listed":     {push("refs/heads/main"), map[string]error{"list a": away}, nil, 503, 0},
		"the cluster is away":              {push("refs/heads/main"), map[string]error{"create": away}, nil, 503, 0},
		"the application is gone":          {push("refs/heads/main"), map[string]error{"object": build.ErrNoObject}, nil, 202, 0},
		"we may not read the application":  {push("refs/heads/main"), map[string]error{"object": build.ErrForbidden}, nil, 202, 0},
		"it is deleted in this moment":     {push("refs/heads/main"), map[string]error{"list a": build.ErrNoObject}, nil, 202, 2},
		"it is an hour late":               {late, nil, nil, 202, 0},
		"the application is not enabled":   {push("refs/heads/main"), nil, []string{"b"}, 202, 0},
		"it is of no branch":               {push("refs/notes/x"), nil, nil, 400, 0},
		"it says nothing":                  {push(), nil, nil, 400, 0},
		"a description of it became wrong": {push("refs/heads/wrong"), nil, nil, 202, 0},
	} {
		p := newPushes(t, map[string]string{"a": "main", "a/d": "main", "a/w": "wrong\\t$("})
		p.fail, p.options.Applications = tt.fail, tt.allowed
		if code := p.pushed(t, tt.push); code != tt.code || len(p.created) != tt.created {
			t.Errorf("%s: %d, %v", name, code, p.created)
		}
	}
}
