// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Registry is the kind of place that a finished artifact goes to.
type Registry string

// The kinds of registry that a description can name.
const (
	OCI     Registry = "oci"
	Hawkbit Registry = "hawkbit"
)

// Trigger is an entry of "build.triggers": what starts a build besides calls (A23).
type Trigger string

// The triggers.
const (
	// TriggerManual is none: only calls start a build, unless there are further entries.
	TriggerManual Trigger = "manual"
	TriggerPush   Trigger = "push"
	TriggerChange Trigger = "change"
)

// DefaultTimeout bounds a build whose description names no timeout (contract 5.1).
const DefaultTimeout = time.Hour

// Description is a normalized, valid build description: one spelling, with all
// defaults filled in. Its JSON form travels in events and is what is hashed.
type Description struct {
	// Registry is where the update server delivers from. The artifact goes to all
	// destinations that have a value below.
	Registry Registry `json:"registry"`
	// Image is the reference to publish to, relative to the configured prefix,
	// always with a tag and never with a digest (A21); empty for none.
	Image string `json:"image,omitempty"`
	// Controller is the hawkBit target to assign to; empty for none.
	Controller string `json:"controller,omitempty"`
	// Builder is the reference of the builder image.
	Builder string   `json:"builder"`
	Source  Source   `json:"source"`
	Env     []EnvVar `json:"env,omitempty"`
	// Secrets are further variables of that environment, whose values are in the Secret of the
	// application.
	Secrets  []SecretVar `json:"secrets,omitempty"`
	Args     []string    `json:"args,omitempty"`
	Artifact string      `json:"artifact"`
	// MaxSize is the most bytes that the artifact may have; 0 for any.
	MaxSize int64 `json:"maxSize,omitempty"`
	// Attachments are further files to publish beside the artifact in an OCI registry.
	Attachments []string `json:"attachments,omitempty"`
	// History is what the build has of the repository besides one commit.
	History  History   `json:"history,omitempty"`
	Timeout  Duration  `json:"timeout"`
	Triggers []Trigger `json:"triggers,omitempty"`
	// Warnings say what of the section is not read, and what the update server does not
	// deliver. They are no part of what is built.
	Warnings []Violation `json:"-"`
}

// WarningLines are the warnings, a line each; nil for none.
func (d *Description) WarningLines() []string {
	var lines []string
	for _, w := range d.Warnings {
		lines = append(lines, w.String())
	}
	return lines
}

// Source says where the firmware's source is.
type Source struct {
	URI string `json:"uri"`
	// Rev is a branch, a tag or a commit; empty for the default branch.
	Rev string `json:"rev,omitempty"`
	// Path is the folder below the repository's root that the builder starts
	// in; "." for the root itself.
	Path string `json:"path"`
}

// History says how much of a repository's history a build has; without one, a single commit
// with its tags.
type History string

// The kinds of history.
const (
	// HistoryTags is that of commits and tags, without their files.
	HistoryTags History = "tags"
	// HistoryFull is all of it.
	HistoryFull History = "full"
)

// EnvVar is one variable of the builder's environment.
type EnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SecretVar is a variable of the builder's environment whose value nobody reads but the builder.
type SecretVar struct {
	Name string `json:"name"`
	// Key is that of the value in the Secret, see [SecretOf].
	Key string `json:"key"`
}

// SecretOf is the name of the Secret with the secret variables of an application and of its
// devices. It follows from the name of the application: a description cannot choose it.
func SecretOf(application string) string { return "env." + application }

// Duration is a time.Duration whose JSON form is Go's text, such as "1h0m0s".
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("read duration: %w", err)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("read duration: %w", err)
	}
	*d = Duration(v)
	return nil
}

// Hash returns 64 hexadecimal digits that change when anything that is built
// changes. When it is built (triggers) does not count.
func (d Description) Hash() string {
	d.Triggers = nil
	data, err := json.Marshal(d)
	if err != nil { // strings and numbers only: cannot happen
		panic(err)
	}
	return digest("description", string(data))
}

// Sets reports whether the description gives the builder a variable of that name.
func (d Description) Sets(name string) bool {
	return slices.ContainsFunc(d.Env, func(e EnvVar) bool { return e.Name == name }) ||
		slices.ContainsFunc(d.Secrets, func(s SecretVar) bool { return s.Name == name })
}

// BuildsOn reports whether something starts a build besides calls: a push and a change do so if
// nothing is said.
func (d Description) BuildsOn(t Trigger) bool {
	return len(d.Triggers) == 0 || slices.Contains(d.Triggers, t)
}

// Tag returns the tag of Image, which is the version that the update server
// delivers (contract 6.2).
func (d Description) Tag() string {
	_, tag, _ := strings.Cut(d.Image, ":")
	return tag
}
