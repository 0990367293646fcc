// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

const (
	hookSecret = "MFPQ5XOSKJKQ2UYVXCRC4GTIVB"
	hookPath   = "/api/builds/v1alpha1/hooks/app"
)

var commit = strings.Repeat("a", 40)

// pushed is the payload of a push as GitHub writes it.
var pushed = fmt.Sprintf(
	`{"ref": "refs/heads/main", "before": %q, "after": %q, "head_commit": {"id": %[2]q, "message": "Mend it"},
	"repository": {"clone_url": "https://h/r.git", "ssh_url": "git@h:r.git", "html_url": "https://h/r", "default_branch": "main"}}`,
	strings.Repeat("b", 40),
	commit,
)

// secrets has that of one application.
type secrets struct{ err error }

func (s secrets) Secrets(application string) ([]string, error) {
	if application != "app" {
		return nil, s.err
	}
	return []string{hookSecret}, s.err
}

func hmacOf(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// forge delivers what a forge sends.
func (w *world) forge(t *testing.T, path, event, signature string, body io.Reader) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, path, body)
	req.Header.Set("X-GitHub-Event", event)
	if signature != "" {
		req.Header.Set("X-Hub-Signature-256", signature)
	}
	res := httptest.NewRecorder()
	w.handler().ServeHTTP(res, req)
	return res
}

// TestAPushIsAccepted: as one event, which says all that the builder has to know.
func TestAPushIsAccepted(t *testing.T) {
	t.Parallel()
	for _, prefix := range api.Prefixes {
		w := newWorld()
		w.hooks, w.fail["registry"] = secrets{}, errors.New("nobody asks it")
		res := w.forge(t, prefix+"/hooks/app", "push", hmacOf(hookSecret, pushed), strings.NewReader(pushed))
		if res.Code != http.StatusAccepted || len(w.sent) != 1 {
			t.Fatal(res.Code, res.Body, w.sent)
		}
		got, err := event.DecodePushed(w.sent[0])
		want := build.Push{
			Application:   "app",
			URLs:          []string{"https://h/r.git", "git@h:r.git", "https://h/r"},
			DefaultBranch: "main",
			Time:          now,
			Refs:          []build.PushedRef{{Name: "refs/heads/main", Commit: commit, Before: strings.Repeat("b", 40)}},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(err, diff)
		}
	}
}

// TestAForgeIsAnsweredPlainly: what is wrong with a delivery, and nothing of what is installed.
func TestAForgeIsAnsweredPlainly(t *testing.T) {
	t.Parallel()
	const unknown = `"The signature is not valid, or there is no webhook for this application`
	right := hmacOf(hookSecret, pushed)
	ping, short := `{"zen": "x"}`, strings.ReplaceAll(pushed, commit, commit[:7])
	for name, tt := range map[string]struct {
		path, event, signature, body string
		fail                         error // of the broker
		code                         int
		answer                       string
	}{
		"no signature":                  {hookPath, "push", "", pushed, nil, 401, unknown},
		"a wrong signature":             {hookPath, "push", hmacOf(hookSecret+"x", pushed), pushed, nil, 401, unknown},
		"a signature that is cut off":   {hookPath, "push", right[:40], pushed, nil, 401, unknown},
		"another body":                  {hookPath, "push", right, pushed + " ", nil, 401, unknown},
		"an application without one":    {"/api/builds/v1alpha1/hooks/plain", "push", right, pushed, nil, 401, unknown},
		"no application":                {"/api/builds/v1alpha1/hooks/", "push", right, pushed, nil, 401, unknown},
		"a path that leaves the folder": {"/api/builds/v1alpha1/hooks/..%2Fapp", "push", right, pushed, nil, 401, unknown},
		"no JSON, and no signature":     {hookPath, "push", "", "x", nil, 401, unknown},
		"no JSON":                       {hookPath, "push", hmacOf(hookSecret, "x"), "x", nil, 400, `no payload of a push`},
		"no hash of a commit":           {hookPath, "push", hmacOf(hookSecret, short), short, nil, 400, `without the full hash`},
		"a ping":                        {hookPath, "ping", hmacOf(hookSecret, ping), ping, nil, 200, "Nothing to build: the event ping is no push\n"},
		"a broker that is away":         {hookPath, "push", right, pushed, errors.New("away"), 503, "try again"},
		"a push":                        {hookPath, "push", right, pushed, nil, 202, "Accepted: what of app is built from this branch or tag is built\n"},
	} {
		w := newWorld()
		w.hooks, w.fail["send"] = secrets{}, tt.fail
		res := w.forge(t, tt.path, tt.event, tt.signature, strings.NewReader(tt.body))
		if res.Code != tt.code || !strings.Contains(res.Body.String(), tt.answer) {
			t.Errorf("%s: %d %s", name, res.Code, res.Body)
		}
		if sent := len(w.sent) > 0; sent != (tt.code == 202 || tt.fail != nil) {
			t.Errorf("%s: sent %v", name, w.sent)
		}
		if strings.Contains(res.Header().Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: asks for a token", name)
		}
	}
}

