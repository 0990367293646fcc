// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/console"
)

const issuer = "https://sso.example.org/realms/drogue"

// ask calls a new handler, with the headers that a browser sends for a page.
func ask(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	h, err := console.New(issuer)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// assets is the path of the files that the page names.
func assets(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`/assets/[0-9a-f]{16}/`).FindString(body(t, ask(t, http.MethodGet, "/")))
	if found == "" {
		t.Fatal("the page names no files")
	}
	return found
}

func TestAPageMayDoLittle(t *testing.T) {
	t.Parallel()
	res := ask(t, http.MethodGet, "/builds/1?tab=log")
	got := map[string]string{"status": res.Status}
	for name := range res.Header {
		got[name] = res.Header.Get(name)
	}
	delete(got, "Content-Length")
	want := map[string]string{
		"status": "200 OK", "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache",
		"Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin",
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
			"connect-src 'self' https://sso.example.org; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
			"require-trusted-types-for 'script'; trusted-types lit-html",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFilesStayInBrowsers(t *testing.T) {
	t.Parallel()
	path := assets(t)
	for _, tt := range []struct {
		path, accepts, kind, stored string
		status                      int
	}{
		{path + "main.js", "*/*", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", 200},
		{path + "app.css", "text/css", "text/css; charset=utf-8", "public, max-age=31536000, immutable", 200},
		{"/assets/0123456789abcdef/main.js", "*/*", "text/javascript; charset=utf-8", "no-cache", 200},
		{path + "index.html", "text/html", "text/plain; charset=utf-8", "", 404},
		{path + "../console.go", "*/*", "text/plain; charset=utf-8", "", 404},
		{"/favicon.ico", "image/*", "text/plain; charset=utf-8", "", 404},
	} {
		res := ask(t, http.MethodGet, tt.path, "Accept", tt.accepts)
		got := []any{res.StatusCode, res.Header.Get("Content-Type"), res.Header.Get("Cache-Control")}
		if diff := cmp.Diff([]any{tt.status, tt.kind, tt.stored}, got); diff != "" {
			t.Errorf("%s: %s", tt.path, diff)
		}
	}
	if res := ask(
		t,
		http.MethodPost,
		"/",
	); res.StatusCode != http.StatusMethodNotAllowed ||
		res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST answers %s", res.Status)
	}
	if res := ask(t, http.MethodHead, "/"); res.StatusCode != http.StatusOK || body(t, res) != "" {
		t.Errorf("HEAD answers %s, with a body", res.Status)
	}
}

func TestFilesAreCompressed(t *testing.T) {
	t.Parallel()
	path := assets(t) + "main.js"
	plain := body(t, ask(t, http.MethodGet, path))
	for accepts, want := range map[string]string{"gzip, br": "gzip", "br": "", "gzip;q=0": "", "": ""} {
		res := ask(t, http.MethodGet, path, "Accept-Encoding", accepts)
		got := body(t, res)
		if encoding := res.Header.Get("Content-Encoding"); encoding != want {
			t.Errorf("%q is answered in %q, want %q", accepts, encoding, want)
		}
		if want == "gzip" {
			r, err := gzip.NewReader(strings.NewReader(got))
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			got = string(data)
		}
		if got != plain {
			t.Errorf("%q is answered with different bytes", accepts)
		}
	}
}

// TestTheConsoleIsSmall, all of it together, as a browser gets it.
func TestTheConsoleIsSmall(t *testing.T) {
	t.Parallel()
	const most = 90_000
	page := body(t, ask(t, http.MethodGet, "/"))
	sum := len(body(t, ask(t, http.MethodGet, "/", "Accept-Encoding", "gzip")))
	files := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?:src|href)="(/assets/[^"]*)"`).FindAllStringSubmatch(page, -1) {
		files[found[1]] = true
	}
	for path := range files {
		sum += len(body(t, ask(t, http.MethodGet, path, "Accept-Encoding", "gzip")))
	}
	if sum > most || sum < most/10 {
		t.Errorf("the console has %d bytes, compressed: at most %d are allowed", sum, most)
	}
	t.Logf("%d bytes", sum)
}

// TestTheLibraryIsTheOneOfItsAuthors: lit-html 3.3.3, as npm has it, without the comment that names its
// source map.
func TestTheLibraryIsTheOneOfItsAuthors(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"LICENSE":              "2b66f9390afde29edfe4314daff93f01fb182e1178053e228120178987e5db75",
		"directive-helpers.js": "784b94f8f7995de124d2f63bc70f8ed8c8ba6731c7e5deeb96176462cc7f4e7b",
		"directive.js":         "28d10666ee53ea4177bd2d5a53e85f0c4b8a09641289f6899206feec12d758df",
		"lit-html.js":          "22115ca1002e4afc0dd2cb208f28d9c71a577a8989d4185028e26b29676e7842",
		"directives/repeat.js": "34e618f670a0b84d5a012dac581aa9ff48b7f0fc13114abce252e23f75560fc6",
	}
	got := map[string]string{}
	err := filepath.WalkDir("web/vendor", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".d.ts") {
			return err
		}
		data, err := os.ReadFile(path)
		sum := sha256.Sum256(data)
		got[strings.TrimPrefix(path, "web/vendor/")] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestNothingWritesMarkup: the policy of the pages refuses it in browsers, one after the other.
func TestNothingWritesMarkup(t *testing.T) {
	t.Parallel()
	refused := regexp.MustCompile(
		`innerHTML|outerHTML|insertAdjacentHTML|unsafe(?:HTML|SVG)|document\.write|\beval\(|new Function|\sstyle=`,
	)
	err := filepath.WalkDir("web", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == "vendor" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for i, line := range bytes.Split(data, []byte("\n")) {
			if refused.Match(line) {
				t.Errorf("%s:%d: %s", path, i+1, bytes.TrimSpace(line))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
