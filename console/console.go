// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package console is the web console: static files, whose scripts call the API with the token of the
// person who looks at them. They are used as they are, without a build step.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

//go:embed web/index.html web/app.css web/icon.svg web/*.js web/pages/*.js web/parts/*.js
//go:embed web/vendor/*.js web/vendor/directives/*.js
var files embed.FS

const (
	// assets is the path below which the files are, after a digest of all of them.
	assets = "/assets/"
	// placeholder is where the page names that path, preload where it names all scripts, which a browser
	// would find one by one.
	placeholder, preload = "{{assets}}", "{{preload}}"
)

// Handler serves the console.
type Handler struct {
	// digest changes with every file, so that browsers may store them for ever.
	digest string
	policy string
	page   file
	files  map[string]file
}

// file is one, plain and as gzip.
type file struct {
	kind         string
	plain, small []byte
}

// New returns the handler of all paths that are no path of the API. Its pages may connect to the issuer
// besides, where people log in.
func New(issuer string) (*Handler, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, fmt.Errorf("parse issuer: %w", err)
	}
	h := &Handler{files: map[string]file{}, policy: strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
		"connect-src 'self' " + u.Scheme + "://" + u.Host,
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
		"require-trusted-types-for 'script'", "trusted-types lit-html",
	}, "; ")}
	sum := sha256.New()
	err = fs.WalkDir(files, "web", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "web/")
		fmt.Fprintf(sum, "%s %d\n", name, len(data))
		sum.Write(data)
		h.files[name], err = newFile(name, data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read files: %w", err)
	}
	h.digest = hex.EncodeToString(sum.Sum(nil)[:8])
	var scripts strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h.files)) {
		if path.Ext(name) == ".js" && name != "theme.js" {
			fmt.Fprintf(&scripts, "\n  <link rel=\"modulepreload\" href=\"%s/%s\">", placeholder, name)
		}
	}
	page := bytes.Replace(h.files["index.html"].plain, []byte(preload), []byte(scripts.String()), 1)
	page = bytes.ReplaceAll(page, []byte(placeholder), []byte(assets+h.digest))
	delete(h.files, "index.html")
	h.page, err = newFile("index.html", page)
	return h, err
}

func newFile(name string, data []byte) (file, error) {
	var small bytes.Buffer
	w, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
	if err != nil {
		return file{}, err
	}
	if _, err := w.Write(data); err != nil {
		return file{}, err
	}
	if err := w.Close(); err != nil {
		return file{}, err
	}
	kind := mime.TypeByExtension(path.Ext(name))
	if path.Ext(name) == ".js" { // whatever this machine says
		kind = "text/javascript; charset=utf-8"
	}
	return file{kind, data, small.Bytes()}, nil
}

// ServeHTTP answers with a file, or with the page, which then shows what its URL names.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Use GET on this path", http.StatusMethodNotAllowed)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", h.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	if rest, ok := strings.CutPrefix(r.URL.Path, assets); ok {
		digest, name, _ := strings.Cut(rest, "/")
		f, ok := h.files[name]
		if !ok {
			http.Error(w, "There is no such file", http.StatusNotFound)
			return
		}
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
		if digest != h.digest { // the page is of a replica of a different version
			header.Set("Cache-Control", "no-cache")
		}
		f.serve(w, r)
		return
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Error(w, "There is nothing at this path", http.StatusNotFound)
		return
	}
	header.Set("Cache-Control", "no-cache")
	h.page.serve(w, r)
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Vary", "Accept-Encoding")
	data := f.plain
	if takesGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		data = f.small
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, bytes.NewReader(data)) // the client is gone: there is nobody to tell
	}
}

// takesGzip reports whether a client does, as all browsers say it.
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if name, quality, _ := strings.Cut(strings.TrimSpace(part), ";"); name == "gzip" {
			return strings.TrimSpace(quality) != "q=0"
		}
	}
	return false
}
