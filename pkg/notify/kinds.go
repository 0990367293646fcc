// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// forgeKind is how a forge takes the status of a commit.
type forgeKind struct {
	// base is the URL of the API, below that of the forge.
	base func(forge *url.URL) string
	// list is the path of the newest status of each context of a commit, or of those of one context, in
	// pages; post is that of a new one.
	list func(repository, commit, context string) string
	post func(repository, commit string) string
	// body is what is posted.
	body func(s commitStatus) any
	// authorize adds the token to a request.
	authorize func(h http.Header, token string)
	// segments is how many parts the path of a repository has, any number from 2 on if 0.
	segments int
}

var forgeKinds = map[string]forgeKind{
	"github": {
		base: func(forge *url.URL) string {
			if forge.Host == "github.com" {
				return "https://api.github.com"
			}
			return forge.String() + "/api/v3" // GitHub Enterprise Server
		},
		list: func(r, commit, _ string) string {
			return "/repos/" + escape(r) + "/commits/" + commit + "/status?per_page=50"
		},
		post: func(r, commit string) string { return "/repos/" + escape(r) + "/statuses/" + commit },
		body: plainBody, authorize: bearer, segments: 2,
	},
	"gitea": {
		base: func(forge *url.URL) string { return forge.String() + "/api/v1" },
		list: func(r, commit, _ string) string {
			return "/repos/" + escape(r) + "/commits/" + commit + "/status?limit=50"
		},
		post: func(r, commit string) string { return "/repos/" + escape(r) + "/statuses/" + commit },
		body: plainBody, authorize: bearer, segments: 2,
	},
	"gitlab": {
		base: func(forge *url.URL) string { return forge.String() + "/api/v4" },
		list: func(r, commit, context string) string {
			return "/projects/" + url.PathEscape(r) + "/repository/commits/" + commit + "/statuses?per_page=50&name=" +
				url.QueryEscape(context)
		},
		post: func(r, commit string) string { return "/projects/" + url.PathEscape(r) + "/statuses/" + commit },
		body: func(s commitStatus) any {
			states := map[state]string{pending: "running", success: "success", failure: "failed", fault: "canceled"}
			return linked(s, map[string]string{"state": states[s.state], "name": s.context, "description": s.description})
		},
		authorize: func(h http.Header, token string) { h.Set("Private-Token", token) },
	},
}

func bearer(h http.Header, token string) { h.Set("Authorization", "Bearer "+token) }

// plainBody is that of GitHub, which Gitea has taken over.
func plainBody(s commitStatus) any {
	return linked(s, map[string]string{"state": string(s.state), "context": s.context, "description": s.description})
}

// linked adds the link, if there is one.
func linked(s commitStatus, body map[string]string) map[string]string {
	if s.link != "" {
		body["target_url"] = s.link
	}
	return body
}

// valid reports whether a path can be that of a repository. Parts that mean a different path do not
// reach a URL.
func (k forgeKind) valid(repository string) bool {
	parts := strings.Split(repository, "/")
	return len(parts) >= 2 && (k.segments == 0 || len(parts) == k.segments) &&
		!slices.ContainsFunc(parts, func(p string) bool { return p == "" || p == "." || p == ".." })
}

// escape escapes each part of a path.
func escape(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
