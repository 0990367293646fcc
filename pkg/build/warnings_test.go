// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
)

// delivered is a section that is read as a whole, by us and by the update server.
const delivered = `{"container":{"image":"a:1","build":{"image":"b","artifact":{"path":"f"},
	"source":{"git":{"uri":"https://h/r","project":".","rev":"main"}}}}}`

// TestWhatIsNotReadIsAWarning: the text that stands in "old" is replaced in a section that has
// no warnings.
func TestWhatIsNotReadIsAWarning(t *testing.T) {
	t.Parallel()
	const in, keeps = "spec.firmware.container.build.", " keeps the update server from delivering: "
	tests := map[string]struct {
		old, replacement string
		want             []string
	}{
		"nothing": {"", "", []string{}},
		"a misspelt revision": {`"rev":"main"`, `"ref":"main"`, []string{
			in + `source.git.ref is not read: did you mean "rev"?`,
			in + "source.git.rev" + keeps + "it is missing, write the branch",
		}},
		"a misspelt timeout": {`"artifact"`, `"timout":"1h","artifact"`, []string{
			in + `timout is not read: did you mean "timeout"?`,
		}},
		"one trigger": {`"artifact"`, `"trigger":"manual","artifact"`, []string{
			in + `trigger is not read: did you mean "triggers"?`,
		}},
		"other ways to write words": {`"path":"f"`, `"path":"f","max_size":1`, []string{
			in + `artifact.max_size is not read: did you mean "maxSize"?`,
		}},
		"what resembles nothing": {`"path":"f"`, `"path":"f","colour":1`, []string{
			in + "artifact.colour is not read: known here are attachments, maxSize, path",
		}},
		"a name with everything": {`"path":"f"`, `"path":"f","a\u001b.b":1`, []string{
			in + `artifact."a\x1b.b" is not read: known here are attachments, maxSize, path`,
		}},
		"within a list": {`"artifact"`, `"env":[{"name":"A","value":"","from":1}],"artifact"`, []string{
			in + "env[0].from is not read: known here are name, value",
		}},
		"beside the image": {`"image":"a:1"`, `"image":"a:1","imagePullPolicies":"Always"`, []string{
			`spec.firmware.container.imagePullPolicies is not read: did you mean "imagePullPolicy"?`,
		}},
		"a policy that it does not know": {`"image":"a:1"`, `"image":"a:1","imagePullPolicy":"Never"`, []string{
			"spec.firmware.container.imagePullPolicy" + keeps + `write "IfNotPresent" or "Always", or remove it`,
		}},
		"a policy that is nothing": {`"image":"a:1"`, `"image":"a:1","imagePullPolicy":null`, []string{
			"spec.firmware.container.imagePullPolicy" + keeps + `write "IfNotPresent" or "Always", or remove it`,
		}},
		"a policy that it knows": {`"image":"a:1"`, `"image":"a:1","imagePullPolicy":"Always"`, []string{}},
		"beside the registry": {`"container"`, `"notes":"x","container"`, []string{
			"spec.firmware.notes" + keeps + "remove it, container stands alone",
		}},
		"a second source": {`"git":`, `"svn":{},"git":`, []string{
			in + "source.svn is not read: known here are git, path",
			in + "source.svn" + keeps + "remove it, git stands alone",
		}},
		"a folder beside git": {`"git":`, `"path":"x","git":`, []string{
			in + "source.path" + keeps + "write it as git.project",
		}},
		"no folder": {`"project":".",`, "", []string{
			in + "source.git.project" + keeps + `it is missing, write "." for the root folder`,
		}},
		"no revision": {`"rev":"main"`, `"rev":null`, []string{
			in + "source.git.rev" + keeps + "it is missing, write the branch",
		}},
		"the seed's key": {`"container"`, `"oci"`, []string{
			"spec.firmware.oci" + keeps + "write container",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := build.Parse(json.RawMessage(strings.Replace(delivered, tt.old, tt.replacement, 1)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, append([]string{}, d.WarningLines()...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAMissingMemberIsFoundUnderItsWrongName beside the error that it is missing.
func TestAMissingMemberIsFoundUnderItsWrongName(t *testing.T) {
	t.Parallel()
	_, err := build.Parse(json.RawMessage(strings.Replace(delivered, "uri", "url", 1)))
	var invalid *build.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	const at = "spec.firmware.container.build.source.git."
	want := []build.Violation{
		{Path: at + "uri", Detail: "is missing: write a string"},
		{Path: at + "url", Detail: `is not read: did you mean "uri"?`},
	}
	if diff := cmp.Diff(want, invalid.Violations); diff != "" {
		t.Error(diff)
	}
}

// TestManyWarningsAreCounted: an object is limited to 64 KiB.
func TestManyWarningsAreCounted(t *testing.T) {
	t.Parallel()
	many := ""
	for _, c := range "ABCDEFGHIJ" {
		many += `"` + strings.Repeat(string(c), 50) + `":1,`
	}
	d, err := build.Parse(json.RawMessage(strings.Replace(delivered, `"path"`, many+`"path"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Warnings) != 9 || d.Warnings[8] != (build.Violation{Path: "spec.firmware", Detail: "has 2 more"}) {
		t.Error(d.Warnings)
	}
}

// TestAConditionHasTheWarnings after what it says of the build.
func TestAConditionHasTheWarnings(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]build.Status{
		"":                         {},
		"It failed":                {Message: "It failed"},
		"Warning: a is wrong":      {Warnings: []string{"a is wrong"}},
		"It failed. Warning: a; b": {Message: "It failed", Warnings: []string{"a", "b"}},
		"It failed. Warning: a b":  {Message: "It failed.", Warnings: []string{"a\x1b b"}},
	} {
		if got := s.Conditions()[0].Message; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
