// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy is what an installation lets applications build, and where to. Its zero value lets
// them do all that a description can say.
type Policy struct {
	// Images says under which names an application publishes to the OCI registry: those that
	// are its own name, or below that.
	Images Ownership
	// Controllers says which targets of hawkBit an application publishes to: one of its own
	// name, or of a name that begins with that and one of ":", "_", "@" and "~", which no
	// application's name has.
	Controllers Ownership
	// Builders are the only builder images that may run; any if empty. An entry is a whole
	// reference, a name without its tag and digest, or the beginning of one up to a slash.
	Builders []string
	// MaxTimeout is the longest timeout of a build; a day if it is zero.
	MaxTimeout time.Duration
}

// Ownership says which names an application may use.
type Ownership string

// The kinds of ownership.
const (
	// OwnNames are those that belong to an application by its own name.
	OwnNames Ownership = "application"
	// AnyName may be used by every application: they can replace each other's firmware.
	AnyName Ownership = "any"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Ownership) UnmarshalText(text []byte) error {
	switch v := Ownership(text); v {
	case OwnNames, AnyName:
		*o = v
		return nil
	default:
		return fmt.Errorf("%q is neither %q nor %q", text, OwnNames, AnyName)
	}
}

// AdmitsBuild reports whether an object may still have built what a description says, which an
// earlier policy admitted. The error is an [*InvalidError].
func (p Policy) AdmitsBuild(o ObjectRef, d Description) error {
	r := &reader{policy: p, owner: o}
	r.admittedBuilder(d.Builder, "build.image")
	if most := cmp.Or(p.MaxTimeout, maxTimeout); time.Duration(d.Timeout) > most {
		r.fail("build.timeout", "%q is out of range: use 1s to %s", time.Duration(d.Timeout), most)
	}
	if err := p.Admits(o, d); err != nil {
		return err
	}
	if len(r.violations) > 0 {
		return &InvalidError{r.violations}
	}
	return nil
}

// Admits reports whether an object may still publish to where a description says, which an
// earlier policy admitted. The error is an [*InvalidError].
func (p Policy) Admits(o ObjectRef, d Description) error {
	r := &reader{policy: p, owner: o}
	if d.Image != "" {
		r.ownImage(d.Image, "image")
	}
	if d.Controller != "" {
		r.ownController(d.Controller, "controller")
	}
	if len(r.violations) > 0 {
		return &InvalidError{r.violations}
	}
	return nil
}

// ownImage refuses the image of somebody else.
func (r *reader) ownImage(s, at string) {
	name, _, _ := strings.Cut(s, ":")
	app := r.owner.Application
	if r.policy.Images != OwnNames || s == "" || name == app || strings.HasPrefix(name, app+"/") {
		return
	}
	r.fail(at, "%s belongs to somebody else: write %s:TAG, or %s/NAME:TAG", quote(s), app, app)
}

// ownController refuses the target of somebody else.
func (r *reader) ownController(s, at string) {
	app := r.owner.Application
	rest, own := strings.CutPrefix(s, app)
	if r.policy.Controllers != OwnNames || s == "" || own && (rest == "" || strings.ContainsAny(rest[:1], ":_@~")) {
		return
	}
	r.fail(at, "%s belongs to somebody else: write %s, or %s:NAME", quote(s), app, app)
}

// admittedBuilder refuses a builder image that is not in the list.
func (r *reader) admittedBuilder(s, at string) {
	if len(r.policy.Builders) == 0 || s == "" {
		return
	}
	if slices.ContainsFunc(r.policy.Builders, func(entry string) bool { return admitsBuilder(entry, s) }) {
		return
	}
	r.fail(
		at,
		"%s is no builder image of this installation: use one of %s",
		quote(s),
		strings.Join(r.policy.Builders, ", "),
	)
}

// admitsBuilder reports whether an entry of the list is the beginning of a reference, cut where a
// part of it ends. A tag is not replaced by a digest, which would win over it, nor a name by a
// port of a host of that name.
func admitsBuilder(entry, image string) bool {
	rest, ok := strings.CutPrefix(image, entry)
	switch {
	case !ok || entry == "":
		return false
	case rest == "" || strings.HasSuffix(entry, "/"):
		return true
	case rest[0] == '@':
		return !strings.Contains(entry[strings.LastIndex(entry, "/")+1:], ":")
	case rest[0] == ':':
		return !strings.Contains(rest, "/")
	default:
		return rest[0] == '/'
	}
}
