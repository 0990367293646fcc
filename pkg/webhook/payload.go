// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-json"

	"github.com/drogue-iot/ajour/pkg/build"
)

// payload is what is read of a delivery, whichever forge sent it.
type payload interface {
	// push returns the repository, and the refs that were created or moved.
	push() build.Push
	// why says why there are none.
	why() string
}

// errMalformed says that a body is not what its headers claim.
var errMalformed = errors.New("the body is no payload of a push")

// Decode reads a delivery whose signature is valid. What starts no build has a reason for people
// instead of refs: it is no push, deletes a branch, or its commit says "[skip ci]". The application
// and the time of the push are left to the caller.
func Decode(h http.Header, body []byte) (p build.Push, reason string, err error) {
	var into payload
	event := ""
	for _, forge := range []struct {
		header, push string
		payload      payload
	}{
		// Gitea and Forgejo send GitHub's header as well.
		{"X-GitHub-Event", "push", &github{}},
		{"X-Gitlab-Event", "", &gitlab{}},
		{"X-Event-Key", "repo:push", &bitbucket{}},
		{"X-Event-Key", "repo:refs_changed", &dataCenter{}},
	} {
		value := h.Get(forge.header)
		switch {
		case value == "":
		case forge.push == "" || forge.push == value:
			into = forge.payload
		default:
			event = value
		}
	}
	if into == nil {
		if event == "" {
			return p, "", fmt.Errorf("no header names the event: %w", errMalformed)
		}
		return p, "Nothing to build: the event " + build.Clean(event) + " is no push", nil
	}
	if body, err = unwrap(h, body); err != nil {
		return p, "", err
	}
	// A payload is long, and little of it is read: this skips the rest ten times as fast as the
	// standard library, which is half of what an acknowledgement takes.
	if err := json.Unmarshal(body, into); err != nil {
		return p, "", fmt.Errorf("%w: %w", errMalformed, err)
	}
	p = into.push()
	if len(p.Refs) == 0 {
		return p, "Nothing to build: " + into.why(), nil
	}
	p.Refs = slices.DeleteFunc(p.Refs, func(r build.PushedRef) bool {
		return !r.Names()
	})
	if len(p.Refs) == 0 {
		return p, "Nothing to build: " + whyNoRef, nil
	}
	if p.URLs = slices.DeleteFunc(p.URLs, func(s string) bool { return s == "" }); len(p.URLs) == 0 {
		return p, "", fmt.Errorf("it names no URL of the repository: %w", errMalformed)
	}
	return p, "", nil
}

// unwrap returns the JSON of a delivery, which GitHub and Gitea can send as a field of a form.
func unwrap(h http.Header, body []byte) ([]byte, error) {
	if kind, _, _ := mime.ParseMediaType(h.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return body, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return []byte(form.Get("payload")), nil
}

// commit is one of a payload.
type commit struct {
	ID      string `json:"id"`
	Message string `json:"message"`
}

// skips reports whether its author wants no build of a commit.
func (c commit) skips() bool {
	message := strings.ToLower(c.Message)
	return strings.Contains(message, "[skip ci]") || strings.Contains(message, "[ci skip]")
}

// Reasons for which a push builds nothing.
const (
	whySkipped = "the commit says [skip ci]"
	whyDeleted = "the branch or tag is gone"
	whyNoRef   = "no branch and no tag was pushed"
)

// deleted reports whether a hash says that there is no commit.
func deleted(hash string) bool { return strings.Trim(hash, "0") == "" }
