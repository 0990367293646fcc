// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Limits of a description. They keep a PipelineRun, which carries all of it,
// far below what etcd stores, and an argument list below what a kernel takes.
const (
	maxText    = 4096
	maxArgs    = 256
	maxEnv     = 256
	maxTimeout = 24 * time.Hour
	// maxSection bounds the section as a whole, in bytes.
	maxSection = 16 << 10

	maxAttachments = 32
	maxSize        = 1 << 32
)

// sectionPath is where a description stands on a Drogue object.
const sectionPath = "spec.firmware"

// Parse reads the section "spec.firmware" of a Drogue object into a normalized
// description. It accepts the seed's spelling and the one of existing
// installations (contract 5.1 to 5.3): the registry as "oci", "container" or
// "hawkbit", the sub-folder as "source.path" or "source.git.project". Unknown
// members are left alone, and are among the warnings of the description.
//
// It returns [ErrNoBuild] when there is nothing to build, and an
// [*InvalidError] that holds every violation when there is, but it is wrong.
func Parse(section json.RawMessage) (Description, error) { return Policy{}.Parse(section, ObjectRef{}) }

// Parse is like the function of that name, and refuses what the policy does not let the object
// of the section build.
func (p Policy) Parse(section json.RawMessage, o ObjectRef) (Description, error) {
	if len(bytes.TrimSpace(section)) == 0 || bytes.Equal(bytes.TrimSpace(section), []byte("null")) {
		return Description{}, ErrNoBuild
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader(section))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return Description{}, &InvalidError{[]Violation{{sectionPath, "not valid JSON: " + err.Error()}}}
	}
	r := &reader{policy: p, owner: o}
	d, kind := r.section(tree)
	if kind != "" && len(section) > maxSection {
		r.fail(sectionPath, "has %d bytes: keep it within %d, and long texts in the repository", len(section), maxSection)
	}
	switch {
	case len(r.violations) > 0:
		// A member that is missing may be there under a name that is not read.
		root, _ := tree.(map[string]any)
		return Description{}, &InvalidError{append(r.violations, unread(root[kind], blocks[kind], sectionPath+"."+kind)...)}
	case kind == "":
		return Description{}, ErrNoBuild
	}
	d.Warnings = warningsOf(tree, kind)
	return d, nil
}

// reader walks a decoded description and collects what is wrong with it.
type reader struct {
	policy Policy
	// owner is the object that has the description.
	owner      ObjectRef
	violations []Violation
}

func (r *reader) fail(path, format string, args ...any) {
	r.violations = append(r.violations, Violation{path, fmt.Sprintf(format, args...)})
}

