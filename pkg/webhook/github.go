// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// github is the payload of a push of GitHub, Gitea and Forgejo.
type github struct {
	Ref     string `json:"ref"`
	Before  string `json:"before"`
	After   string `json:"after"`
	Deleted bool   `json:"deleted"`
	// HeadCommit is the commit, where After may be an annotated tag.
	HeadCommit commit `json:"head_commit"`
	Repository struct {
		CloneURL      string `json:"clone_url"`
		SSHURL        string `json:"ssh_url"`
		HTMLURL       string `json:"html_url"`
		DefaultBranch string `json:"default_branch"`
		// PushedAt is when it was pushed, in seconds since 1970; Gitea does not say, and other events
		// have a text.
		PushedAt any `json:"pushed_at"`
	} `json:"repository"`
}

func (g *github) gone() bool { return g.Deleted || deleted(g.After) }

func (g *github) push() build.Push {
	r := g.Repository
	p := build.Push{URLs: []string{r.CloneURL, r.SSHURL, r.HTMLURL}, DefaultBranch: r.DefaultBranch}
	if seconds, ok := r.PushedAt.(float64); ok && seconds > 0 {
		p.Pushed = time.Unix(int64(seconds), 0).UTC()
	}
	if !g.gone() && !g.HeadCommit.skips() {
		p.Refs = []build.PushedRef{{Name: g.Ref, Commit: cmp.Or(g.HeadCommit.ID, g.After), Before: g.Before}}
	}
	return p
}

func (g *github) why() string {
	if g.gone() {
		return whyDeleted
	}
	return whySkipped
}