// TestEveryForgeIsTakenByItsSignatureOnly: each with what it publishes as the payload of a push.
func TestEveryForgeIsTakenByItsSignatureOnly(t *testing.T) {
	t.Parallel()
	bare := func(secret, body string) string { return strings.TrimPrefix(hmacOf(secret, body), "sha256=") }
	token := func(secret, _ string) string { return secret }
	for name, forge := range map[string]struct {
		payload, event, value, header string
		sign                          func(secret, body string) string
	}{
		"GitHub":                {"github-push", "X-GitHub-Event", "push", "X-Hub-Signature-256", hmacOf},
		"Gitea":                 {"gitea-push", "X-Gitea-Event", "push", "X-Gitea-Signature", bare},
		"Forgejo":               {"gitea-push", "X-Forgejo-Event", "push", "X-Forgejo-Signature", bare},
		"GitLab":                {"gitlab-push", "X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", token},
		"GitLab, a tag":         {"gitlab-tag", "X-Gitlab-Event", "Tag Push Hook", "X-Gitlab-Token", token},
		"Bitbucket":             {"bitbucket-push", "X-Event-Key", "repo:push", "X-Hub-Signature", hmacOf},
		"Bitbucket Data Center": {"bitbucket-data-center-push", "X-Event-Key", "repo:refs_changed", "X-Hub-Signature", hmacOf},
	} {
		data, err := os.ReadFile("../webhook/testdata/" + forge.payload + ".json")
		if err != nil {
			t.Fatal(err)
		}
		body := string(data)
		right := forge.sign(hookSecret, body)
		sha := hmac.New(sha1.New, []byte(hookSecret))
		sha.Write(data)
		for how, tt := range map[string]struct {
			header, signature string
			code              int
		}{
			"right":           {forge.header, right, 202},
			"wrong":           {forge.header, forge.sign("x"+hookSecret, body), 401},
			"cut off":         {forge.header, right[:len(right)-2], 401},
			"missing":         {"", "", 401},
			"SHA-1":           {"X-Hub-Signature", "sha1=" + hex.EncodeToString(sha.Sum(nil)), 401},
			"an empty secret": {forge.header, forge.sign("", body), 401},
		} {
			w := newWorld()
			w.hooks = secrets{}
			req := httptest.NewRequest(http.MethodPost, hookPath, strings.NewReader(body))
			req.Header.Set(forge.event, forge.value)
			if forge.header == "X-Gitea-Signature" || forge.header == "X-Forgejo-Signature" {
				req.Header.Set("X-GitHub-Event", forge.value) // both send it as well
			}
			if tt.header != "" {
				req.Header.Set(tt.header, tt.signature)
			}
			res := httptest.NewRecorder()
			if w.handler().ServeHTTP(res, req); res.Code != tt.code || len(w.sent) > 0 != (tt.code == 202) {
				t.Errorf("%s, %s: %d %s", name, how, res.Code, res.Body)
			}
		}
	}
}

