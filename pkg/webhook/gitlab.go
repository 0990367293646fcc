// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"slices"

	"github.com/drogue-iot/ajour/pkg/build"
)

// gitlab is the payload of any event of GitLab, those of a whole server among them.
type gitlab struct {
	// Kind is that of the event, EventName the same in events of a whole server.
	Kind      string `json:"object_kind"`
	EventName string `json:"event_name"`
	Ref       string `json:"ref"`
	Before    string `json:"before"`
	// Checkout is the commit, where "after" may be an annotated tag. It is null for a ref that is
	// gone.
	Checkout string   `json:"checkout_sha"`
	Commits  []commit `json:"commits"`
	// Options are those of "git push -o ci.skip".
	Options struct {
		CI struct {
			Skip any `json:"skip"` // true, or the text behind "="
		} `json:"ci"`
	} `json:"push_options"`
	Project struct {
		HTTP          string `json:"git_http_url"`
		SSH           string `json:"git_ssh_url"`
		Web           string `json:"web_url"`
		DefaultBranch string `json:"default_branch"`
	} `json:"project"`
}

func (g *gitlab) event() string { return cmp.Or(g.Kind, g.EventName) }

func (g *gitlab) pushes() bool { return g.event() == "push" || g.event() == "tag_push" }

func (g *gitlab) skips() bool {
	return g.Options.CI.Skip != nil ||
		slices.ContainsFunc(g.Commits, func(c commit) bool { return c.ID == g.Checkout && c.skips() })
}

func (g *gitlab) push() build.Push {
	p := build.Push{
		URLs: []string{g.Project.HTTP, g.Project.SSH, g.Project.Web}, DefaultBranch: g.Project.DefaultBranch,
	}
	if g.pushes() && !deleted(g.Checkout) && !g.skips() {
		p.Refs = []build.PushedRef{{Name: g.Ref, Commit: g.Checkout, Before: g.Before}}
	}
	return p
}

func (g *gitlab) why() string {
	switch {
	case !g.pushes():
		return "the event " + build.Clean(g.event()) + " is no push"
	case deleted(g.Checkout):
		return whyDeleted
	default:
		return whySkipped
	}
}
