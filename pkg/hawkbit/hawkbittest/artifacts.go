// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"crypto/md5"  //nolint:gosec // one of the checksums that hawkBit has
	"crypto/sha1" //nolint:gosec // one of the checksums that hawkBit has
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

func (a *artifact) json(s *Server, r *http.Request, m *module) map[string]any {
	href := fmt.Sprintf("%s/rest/v1/softwaremodules/%d/artifacts/%d", base(r), m.id, a.id)
	return map[string]any{
		"createdBy":      s.User,
		"createdAt":      a.created,
		"lastModifiedBy": s.User,
		"lastModifiedAt": a.created,
		"id":             a.id,
		"hashes": map[string]any{
			"sha1":   a.sha1,
			"md5":    a.md5,
			"sha256": a.sha256,
		},
		"providedFilename": a.filename,
		"size":             len(a.data),
		"_links":           self(href),
	}
}

// listArtifacts returns a bare list (HBW-50).
func (s *Server) listArtifacts(r *http.Request) (int, any, error) {
	m, err := s.module(r)
	if err != nil {
		return 0, nil, err
	}
	all := []any{}
	for _, a := range m.artifacts {
		all = append(all, a.json(s, r, m))
	}
	return http.StatusOK, all, nil
}

// upload takes a file (HBW-40 to HBW-48).
func (s *Server) upload(r *http.Request) (int, any, error) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return 0, nil, &fault{status: http.StatusUnsupportedMediaType, message: "Unsupported Media Type"}
	}
	file, header, err := r.FormFile("file")
	if err != nil {
		return 0, nil, &fault{status: http.StatusBadRequest, message: "Bad Request"}
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		return 0, nil, err
	}
	m, err := s.module(r)
	if err != nil {
		return 0, nil, err
	}
	a := &artifact{filename: header.Filename, data: data, created: now()}
	if name := r.FormValue("filename"); name != "" {
		a.filename = name
	}
	sum1, sum5, sum256 := sha1.Sum(data), md5.Sum(data), sha256.Sum256(data) //nolint:gosec // not for security
	a.sha1, a.md5, a.sha256 = hex.EncodeToString(sum1[:]), hex.EncodeToString(sum5[:]), hex.EncodeToString(sum256[:])
	if err := s.accept(r, m, a); err != nil {
		return 0, nil, err
	}
	a.id = s.id()
	m.artifacts = append(m.artifacts, a)
	answer := a.json(s, r, m)
	return http.StatusCreated, answer, nil
}

func (s *Server) accept(r *http.Request, m *module, a *artifact) error {
	switch {
	case len(a.data) == 0:
		return empty(http.StatusBadRequest)
	case m.locked && !s.old():
		return locked("JpaSoftwareModule", m.id, "ADD_ARTIFACT")
	case slices.ContainsFunc(m.artifacts, func(o *artifact) bool { return o.filename == a.filename }):
		return exists("File with that name already exists in the Software Module")
	case len(a.filename) > 256 || markup(a.filename):
		return constraint("filename size must be between 1 and 256.")
	case len(m.artifacts) >= 50:
		return tooMany("Artifact", "SoftwareModule", m.id, 50)
	}
	for _, sum := range []struct{ name, class, is string }{
		{"sha1", "Sha1", a.sha1}, {"md5", "MD5", a.md5}, {"sha256", "Sha256", a.sha256},
	} {
		given, ok := r.Form[sum.name+"sum"]
		if ok && !strings.EqualFold(given[0], sum.is) {
			return &fault{
				http.StatusBadRequest,
				packages + "Invalid" + sum.class + "HashException",
				"artifact.uploadFailed.checksum." + sum.name + ".match",
				fmt.Sprintf(
					"The given %s hash %s does not match the calculated %s hash %s", sum.name, given[0], sum.name,
					sum.is,
				),
				nil,
			}
		}
	}
	return nil
}
