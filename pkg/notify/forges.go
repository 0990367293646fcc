// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Folder has a file for each forge, called as its host, with a token; and ca.crt where the CA of a
// forge is none of the system's.
type Folder string

// token returns that of a host. It is read for each call, so that one that changes needs no restart.
func (f Folder) token(host string) (string, error) {
	data, err := os.ReadFile(filepath.Join(string(f), host)) //nolint:gosec // of the list of the operator
	token := strings.TrimSpace(string(data))
	if err == nil && token == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("read token of %s: %w", host, err)
	}
	return token, nil
}

// Roots returns the CAs that certificates of forges may be of, nil for those of the system.
func (f Folder) Roots() (*x509.CertPool, error) {
	if f == "" {
		return nil, nil //nolint:nilnil // there is no folder
	}
	pem, err := os.ReadFile(filepath.Join(string(f), "ca.crt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // what crypto/tls takes for the system's
	}
	if err != nil {
		return nil, fmt.Errorf("read CA of forges: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read CAs of the system: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("ca.crt holds no certificate in PEM format")
	}
	return roots, nil
}

// Forge is one that the operator has listed.
type Forge struct {
	kind forgeKind
	url  *url.URL
}

// ParseForges reads a list such as "github=https://github.com,gitea=https://git.example.org:3000".
// GitLab and Forgejo are "gitlab" and "gitea". A token would be readable for everybody under http://,
// which needs allowHTTP.
func ParseForges(list string, allowHTTP bool) ([]Forge, error) {
	var forges []Forge
	for entry := range strings.SplitSeq(list, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		name, address, _ := strings.Cut(entry, "=")
		kind, known := forgeKinds[name]
		u, err := url.Parse(strings.TrimRight(address, "/"))
		switch {
		case !known:
			return nil, fmt.Errorf("%q is no forge: write github=URL, gitlab=URL or gitea=URL", entry)
		case err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
			return nil, fmt.Errorf("%q has no URL: write %s=https://HOST", name, name)
		case u.Scheme == "http" && !allowHTTP:
			return nil, fmt.Errorf("a token would be sent to %s unencrypted: use https, or allow http", u.Host)
		}
		forges = append(forges, Forge{kind, u})
	}
	return forges, nil
}

// find returns the forge that has a repository, and the path of the repository there.
func find(forges []Forge, host, path string) (f Forge, repository string, ok bool) {
	for _, f := range forges {
		if !strings.EqualFold(f.url.Hostname(), host) {
			continue
		}
		// A forge may be below a path of its host.
		repository, ok := strings.CutPrefix("/"+path, f.url.Path+"/")
		if ok && f.kind.valid(repository) {
			return f, repository, true
		}
	}
	return f, "", false
}
