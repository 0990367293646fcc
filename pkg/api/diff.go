// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/pmezard/go-difflib/difflib"
	"sigs.k8s.io/yaml"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Difference is that of what two builds of an object were made of.
type Difference struct {
	// From and To are the ids of the builds.
	From string `json:"from"`
	To   string `json:"to"`
	// Commits are what they have built; empty if that was never known.
	Commits Commits `json:"commits"`
	// Diff is that of their normalized descriptions as YAML, in the unified format; empty if they are
	// the same.
	Diff string `json:"diff"`
}

// Commits are those of two builds.
type Commits struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// getDiff compares a build with an earlier one: that of the parameter with, or the last one of the
// object before it that was made of a different description.
func (h *handler) getDiff(w http.ResponseWriter, c *call) error {
	to, _, err := h.find(c)
	if err != nil {
		return err
	}
	from, err := h.comparedWith(c, to)
	if err != nil {
		return err
	}
	d := Difference{From: from.ID, To: to.ID, Commits: Commits{from.Commit, to.Commit}}
	texts := make([]string, 2)
	for i, id := range []string{from.ID, to.ID} {
		full, err := h.runs.Get(c.Context(), id)
		if err != nil {
			return err
		}
		text, err := yaml.Marshal(full.Description)
		if err != nil {
			return fmt.Errorf("write description of build %s: %w", id, err)
		}
		texts[i] = string(text)
	}
	if d.Diff, err = difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: difflib.SplitLines(texts[0]), B: difflib.SplitLines(texts[1]), FromFile: from.ID, ToFile: to.ID, Context: 3,
	}); err != nil {
		return fmt.Errorf("compare builds: %w", err)
	}
	return reply(w, http.StatusOK, d)
}

func (h *handler) comparedWith(c *call, to *build.Run) (*build.Run, error) {
	if with := c.query.Get("with"); with != "" {
		other := *c
		other.id = with
		from, _, err := h.find(&other)
		if err == nil && from.Object == to.Object && !build.SameUID(from.UIDs.Of(), to.UIDs.Of()) {
			return nil, build.ErrNotFound // it is of an earlier device of that name
		}
		if err == nil && from.Object != to.Object {
			return nil, invalid("The parameter with is a build of %s: choose one of %s", from.Object, to.Object)
		}
		return from, err
	}
	runs := h.state.List(build.Query{Object: to.Object})
	runs = slices.DeleteFunc(runs, func(r build.Run) bool {
		return r.Compare(*to) >= 0 || r.DescriptionHash == to.DescriptionHash || !build.SameUID(r.UIDs.Of(), to.UIDs.Of())
	})
	if len(runs) == 0 {
		return nil, problem(
			http.StatusNotFound, "NotFound", "There is no earlier build with a different description: set the parameter with",
		)
	}
	newest := slices.MaxFunc(runs, build.Run.Compare)
	return &newest, nil
}
