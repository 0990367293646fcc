// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/webhook"
)

const none = "0000000000000000000000000000000000000000"

func payload(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// helloAt is when GitHub's push was.
var helloAt = time.Date(2019, 5, 15, 15, 20, 57, 0, time.UTC)

func ref(name, commit, before string) build.PushedRef {
	return build.PushedRef{Name: name, Commit: commit, Before: before}
}

var hello = []string{
	"https://github.com/Codertocat/Hello-World.git", "git@github.com:Codertocat/Hello-World.git",
	"https://github.com/Codertocat/Hello-World",
}

// helloPush is a push of GitHub's example.
func helloPush(r build.PushedRef) build.Push {
	return build.Push{Pushed: helloAt, URLs: hello, DefaultBranch: "master", Refs: []build.PushedRef{r}}
}

// TestAPushIsReadAsEachForgeSendsIt.
func TestAPushIsReadAsEachForgeSendsIt(t *testing.T) {
	t.Parallel()
	const commit = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
	diaspora := []string{
		"http://example.com/mike/diaspora.git", "git@example.com:mike/diaspora.git", "http://example.com/mike/diaspora",
	}
	for name, tt := range map[string]struct {
		header http.Header
		body   string
		want   build.Push
	}{
		"a branch of GitHub": {
			header("X-GitHub-Event", "push"), payload(t, "github-push"),
			helloPush(ref("refs/heads/master", commit, none)),
		},
		"a branch of GitHub, as a form": {
			header("X-GitHub-Event", "push", "Content-Type", "application/x-www-form-urlencoded"),
			url.Values{"payload": {payload(t, "github-push")}}.Encode(),
			helloPush(ref("refs/heads/master", commit, none)),
		},
		"a tag of GitHub": {
			header("X-GitHub-Event", "push"), payload(t, "github-tag"),
			helloPush(ref("refs/tags/simple-tag", commit, none)),
		},
		"an annotated tag of GitHub, whose commit is that of the head": {
			header("X-GitHub-Event", "push"),
			strings.Replace(payload(t, "github-tag"), `"after": "`+commit, `"after": "`+strings.Repeat("a", 40), 1),
			helloPush(ref("refs/tags/simple-tag", commit, none)),
		},
		"a branch of Gitea": {
			header("X-GitHub-Event", "push", "X-Gitea-Event", "push"), payload(t, "gitea-push"),
			build.Push{
				URLs: []string{
					"http://localhost:3000/example/example.git", "git@localhost:example/example.git",
					"http://localhost:3000/example/example",
				},
				DefaultBranch: "master",
				Refs:          []build.PushedRef{ref("refs/heads/master", "67b56589a45103f891bdee7c0546e5d40bc02001", none)},
			},
		},
		"a branch of GitLab": {
			header("X-Gitlab-Event", "Push Hook"), payload(t, "gitlab-push"),
			build.Push{URLs: diaspora, DefaultBranch: "master", Refs: []build.PushedRef{
				ref("refs/heads/master", "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "95790bf891e76fee5e1747ab589903a6a1f80f22"),
			}},
		},
		"a branch of a whole GitLab": {
			header("X-Gitlab-Event", "System Hook"), payload(t, "gitlab-system-push"),
			build.Push{URLs: diaspora, DefaultBranch: "master", Refs: []build.PushedRef{
				ref("refs/heads/master", "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "95790bf891e76fee5e1747ab589903a6a1f80f22"),
			}},
		},
		"a tag of GitLab": {
			header("X-Gitlab-Event", "Tag Push Hook"), payload(t, "gitlab-tag"),
			build.Push{
				URLs: []string{
					"http://example.com/jsmith/example.git", "git@example.com:jsmith/example.git", "http://example.com/jsmith/example",
				},
				DefaultBranch: "master",
				Refs:          []build.PushedRef{ref("refs/tags/v1.0.0", "82b3d5ae55f7080f1e6022629cdb57bfae7cccc7", none)},
			},
		},
		"a branch of Bitbucket": {
			header("X-Event-Key", "repo:push"), payload(t, "bitbucket-push"),
			build.Push{
				URLs: []string{"https://api.bitbucket.org/bitbucket/bitbucket", "https://bitbucket.org/team_name/repo_name"},
				Refs: []build.PushedRef{
					ref("refs/heads/name-of-branch", "709d658dc5b6d6afcd46049c2f332ee3f515a67d", "1e65c05c1d5171631d92438a13901ca7dae9618c"),
				},
			},
		},
		"a tag of Bitbucket": {
			header("X-Event-Key", "repo:push"),
			`{"push": {"changes": [{"new": {"type": "annotated_tag", "name": "v1", "target": {"hash": "` + commit + `"}}}]},
				"repository": {"full_name": "a/b", "mainbranch": {"name": "main"}}}`,
			build.Push{
				URLs: []string{"https://bitbucket.org/a/b"}, DefaultBranch: "main",
				Refs: []build.PushedRef{{Name: "refs/tags/v1", Commit: commit}},
			},
		},
		"branches and tags of Bitbucket Data Center, without the one that is gone": {
			header("X-Event-Key", "repo:refs_changed"), payload(t, "bitbucket-data-center-push"),
			build.Push{
				Pushed: time.Date(2019, 3, 1, 9, 37, 14, 0, time.UTC),
				URLs: []string{
					"ssh://git@server.bitbucket.local:7999/~gopher/webhook-test.git",
					"https://server.bitbucket.local/scm/~gopher/webhook-test.git",
				},
				Refs: []build.PushedRef{
					ref("refs/heads/master", "178864a7d521b6f5e720b386b2c2b0ef8563e0dc", "ecddabb624f6f5ba43816f5926e580a5f680a932"),
					ref("refs/tags/v1", "178864a7d521b6f5e720b386b2c2b0ef8563e0dc", none),
				},
			},
		},
	} {
		got, reason, err := webhook.Decode(tt.header, []byte(tt.body))
		if diff := cmp.Diff(tt.want, got); diff != "" || reason != "" || err != nil {
			t.Errorf("%s: %s %v %s", name, reason, err, diff)
		}
	}
}

// TestWhatBuildsNothingSaysWhy, for people who read the deliveries of a forge.
func TestWhatBuildsNothingSaysWhy(t *testing.T) {
	t.Parallel()
	skipped := func(name, message, with string) string {
		text := payload(t, name)
		if !strings.Contains(text, message) {
			t.Fatalf("%s says nothing like %s", name, message)
		}
		return strings.ReplaceAll(text, message, with)
	}
	const (
		gone = "Nothing to build: the branch or tag is gone"
		skip = "Nothing to build: the commit says [skip ci]"
		ref  = "Nothing to build: no branch and no tag was pushed"
	)
	for name, tt := range map[string]struct {
		header     http.Header
		body, want string
	}{
		"a ping of GitHub": {
			header("X-GitHub-Event", "ping"), payload(t, "github-ping"), "Nothing to build: the event ping is no push",
		},
		"an event that is no JSON": {
			header("X-Event-Key", "diagnostics:ping\x1b"), "x", "Nothing to build: the event diagnostics:ping is no push",
		},
		"an issue of GitLab": {
			header("X-Gitlab-Event", "Issue Hook"), `{"object_kind": "issue"}`,
			"Nothing to build: the event issue is no push",
		},
		"a new project of a whole GitLab": {
			header("X-Gitlab-Event", "System Hook"), `{"event_name": "project_create"}`,
			"Nothing to build: the event project_create is no push",
		},
		"a branch that GitHub deletes": {header("X-GitHub-Event", "push"), payload(t, "github-delete"), gone},
		"a branch that GitLab deletes": {
			header("X-Gitlab-Event", "Push Hook"),
			`{"object_kind": "push", "ref": "refs/heads/a", "after": "` + none + `", "checkout_sha": null}`, gone,
		},
		"a branch that Bitbucket deletes": {
			header("X-Event-Key", "repo:push"), `{"push": {"changes": [{"new": null, "closed": true}]}}`, gone,
		},
		"a branch that Data Center deletes": {
			header("X-Event-Key", "repo:refs_changed"), payload(t, "bitbucket-data-center-delete"), gone,
		},
		"a push of nothing": {header("X-Event-Key", "repo:push"), `{}`, ref},
		"a note": {
			header("X-GitHub-Event", "push"), skipped("github-push", "refs/heads/master", "refs/notes/commits"), ref,
		},
		"a commit of GitHub":      {header("X-GitHub-Event", "push"), skipped("github-push", "Initial commit", "A [Skip CI]"), skip},
		"a commit of Gitea":       {header("X-GitHub-Event", "push"), skipped("gitea-push", `example\n`, "[ci skip]"), skip},
		"a commit of GitLab":      {header("X-Gitlab-Event", "Push Hook"), skipped("gitlab-push", "fixed readme", "[skip ci]"), skip},
		"a commit of Bitbucket":   {header("X-Event-Key", "repo:push"), skipped("bitbucket-push", `new commit message\n`, "[skip ci]"), skip},
		"a commit of Data Center": {header("X-Event-Key", "repo:refs_changed"), skipped("bitbucket-data-center-push", "Mend the board", "[skip ci]"), skip},
		"a push of GitLab with -o ci.skip=true": {
			header("X-Gitlab-Event", "Push Hook"),
			skipped("gitlab-push", `"object_kind": "push"`, `"object_kind": "push", "push_options": {"ci": {"skip": "true"}}`), skip,
		},
		"a branch whose name git would take and we do not": {
			header("X-GitHub-Event", "push"), skipped("github-push", "refs/heads/master", `refs/heads/a\u00a0b`), ref,
		},
		"a push of GitLab with -o ci.skip": {
			header("X-Gitlab-Event", "Push Hook"),
			skipped("gitlab-push", `"object_kind": "push"`, `"object_kind": "push", "push_options": {"ci": {"skip": true}}`), skip,
		},
	} {
		got, reason, err := webhook.Decode(tt.header, []byte(tt.body))
		if reason != tt.want || err != nil || len(got.Refs) > 0 {
			t.Errorf("%s: %q %v %v", name, reason, err, got.Refs)
		}
	}
}

// TestAnEarlierCommitThatSaysSkipDoesNotCount: only the newest one decides.
func TestAnEarlierCommitThatSaysSkipDoesNotCount(t *testing.T) {
	t.Parallel()
	body := strings.Replace(payload(t, "gitlab-push"), "Update Catalan", "[skip ci]", 1)
	if p, reason, err := webhook.Decode(header("X-Gitlab-Event", "Push Hook"), []byte(body)); len(p.Refs) != 1 {
		t.Error(p, reason, err)
	}
}

// TestWhatIsNoPayloadIsAnError.
func TestWhatIsNoPayloadIsAnError(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header http.Header
		body   string
	}{
		"no event":     {header(), "{}"},
		"no JSON":      {header("X-GitHub-Event", "push"), "ref"},
		"no object":    {header("X-Gitlab-Event", "Push Hook"), "[]"},
		"a wrong type": {header("X-Event-Key", "repo:push"), `{"push": {"changes": 1}}`},
		"no form":      {header("X-GitHub-Event", "push", "Content-Type", "application/x-www-form-urlencoded"), "%"},
		"no field":     {header("X-GitHub-Event", "push", "Content-Type", "application/x-www-form-urlencoded"), "a=b"},
		"no URL": {
			header("X-Event-Key", "repo:refs_changed"),
			`{"changes": [{"refId": "refs/heads/a", "toHash": "` + strings.Repeat("a", 40) + `"}]}`,
		},
	} {
		if p, reason, err := webhook.Decode(tt.header, []byte(tt.body)); err == nil {
			t.Errorf("%s: %v %q", name, p, reason)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"github-push", "gitlab-push", "bitbucket-push", "bitbucket-data-center-push"} {
		for _, event := range []string{"X-GitHub-Event push", "X-Gitlab-Event Push", "X-Event-Key repo:push", "X-Event-Key repo:refs_changed"} {
			f.Add(event, payload(f, name))
		}
	}
	f.Fuzz(func(t *testing.T, event, body string) {
		name, value, _ := strings.Cut(event, " ")
		p, reason, err := webhook.Decode(header(name, value), []byte(body))
		if err == nil && (reason == "") != (len(p.Refs) > 0) {
			t.Errorf("%v %q", p, reason)
		}
	})
}
