// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// maxWarnings bounds how many warnings a description carries: an object has 64 KiB.
const maxWarnings = 8

// members are the names of what is read of an object in a section, each with the members of
// its own, nil where these are free or where there are none.
type members map[string]members

// buildMembers are those of a build block (contract 5.1).
var buildMembers = members{
	"image":  nil,
	"source": {"git": {"uri": nil, "rev": nil, "project": nil}, "path": nil},
	"env":    {"name": nil, "value": nil}, "args": nil,
	"secrets":  {"name": nil, "key": nil, "value": nil}, // a value is refused
	"artifact": {"path": nil, "maxSize": nil, "attachments": nil},
	"publish":  nil, // refuses what it does not know
	"history":  nil, "timeout": nil, "triggers": nil,
}

// blocks are the members of the registry's block.
var blocks = map[string]members{
	"container": {"image": nil, "imagePullPolicy": nil, "build": buildMembers},
	"oci":       {"image": nil, "imagePullPolicy": nil, "build": buildMembers},
	"hawkbit":   {"controller": nil, "build": buildMembers},
}

// unread returns a warning for each member that nobody reads, with the name that was probably
// meant: a misspelt "rev" would build the wrong branch, and succeed.
func unread(v any, known members, at string) (warnings []Violation) {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			warnings = append(warnings, unread(item, known, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			more, ok := known[name]
			switch {
			case !ok:
				warnings = append(warnings, Violation{at + "." + plainName(name), "is not read" + meant(name, known)})
			case more != nil:
				warnings = append(warnings, unread(v[name], more, at+"."+name)...)
			}
		}
	}
	return warnings
}

// plainName is a name as it stands in a path, quoted if it has anything but letters and the like.
func plainName(s string) string {
	if envPattern().MatchString(s) && len(s) <= 40 {
		return s
	}
	return quote(s)
}

// meant suggests one of the known names for an unknown one, or lists them.
func meant(name string, known members) string {
	fold := func(s string) string { return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s)) }
	best, least := "", len(name)
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if d := levenshtein.Distance(fold(name), fold(k), nil); d < least && d <= max(2, len(k)/4) {
			best, least = k, d
		}
	}
	if best == "" {
		return ": known here are " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// undelivered returns a warning for each thing that keeps the update server from reading a
// section at all (contract 5.2): a firmware of it is built, and never delivered.
func undelivered(root map[string]any, kind string) (warnings []Violation) {
	warn := func(at, remedy string) {
		warnings = append(warnings, Violation{at, "keeps the update server from delivering: " + remedy})
	}
	for _, name := range slices.Sorted(maps.Keys(root)) {
		if name != kind {
			warn(sectionPath+"."+plainName(name), "remove it, "+kind+" stands alone")
		}
	}
	at := sectionPath + "." + kind
	if kind == "oci" {
		warn(at, "write container")
	}
	block, _ := root[kind].(map[string]any)
	if policy, ok := block["imagePullPolicy"]; ok && policy != "IfNotPresent" && policy != "Always" && kind != "hawkbit" {
		warn(at+".imagePullPolicy", `write "IfNotPresent" or "Always", or remove it`)
	}
	description, _ := block["build"].(map[string]any)
	source, _ := description["source"].(map[string]any)
	at += ".build.source"
	for _, name := range slices.Sorted(maps.Keys(source)) {
		switch name {
		case "git":
		case "path":
			warn(at+".path", "write it as git.project")
		default:
			warn(at+"."+plainName(name), "remove it, git stands alone")
		}
	}
	git, _ := source["git"].(map[string]any)
	if git["project"] == nil {
		warn(at+".git.project", `it is missing, write "." for the root folder`)
	}
	if git["rev"] == nil {
		warn(at+".git.rev", "it is missing, write the branch")
	}
	return warnings
}

// warningsOf returns what is to be said of a section that is valid.
func warningsOf(tree any, kind string) []Violation {
	root, _ := tree.(map[string]any)
	all := append(unread(root[kind], blocks[kind], sectionPath+"."+kind), undelivered(root, kind)...)
	if len(all) > maxWarnings {
		all = append(all[:maxWarnings], Violation{sectionPath, fmt.Sprintf("has %d more", len(all)-maxWarnings)})
	}
	return all
}
