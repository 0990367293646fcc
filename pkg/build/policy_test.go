// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
)

// violations returns the paths of what is wrong.
func violations(t *testing.T, err error) []string {
	t.Helper()
	var invalid *build.InvalidError
	if err != nil && !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	paths := []string{}
	if invalid != nil {
		for _, v := range invalid.Violations {
			paths = append(paths, v.Path)
		}
	}
	return paths
}

// TestNamesBelongToApplications: an application publishes to its own image and below, and to its
// own controllers. Names that only begin alike are somebody else's.
func TestNamesBelongToApplications(t *testing.T) {
	t.Parallel()
	const (
		imageSection   = `{%q:{"image":"%s:1","build":{"image":"b","artifact":{"path":"f"},"source":{"git":{"uri":"https://h/r"}}}}}`
		hawkbitSection = `{"hawkbit":{"controller":%q,"build":{"image":"b","artifact":{"path":"f"},"source":{"git":{"uri":"https://h/r"}},` +
			`"publish":{"container":{"image":"%s:1"}}}}}`
		own = "green-house.1"
	)
	strict := build.Policy{Images: build.OwnNames, Controllers: build.OwnNames}
	for name, admitted := range map[string]bool{
		own: true, own + "/sensor": true, own + "/a/b": true,
		"green-house": false, own + "1": false, own + "-x": false, own + ".x": false, own + "_x": false, "other": false,
		"other/" + own: false, "x" + own: false, "GREEN": false,
	} {
		for _, key := range []string{"container", "oci"} {
			for _, o := range []build.ObjectRef{{Application: own}, {Application: own, Device: "other"}} {
				want := []string{}
				if !admitted {
					want = []string{"spec.firmware." + key + ".image"}
				}
				section := json.RawMessage(fmt.Sprintf(imageSection, key, name))
				_, err := strict.Parse(section, o)
				if diff := cmp.Diff(want, violations(t, err)); diff != "" {
					t.Error(name, o, diff)
				}
				if name == "GREEN" {
					continue // is no image at all
				}
				d, err := build.Parse(section)
				if err != nil {
					t.Fatal(err)
				}
				if err := strict.Admits(o, d); (err == nil) != admitted {
					t.Error(name, o, err)
				}
				if err := (build.Policy{Images: build.AnyName}).Admits(o, d); err != nil {
					t.Error(name, o, err)
				}
			}
		}
	}
	for controller, admitted := range map[string]bool{
		own: true, own + ":1": true, own + "_1": true, own + "@x": true, own + "~x": true, own + "é": false, own + "X": false,
		own + "1": false, own + "-1": false, own + ".1": false, "other": false, "other:" + own: false, strings.ToUpper(own): false,
	} {
		want := []string{}
		if !admitted {
			want = []string{"spec.firmware.hawkbit.controller"}
		}
		_, err := strict.Parse(
			json.RawMessage(fmt.Sprintf(hawkbitSection, controller, own)),
			build.ObjectRef{Application: own},
		)
		if diff := cmp.Diff(want, violations(t, err)); diff != "" {
			t.Error(controller, diff)
		}
	}
	_, err := strict.Parse(json.RawMessage(fmt.Sprintf(hawkbitSection, own, "other")), build.ObjectRef{Application: own})
	if diff := cmp.Diff(
		[]string{"spec.firmware.hawkbit.build.publish.container.image"}, violations(t, err),
	); diff != "" {
		t.Error(diff)
	}
}

func TestBuildersOfAnInstallation(t *testing.T) {
	t.Parallel()
	digest := "quay.io/acme/pinned@sha256:" + strings.Repeat("a", 64)
	p := build.Policy{Builders: []string{"quay.io/acme/builders/", "golang", "rust:1", "registry.example.org", "", digest}}
	for image, admitted := range map[string]bool{
		"quay.io/acme/builders/rust:1": true, "golang": true, "golang:1.26": true, "golang@sha256:" + strings.Repeat("b", 64): true,
		digest: true, "golang/x": true, "rust:1": true, "registry.example.org/a:1": true,
		"rust:1@sha256:" + strings.Repeat("b", 64): false, "registry.example.org:5000/a:1": false,
		"quay.io/acme/builders-of-others/x": false, "quay.io/acme/builders": false, "golang2:1": false, "rust:1.2": false,
		"evil.example/golang": false, "quay.io/acme/pinned:1": false, "quay.io/acme/pinned@sha256:" + strings.Repeat("b", 64): false,
	} {
		section := fmt.Sprintf(
			`{"container":{"image":"a:1","build":{"image":%q,"artifact":{"path":"f"},"source":{"git":{"uri":"https://h/r"}}}}}`,
			image,
		)
		_, err := p.Parse(json.RawMessage(section), build.ObjectRef{Application: "a"})
		want := []string{}
		if !admitted {
			want = []string{"spec.firmware.container.build.image"}
		}
		if diff := cmp.Diff(want, violations(t, err)); diff != "" {
			t.Error(image, diff)
		}
	}
}

func TestLimitsOfADescription(t *testing.T) {
	t.Parallel()
	const section = `{"container":{"image":"a:1","build":{"image":"b","artifact":{"path":"f"},"source":{"git":{"uri":"https://h/r"}}%s}}}`
	p := build.Policy{MaxTimeout: 10 * time.Minute}
	for more, want := range map[string]struct {
		timeout time.Duration
		wrong   []string
	}{
		"":                     {10 * time.Minute, []string{}}, // the default is longer
		`,"timeout":"10m"`:     {10 * time.Minute, []string{}},
		`,"timeout":"1m"`:      {time.Minute, []string{}},
		`,"timeout":"10m1s"`:   {0, []string{"spec.firmware.container.build.timeout"}},
		`,"timeout":"876000h"`: {0, []string{"spec.firmware.container.build.timeout"}},
		`,"args":["` + strings.Repeat("x", 4000) + `","` + strings.Repeat("x", 4000) + `"]`: {10 * time.Minute, []string{}},
		`,"args":[` + strings.TrimSuffix(strings.Repeat(`"`+strings.Repeat("x", 4000)+`",`, 5), ",") + `]`: {
			0, []string{"spec.firmware"},
		},
	} {
		d, err := p.Parse(json.RawMessage(fmt.Sprintf(section, more)), build.ObjectRef{Application: "a"})
		if diff := cmp.Diff(want.wrong, violations(t, err)); diff != "" || time.Duration(d.Timeout) != want.timeout {
			t.Errorf("%.60s: %s %s", more, time.Duration(d.Timeout), diff)
		}
	}
}

func TestAnOwnershipIsOneOfTwo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"application": true, "any": true, "": false, "Any": false, "none": false} {
		var o build.Ownership
		if err := o.UnmarshalText([]byte(text)); (err == nil) != want || want && string(o) != text {
			t.Error(text, o, err)
		}
	}
}