// TestDeliveriesThatNoForgeMakes: by a different method, of a size that no forge sends, while no
// webhook is set up, or while the secrets cannot be read.
func TestDeliveriesThatNoForgeMakes(t *testing.T) {
	t.Parallel()
	w := newWorld()
	right := hmacOf(hookSecret, pushed)
	if res := w.forge(t, hookPath, "push", right, strings.NewReader(pushed)); res.Code != 401 {
		t.Errorf("without secrets: %d", res.Code)
	}
	w.hooks = secrets{errors.New("input/output error")}
	if res := w.forge(t, hookPath, "push", right, strings.NewReader(pushed)); res.Code != 503 ||
		strings.Contains(res.Body.String(), "input") {
		t.Errorf("secrets that cannot be read: %d %s", res.Code, res.Body)
	}
	w.hooks = secrets{}
	large := strings.Repeat(" ", 25<<20+1)
	for name, body := range map[string]io.Reader{
		"known": strings.NewReader(large), "unknown": io.MultiReader(strings.NewReader(large)),
	} {
		if res := w.forge(t, hookPath, "push", hmacOf(hookSecret, large), body); res.Code != 413 {
			t.Errorf("a body of %s size that is too large: %d", name, res.Code)
		}
	}
	if res := w.call(t, "trigger", http.MethodGet, hookPath); res.StatusCode != 405 || res.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %d", res.StatusCode)
	}
	w.policy, w.enabled = build.Policy{}, []string{"other"}
	if res := w.forge(t, hookPath, "push", right, strings.NewReader(pushed)); res.Code != 200 ||
		!strings.Contains(res.Body.String(), "not enabled") {
		t.Errorf("an application that is not enabled: %d %s", res.Code, res.Body)
	}
	if len(w.sent) > 0 {
		t.Error(w.sent)
	}
}

// TestBodiesThatDoNotComeHoldNobodyUp: who only says that a body is large takes no memory from others,
// and is cut off.
func TestBodiesThatDoNotComeHoldNobodyUp(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.hooks = secrets{}
	srv := httptest.NewServer(w.handler())
	defer srv.Close()
	var conns []net.Conn
	for range 20 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(
			conn, "POST %s HTTP/1.1\r\nHost: h\r\nX-Gitlab-Token: x\r\nContent-Length: %d\r\n\r\n{", hookPath, 25<<20,
		)
		conns = append(conns, conn)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+hookPath, strings.NewReader(pushed))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-Hub-Signature-256", hmacOf(hookSecret, pushed))
	res, err := srv.Client().Do(req)
	if err != nil || res.StatusCode != http.StatusAccepted {
		t.Error(res, err)
	}
	res.Body.Close()
	_ = conns[0].SetReadDeadline(time.Now().Add(time.Minute))
	answer, err := io.ReadAll(conns[0])
	if !bytes.Contains(answer, []byte("400 Bad Request")) || !bytes.Contains(answer, []byte("came too slowly")) {
		t.Errorf("%s %v", answer, err)
	}
}

// TestNoMutatedBodyIsBuilt: nor does one of them do any harm, signed or not.
func TestNoMutatedBodyIsBuilt(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	signature := hmacOf(hookSecret, pushed)
	for range 40 {
		body := []byte(pushed)
		for range 1 + random.IntN(4) {
			body[random.IntN(len(body))] ^= byte(1 + random.IntN(255))
		}
		w := newWorld()
		w.hooks = secrets{}
		if res := w.forge(t, hookPath, "push", signature, bytes.NewReader(body)); res.Code != 401 || len(w.sent) > 0 {
			t.Errorf("%q: %d", body, res.Code)
		}
		res := w.forge(t, hookPath, "push", hmacOf(hookSecret, string(body)), bytes.NewReader(body))
		if res.Code != 202 && res.Code != 200 && res.Code != 400 {
			t.Errorf("signed %q: %d", body, res.Code)
		}
	}
}
