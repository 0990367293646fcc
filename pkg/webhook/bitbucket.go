// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"strings"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// bitbucket is the payload of a push of Bitbucket Cloud.
type bitbucket struct {
	Push struct {
		Changes []struct {
			// New is null for a ref that is gone, Old for one that is new.
			New *bitbucketRef `json:"new"`
			Old *bitbucketRef `json:"old"`
		} `json:"changes"`
	} `json:"push"`
	Repository struct {
		FullName string `json:"full_name"`
		Links    struct {
			HTML struct {
				Href string `json:"href"`
			} `json:"html"`
		} `json:"links"`
		// Main is the default branch, which most payloads leave out.
		Main struct {
			Name string `json:"name"`
		} `json:"mainbranch"`
	} `json:"repository"`
}

type bitbucketRef struct {
	// Type is "branch", "tag", or one of these with a word before it.
	Type   string `json:"type"`
	Name   string `json:"name"`
	Target struct {
		Hash    string `json:"hash"`
		Message string `json:"message"`
	} `json:"target"`
}

func (r *bitbucketRef) full() string {
	if strings.HasSuffix(r.Type, "tag") {
		return "refs/tags/" + r.Name
	}
	return "refs/heads/" + r.Name
}

func (b *bitbucket) push() build.Push {
	p := build.Push{DefaultBranch: b.Repository.Main.Name, URLs: []string{b.Repository.Links.HTML.Href}}
	if b.Repository.FullName != "" {
		p.URLs = append(p.URLs, "https://bitbucket.org/"+b.Repository.FullName)
	}
	for _, c := range b.Push.Changes {
		if c.New == nil || (commit{Message: c.New.Target.Message}).skips() {
			continue
		}
		ref := build.PushedRef{Name: c.New.full(), Commit: c.New.Target.Hash}
		if c.Old != nil {
			ref.Before = c.Old.Target.Hash
		}
		p.Refs = append(p.Refs, ref)
	}
	return p
}

func (b *bitbucket) why() string {
	for _, c := range b.Push.Changes {
		if c.New != nil {
			return whySkipped
		}
	}
	if len(b.Push.Changes) > 0 {
		return whyDeleted
	}
	return whyNoRef
}

// dataCenter is the payload of a push of Bitbucket Data Center.
type dataCenter struct {
	Changes []struct {
		ID     string `json:"refId"`
		Before string `json:"fromHash"`
		After  string `json:"toHash"`
	} `json:"changes"`
	// Date is when it was pushed, as 2006-01-02T15:04:05-0700.
	Date string `json:"date"`
	// Head is the commit of the newest of the changes.
	Head       commit `json:"toCommit"`
	Repository struct {
		Links struct {
			Clone []struct {
				Href string `json:"href"`
			} `json:"clone"`
		} `json:"links"`
	} `json:"repository"`
}

func (d *dataCenter) push() (p build.Push) {
	if at, err := time.Parse("2006-01-02T15:04:05-0700", d.Date); err == nil {
		p.Pushed = at.UTC()
	}
	for _, c := range d.Repository.Links.Clone {
		p.URLs = append(p.URLs, c.Href)
	}
	for _, c := range d.Changes {
		if deleted(c.After) || d.Head.ID == c.After && d.Head.skips() {
			continue
		}
		p.Refs = append(p.Refs, build.PushedRef{Name: c.ID, Commit: c.After, Before: c.Before})
	}
	return p
}

func (d *dataCenter) why() string {
	for _, c := range d.Changes {
		if !deleted(c.After) {
			return whySkipped
		}
	}
	if len(d.Changes) > 0 {
		return whyDeleted
	}
	return whyNoRef
}
