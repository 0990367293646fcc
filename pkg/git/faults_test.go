// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/git/gittest"
)

// TestBranchesHaveTheNamesThatGitAllows as git-check-ref-format(1) has them.
func TestBranchesHaveTheNamesThatGitAllows(t *testing.T) {
	t.Parallel()
	s, repo := gittest.Start(t)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	commit, err := repo.Commit(t.Context(), "main", fstest.MapFS{"file": {Data: []byte("x"), Mode: 0o644}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"feature/#12-x", "fix,comma", "ümlaut", "a!b", "@scope", "a@b", "x(y)", "it's", "ABCDEF1", "+plus"} {
		if _, err := repo.Git(t.Context(), "push", "--quiet", "origin", "main:refs/heads/"+name); err != nil {
			t.Fatal(err)
		}
		if got, _, err := fetch(t, srv.URL+repo.Path(), name, "."); err != nil || got.Commit != commit {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

// TestFaultsThatLastAreNotRepeated, and are explained.
func TestFaultsThatLastAreNotRepeated(t *testing.T) {
	t.Parallel()
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>\n<body>Log in</body>\n</html>\n")
	}
	dumb := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, strings.Repeat("a", 40)+"\trefs/heads/main\n")
	}
	full := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = io.WriteString(w, "001e# service=git-upload-pack\n0000002bERR cannot create: No space left on device\n")
	}
	for name, tt := range map[string]struct {
		answer   http.HandlerFunc
		reason   build.Reason
		says     string
		attempts int32 // of requests
	}{
		"a page to log in":       {page, build.ReasonSourceNotFound, "a page to log in", 1},
		"a server of files":      {dumb, build.ReasonSourceNotFound, "smart HTTP", 2}, // it asks for HEAD, too
		"the disk of the server": {full, build.ReasonSourceUnavailable, "could not be reached: remote error: ", 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				tt.answer(w, r)
			}))
			t.Cleanup(srv.Close)
			_, _, err := fetch(t, srv.URL+"/fw.git", "main", ".")
			var step *build.StepError
			if !errors.As(err, &step) || step.Reason != tt.reason || !strings.Contains(step.Message, tt.says) ||
				requests.Load() > tt.attempts {
				t.Errorf("%d requests: %v", requests.Load(), err)
			}
		})
	}
}
