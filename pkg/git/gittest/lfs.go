// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package gittest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// LFS serves objects of Git LFS by its batch API, beside a server of repositories.
type LFS struct {
	// Handler answers all other calls.
	http.Handler
	// Href is the base of the URLs that objects are said to be at.
	Href string

	objects map[string][]byte
}

// Add takes an object in, and returns the file that points to it. It is not for use while
// objects are served.
func (l *LFS) Add(content []byte) (pointer []byte) {
	oid := fmt.Sprintf("%x", sha256.Sum256(content))
	if l.objects == nil {
		l.objects = map[string][]byte{}
	}
	l.objects[oid] = content
	return fmt.Appendf(nil, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(content))
}

// ServeHTTP implements http.Handler.
func (l *LFS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/info/lfs/objects/batch") {
		l.batch(w, r)
		return
	}
	if content, ok := l.objects[strings.TrimPrefix(r.URL.Path, "/object/")]; ok {
		_, _ = w.Write(content)
		return
	}
	l.Handler.ServeHTTP(w, r)
}

// batch says where the objects of a request are.
func (l *LFS) batch(w http.ResponseWriter, r *http.Request) {
	type object struct {
		OID     string         `json:"oid"`
		Size    int            `json:"size"`
		Actions map[string]any `json:"actions,omitempty"`
		Error   map[string]any `json:"error,omitempty"`
	}
	var batch struct {
		Transfer string   `json:"transfer"`
		Objects  []object `json:"objects"`
	}
	if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	batch.Transfer = "basic"
	for i, o := range batch.Objects {
		if _, ok := l.objects[o.OID]; !ok {
			batch.Objects[i].Error = map[string]any{"code": http.StatusNotFound, "message": "Object does not exist"}
			continue
		}
		batch.Objects[i].Actions = map[string]any{"download": map[string]string{"href": l.Href + "/object/" + o.OID}}
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	_ = json.NewEncoder(w).Encode(batch)
}