// section finds the one registry block, and reads its build block. It returns the key of the
// registry, "" when there is no build block at all.
func (r *reader) section(tree any) (d Description, kind string) {
	root, ok := r.object(tree, sectionPath)
	if !ok {
		return d, ""
	}
	var kinds []string
	for _, kind := range []string{"container", "oci", "hawkbit", "file"} {
		if _, ok := root[kind]; ok {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) > 1 {
		// Delivery cannot read such a section at all (contract 5.2, A1).
		r.fail(sectionPath, "has %s side by side: keep exactly one", strings.Join(kinds, " and "))
		return d, ""
	}
	if len(kinds) == 0 || kinds[0] == "file" {
		return d, ""
	}
	at := sectionPath + "." + kinds[0]
	block, ok := r.object(root[kinds[0]], at)
	if !ok {
		return d, ""
	}
	value := block["build"]
	if value == nil {
		return d, ""
	}
	if kinds[0] == "hawkbit" {
		d.Registry = Hawkbit
		d.Controller = r.controller(r.text(block, "controller", at, true), at+".controller")
	} else {
		d.Registry = OCI
		d.Image = r.image(r.text(block, "image", at, true), at+".image")
	}
	if b, ok := r.object(value, at+".build"); ok {
		r.build(&d, b, at+".build")
	}
	return d, kinds[0]
}

func (r *reader) build(d *Description, b map[string]any, at string) {
	d.Builder = r.builder(r.text(b, "image", at, true), at+".image")
	d.Source = r.source(b, at)
	d.Env = r.env(b["env"], at+".env")
	d.Secrets = r.secrets(b["secrets"], at+".secrets", d.Env)
	d.Args = r.args(b["args"], at+".args")
	if a, ok := r.child(b, "artifact", at); ok {
		at := at + ".artifact"
		d.Artifact = r.artifact(r.text(a, "path", at, true), at+".path")
		d.MaxSize = r.size(a["maxSize"], at+".maxSize")
		d.Attachments = r.attachments(a["attachments"], at+".attachments")
	}
	r.publish(d, b, at+".publish")
	if d.Registry == Hawkbit && len(d.Attachments) > 0 && d.Image == "" {
		r.fail(
			at+".artifact.attachments",
			"cannot be published to hawkBit: remove them, or publish to a container image, too",
		)
	}
	d.History = r.history(r.text(b, "history", at, false), at+".history")
	d.Timeout = r.timeout(r.text(b, "timeout", at, false), at+".timeout")
	d.Triggers = r.triggers(b["triggers"], at+".triggers")
}

func (r *reader) source(b map[string]any, at string) (s Source) {
	source, ok := r.child(b, "source", at)
	if !ok {
		return s
	}
	at += ".source"
	git, ok := r.child(source, "git", at)
	if !ok {
		return s
	}
	s.URI = r.uri(r.text(git, "uri", at+".git", true), at+".git.uri")
	s.Rev = r.rev(r.text(git, "rev", at+".git", false), at+".git.rev")
	// The seed's place for the folder is source.path; git.project wins (A2).
	folder, where := r.text(source, "path", at, false), at+".path"
	if project := r.text(git, "project", at+".git", false); project != "" {
		folder, where = project, at+".git.project"
	}
	s.Path = r.folder(folder, where)
	return s
}

func (r *reader) args(v any, at string) (args []string) {
	list, ok := r.list(v, at, maxArgs)
	if !ok {
		return nil
	}
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", at, i)
		s, ok := item.(string)
		if !ok {
			r.fail(at, "is %s: write a string", kindOf(item))
			continue
		}
		args = append(args, r.plain(s, at))
	}
	return args
}

func (r *reader) triggers(v any, at string) (triggers []Trigger) {
	list, ok := r.list(v, at, maxArgs)
	if !ok {
		return nil
	}
	for i, item := range list {
		name, _ := item.(string)
		t := Trigger(name)
		switch {
		case t != TriggerManual && t != TriggerPush && t != TriggerChange:
			r.fail(
				fmt.Sprintf("%s[%d]", at, i),
				"is not a trigger: write %q, %q or %q, or remove the list to build on pushes and changes",
				TriggerManual, TriggerPush, TriggerChange,
			)
		case !slices.Contains(triggers, t):
			triggers = append(triggers, t)
		}
	}
	return triggers
}

func (r *reader) history(s, at string) History {
	h := History(s)
	if h != "" && h != HistoryTags && h != HistoryFull {
		r.fail(at, "%s is no history: write \"tags\" or \"full\", or remove it for one commit", quote(s))
	}
	return h
}

func (r *reader) timeout(s, at string) Duration {
	most := cmp.Or(r.policy.MaxTimeout, maxTimeout)
	if s == "" {
		return Duration(min(DefaultTimeout, most))
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		r.fail(at, "%s is no duration: write one like \"1h0m0s\"", quote(s))
		return 0
	}
	if d < time.Second || d > most {
		r.fail(at, "%s is out of range: use 1s to %s", quote(s), most)
	}
	return Duration(d)
}

// folder cleans a relative path that must not leave the repository.
func (r *reader) folder(s, at string) string {
	if s == "" {
		return "."
	}
	return r.relative(s, at)
}

func (r *reader) artifact(s, at string) string {
	if s == "" {
		return ""
	}
	clean := r.relative(s, at)
	if clean == "." {
		r.fail(at, "names a folder: name the file that the builder leaves")
	}
	return clean
}

// relative refuses absolute paths and every ".." (A20), also those that would
// cancel out: a symbolic link on the way makes them mean something else.
func (r *reader) relative(s, at string) string {
	r.plain(s, at)
	if strings.HasPrefix(s, "/") || strings.Contains(s, "\\") || slices.Contains(strings.Split(s, "/"), "..") {
		r.fail(at, "%s leaves the source folder: write a path below it, without \"..\" and backslashes", quote(s))
	}
	return path.Clean(s)
}
