// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/test/devtest"
)

const hookSecret = "MFPQ5XOSKJKQ2UYVXCRC4GTIVB"

// pushed is the payload of a push to a repository, as GitHub writes it.
func pushed(url, ref, commit string) string {
	return fmt.Sprintf(
		`{"ref": %q, "before": %q, "after": %q, "head_commit": {"id": %[3]q}, "repository": {"clone_url": %[4]q, "default_branch": "main"}}`,
		ref,
		strings.Repeat("0", 40),
		commit,
		url,
	)
}

// deliver calls a webhook as GitHub does, and returns the status.
func (w *world) deliver(app, body string) (int, error) {
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte(body))
	req, err := http.NewRequestWithContext(
		w.t.Context(), http.MethodPost, w.URL+devtest.Builds+"/hooks/"+app, strings.NewReader(body),
	)
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// TestAPushThatIsDeliveredAThousandTimesIsOneBuild, of the commit that was pushed and of each object
// that is made of it, whatever the branch points to by then.
func TestAPushThatIsDeliveredAThousandTimesIsOneBuild(t *testing.T) {
	t.Parallel()
	w := start(t, "--secrets="+ofApplications(t, map[string]map[string]string{"webhooks": {"app": hookSecret}}))
	url, commit := serve(t, fstest.MapFS{"README": {Data: []byte("x"), Mode: 0o644}})
	spec := shell(url, makeFirmware, source("rev", "main"), member("triggers", []string{"push"}))
	w.createApp("app", spec)
	w.createDevice("app", "d % e/f", spec)
	w.createDevice(
		"app",
		"manual",
		shell(url, makeFirmware, source("rev", "main"), member("triggers", []string{"manual"})),
	)
	var g errgroup.Group
	g.SetLimit(20)
	for range 1000 {
		g.Go(func() error {
			code, err := w.deliver("app", pushed(url, "refs/heads/main", commit))
			if err == nil && code != http.StatusAccepted {
				err = fmt.Errorf("status %d", code)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{devtest.AppPath("app"), devtest.AppPath("app") + "/devices/d%20%25%20e%2Ff"} {
		o := w.until(path, func(o devtest.Object) bool { return o.Status.Build.Final() })
		if b := o.Status.Build; b.Reason != "Succeeded" || b.Commit != commit || b.Cause != "push" {
			t.Errorf("%+v", b)
		}
	}
	// A later push is handled after all of them.
	if code, err := w.deliver("app", pushed(url, "refs/heads/main", strings.Repeat("a", 40))); err != nil || code != 202 {
		t.Fatal(code, err)
	}
	o := w.until(
		devtest.AppPath("app"),
		func(o devtest.Object) bool { return o.Status.Build.Reason == "RevisionNotFound" },
	)
	if o.Status.Build.Commit != strings.Repeat("a", 40) {
		t.Errorf("%+v", o.Status.Build)
	}
	if list := w.builds("?application=app"); len(list) != 2 {
		t.Errorf("%+v", list)
	}
	if list := w.builds(""); len(list) != 4 {
		t.Errorf("%+v", list)
	}
}
