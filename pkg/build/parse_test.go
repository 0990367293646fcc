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

// full is a description that sets everything, in the existing spelling.
const full = `{"container":{"image":"greenhouse:4f1c2ab","imagePullPolicy":"IfNotPresent","build":{
	"image":"quay.io/acme/rust-builder:1.0",
	"source":{"git":{"uri":"https://git.example.net/acme/fw.git","project":"boards/a","rev":"main"}},
	"env":[{"name":"BOARD","value":"a"},{"name":"FEATURES","value":["x","y"]}],
	"args":["--release"],"artifact":{"path":"./out/firmware.bin"},"timeout":"30m","history":"tags","triggers":["manual"]}}}`

func TestParse(t *testing.T) {
	t.Parallel()
	want := build.Description{
		Registry: build.OCI, Image: "greenhouse:4f1c2ab", Builder: "quay.io/acme/rust-builder:1.0",
		Source: build.Source{URI: "https://git.example.net/acme/fw.git", Rev: "main", Path: "boards/a"},
		Env:    []build.EnvVar{{Name: "BOARD", Value: "a"}, {Name: "FEATURES", Value: "x,y"}},
		Args:   []string{"--release"}, Artifact: "out/firmware.bin", History: build.HistoryTags,
		Timeout: build.Duration(30 * time.Minute), Triggers: []build.Trigger{"manual"},
	}
	bare := build.Description{
		Registry: build.OCI, Image: "a:1", Builder: "b",
		Source: build.Source{URI: "ssh://git@h/r", Path: "."}, Artifact: "f", Timeout: build.Duration(time.Hour),
	}
	withPath := bare
	withPath.Source.Path = "sub/folder"
	hawkbit := bare
	hawkbit.Registry, hawkbit.Image, hawkbit.Controller = build.Hawkbit, "", "sensor-7"
	both := bare
	both.Controller = "sensor-7"
	bothFromHawkbit := both
	bothFromHawkbit.Registry = build.Hawkbit
	budget := bare
	budget.MaxSize, budget.Attachments = 256<<10, []string{"out/fw.elf", "fw.map"}
	secret := bare
	secret.Secrets = []build.SecretVar{{Name: "CARGO_TOKEN", Key: "CARGO_TOKEN"}, {Name: "NPM_TOKEN", Key: "npm.token"}}
	minimal := func(kind, source, more string) string {
		return fmt.Sprintf(
			`{%q:{"image":"a:1","controller":"sensor-7","build":{"image":"b","source":%s,"artifact":{"path":"f"}%s}}}`,
			kind, source, more,
		)
	}
	git := `{"git":{"uri":"ssh://git@h/r"}}`
	tests := []struct {
		name, section string
		want          build.Description
	}{
		{"the existing spelling with everything set", full, want},
		{"the seed's key oci means container", strings.Replace(full, "container", "oci", 1), want},
		{"defaults are an hour, the root folder and the default branch", minimal("container", git, ""), bare},
		{
			"the seed's source.path names the sub-folder",
			minimal("oci", `{"path":"sub/folder/","git":{"uri":"ssh://git@h/r"}}`, ""),
			withPath,
		},
		{
			"git.project wins over source.path",
			minimal("oci", `{"path":"x","git":{"uri":"ssh://git@h/r","project":"sub/folder"}}`, ""),
			withPath,
		},
		{"hawkBit names a controller instead of an image", minimal("hawkbit", git, ""), hawkbit},
		{
			"a container may be published to hawkBit, too",
			minimal("container", git, `,"publish":{"hawkbit":{"controller":"sensor-7"}}`),
			both,
		},
		{"and the other way round", minimal("hawkbit", git, `,"publish":{"oci":{"image":"a:1"}}`), bothFromHawkbit},
		{
			"a size budget and further files",
			strings.Replace(
				minimal("container", git, ""), `{"path":"f"}`,
				`{"path":"f","maxSize":"256Ki","attachments":["./out/fw.elf","fw.map","fw.map"]}`, 1,
			),
			budget,
		},
		{
			"a size in bytes",
			strings.Replace(
				minimal("container", git, ""), `{"path":"f"}`,
				`{"path":"f","maxSize":262144,"attachments":["out/fw.elf","fw.map"]}`, 1,
			),
			budget,
		},
		{
			"secret variables have a key of their own name, or a given one",
			minimal("container", git, `,"secrets":[{"name":"CARGO_TOKEN"},{"name":"NPM_TOKEN","key":"npm.token"}]`), secret,
		},
		{"unknown members are left alone", minimal("container", git, `,"colour":"red","env":null`), bare},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := build.Parse(json.RawMessage(tt.section))
			if err != nil {
				t.Fatal(err)
			}
			got.Warnings = nil // see TestWhatIsNotReadIsAWarning
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseFindsNothingToBuild(t *testing.T) {
	t.Parallel()
	for _, section := range []string{
		"", "null", "{}", `{"container":{"image":"a:1"}}`, `{"container":{"image":"a:1","build":null}}`,
		`{"file":{"name":"x"}}`, `{"hawkbit":{"controller":"x"}}`, `{"other":{}}`,
	} {
		if _, err := build.Parse(json.RawMessage(section)); !errors.Is(err, build.ErrNoBuild) {
			t.Errorf("Parse(%s) = %v, want ErrNoBuild", section, err)
		}
	}
}

func TestParseReportsEveryViolationAtOnce(t *testing.T) {
	t.Parallel()
	_, err := build.Parse(json.RawMessage(`{"oci":{"image":"Foo","build":{
		"image":"-x","source":{"git":{"uri":"ext::sh","rev":"-x","project":"../.."}},
		"env":[{"name":"PATH","value":"x"},{"name":"A","value":1},{"name":"A"},5],
		"args":["ok",2,"$(params.X)"],"artifact":{"path":"/etc/passwd"},"timeout":"9999h","triggers":["cron"]}}}`))
	var invalid *build.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, v := range invalid.Violations {
		got = append(got, v.Path)
	}
	b := "spec.firmware.oci.build."
	want := []string{
		"spec.firmware.oci.image", b + "image", b + "source.git.uri", b + "source.git.rev", b + "source.git.project",
		b + "env[0].name", b + "env[1].value", b + "env[2].name", b + "env[2].value", b + "env[3]",
		b + "args[1]", b + "args[2]", b + "artifact.path", b + "timeout", b + "triggers[0]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	base := map[string]string{
		"image":       `"a:1"`,
		"builder":     `"b"`,
		"uri":         `"https://h/r"`,
		"rev":         `"main"`,
		"project":     `"."`,
		"env":         `[]`,
		"args":        `[]`,
		"artifact":    `"f"`,
		"timeout":     `"1h"`,
		"history":     `"full"`,
		"maxSize":     `1`,
		"attachments": `[]`,
		"publish":     `null`,
		"secrets":     `[]`,
	}
	refused := map[string][]string{
		"image": {
			`"a"`,
			`"a@sha256:0"`,
			`"A:1"`,
			`"/a:1"`,
			`"a:1:2"`,
			`"a/../b:1"`,
			`"a:-1"`,
			`"h.example:5000/a:1"`,
			`""`,
			`5`,
			`null`,
		},
		"builder": {`"-privileged"`, `"a b"`, `"a;b"`, `"h/A"`, `"a@sha256:12"`},
		"uri": {
			`"file:///etc"`, `"/etc"`, `"../x"`, `"ext::sh -c x"`, `"ssh://-oProxyCommand=x/r"`, `"-u"`, `"https://u:p@h/r"`,
			`"https://token@h/r"`, `"ssh://u:p@h/r"`, `"https://h"`, `"https://h/r?x=1"`, `"https://h/r#x"`, `"https://h/a b"`,
			`"https://h/$(x)"`, `"git://h/r"`, `"https:///r"`, `"-x@h:r"`, `"u@-h:r"`, `"https://h/r\u0000"`,
		},
		"rev": {
			`"--upload-pack=x"`, `"a..b"`, `"a b"`, `"x:y"`, `"x~1"`, `"x*"`, `"@"`, `".x"`, `"a/.b"`, `"a//b"`, `"/a"`, `5`,
			`"x\u001b"`, `"x\u202e"`, `"@{-1}"`, `"a/"`, `"x.lock"`, `"$(x)"`,
		},
		"project":     {`"/abs"`, `".."`, `"a/../../b"`, `"a/.."`, `"a\\b"`},
		"artifact":    {`"/abs"`, `"../f"`, `"."`, `""`, `"a/../f"`, `"./"`},
		"history":     {`"all"`, `5`},
		"timeout":     {`"0"`, `"-1h"`, `"9999h"`, `"1 hour"`, `3600`, `"100ms"`},
		"maxSize":     {`0`, `-1`, `"1 MB"`, `"5Gi"`, `1.5`, `"9223372036854775807Gi"`, `"Ki"`, `true`, `1e3`},
		"attachments": {`"fw.elf"`, `[""]`, `["../x"]`, `[1]`, `["$(x)"]`},
		"publish": {
			`[]`,
			`{"file":{"name":"x"}}`,
			`{"container":{"image":"b:1"}}`,
			`{"hawkbit":null}`,
			`{"hawkbit":{}}`,
			`{"hawkbit":{"controller":"a b"}}`,
			`{"hawkbit":{"controller":"a/b"}}`,
			`{"hawkbit":{"controller":"%"}}`,
			`{"hawkbit":{"controller":".."}}`,
			`{"hawkbit":{"controller":"$(x)"}}`,
		},
		"secrets": {
			`{}`,
			`["A"]`,
			`[{"key":"x"}]`,
			`[{"name":"A"},{"name":"A","key":"x"}]`,
			`[{"name":"GIT_SSH_COMMAND"}]`,
			`[{"name":"A","value":"planted"}]`,
			`[{"name":"A","key":"a/b"}]`,
			`[{"name":"A","key":".."}]`,
			`[{"name":"A","key":5}]`,
			`[{"name":"A","key":"..data"}]`,
			`[{"name":"A","key":"$(x)"}]`,
		},
		"args": {`"--release"`, `[1]`, `["$(REGISTRY_TOKEN)"]`, `["\u0000"]`, `["\u001b[2J"]`},
		"env": {
			`{}`,
			`[{"value":"x"}]`,
			`[{"name":"LD_PRELOAD","value":"x"}]`,
			`[{"name":"GIT_SSH_COMMAND","value":"x"}]`,
			`[{"name":"A","value":"1"},{"name":"A","value":"2"}]`,
			`[{"name":"A-B","value":"1"}]`,
			`[{"name":"A","value":true}]`,
			`[{"name":"REVISION","value":"1"}]`,
			`[{"name":"AJOUR_HTTPS_PROXY","value":"http://h:1"}]`,
			`[{"name":"GODEBUG","value":"tlsrsakex=1"}]`,
			`[{"name":"A","value":["x",1]}]`,
		},
	}
	for field, values := range refused {
		for _, value := range values {
			t.Run(field+" "+value, func(t *testing.T) {
				t.Parallel()
				v := func(key string) string {
					if key == field {
						return value
					}
					return base[key]
				}
				section := fmt.Sprintf(
					`{"container":{"image":%s,"build":{"image":%s,"source":{"git":{"uri":%s,"rev":%s,"project":%s}},
					"env":%s,"args":%s,"artifact":{"path":%s,"maxSize":%s,"attachments":%s},"timeout":%s,"history":%s,"publish":%s,"secrets":%s}}}`,
					v(
						"image",
					),
					v("builder"),
					v("uri"),
					v("rev"),
					v("project"),
					v("env"),
					v("args"),
					v("artifact"),
					v("maxSize"),
					v("attachments"),
					v("timeout"),
					v("history"),
					v("publish"),
					v("secrets"),
				)
				var invalid *build.InvalidError
				if _, err := build.Parse(json.RawMessage(section)); !errors.As(err, &invalid) {
					t.Fatalf("got %v, want a violation", err)
				}
				if len(invalid.Violations) != 1 {
					t.Errorf("want one violation: %v", invalid)
				}
			})
		}
	}
}

func TestAVariableIsPlainOrSecret(t *testing.T) {
	t.Parallel()
	_, err := build.Parse(json.RawMessage(`{"container":{"image":"a:1","build":{"image":"b","artifact":{"path":"f"},
		"source":{"git":{"uri":"https://h/r"}},"env":[{"name":"A","value":"x"}],"secrets":[{"name":"A","value":"hunter2"}]}}}`))
	const at = "spec.firmware.container.build.secrets[0]"
	want := &build.InvalidError{Violations: []build.Violation{
		{Path: at + ".name", Detail: `"A" is set twice: remove one`},
		{Path: at + ".value", Detail: "stands where everybody can read it: put it into the Secret, under the key"},
	}}
	if diff := cmp.Diff(want.Error(), fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}

func TestAttachmentsNeedAnOCIRegistry(t *testing.T) {
	t.Parallel()
	for _, publish := range []string{`null`, `{}`} {
		_, err := build.Parse(
			json.RawMessage(`{"hawkbit":{"controller":"c","build":{"image":"b","source":{"git":{"uri":"https://h/r"}},
			"artifact":{"path":"f","attachments":["a"]},"publish":` + publish + `}}}`),
		)
		var invalid *build.InvalidError
		if !errors.As(err, &invalid) || invalid.Violations[0].Path != "spec.firmware.hawkbit.build.artifact.attachments" {
			t.Errorf("%s: %v", publish, err)
		}
	}
}

func TestParseNeverRepeatsAPassword(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"https://user:hunter2@h/r", "https://user:hunter2@h:x/r", "ssh://u:hunter2@h/r", "ext::hunter2@"} {
		_, err := build.Parse(json.RawMessage(strings.Replace(full, "https://git.example.net/acme/fw.git", uri, 1)))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestParseRefusesTwoRegistriesAtOnce(t *testing.T) {
	t.Parallel()
	_, err := build.Parse(json.RawMessage(`{"oci":{"image":"a:1"},"container":{"image":"a:1"}}`))
	want := &build.InvalidError{Violations: []build.Violation{{
		Path: "spec.firmware", Detail: "has container and oci side by side: keep exactly one",
	}}}
	if diff := cmp.Diff(want.Error(), fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	parse := func(s string) build.Description {
		d, err := build.Parse(json.RawMessage(s))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a := parse(full)
	if b := parse(strings.Replace(full, "container", "oci", 1)); a.Hash() != b.Hash() {
		t.Error("the spelling of the registry changes the hash")
	}
	if b := parse(strings.Replace(full, `,"triggers":["manual"]`, "", 1)); a.Hash() != b.Hash() {
		t.Error("triggers change the hash")
	}
	if b := parse(strings.Replace(full, `"main"`, `"next"`, 1)); a.Hash() == b.Hash() {
		t.Error("another revision has the same hash")
	}
}

func TestTargetHashTellsAmbiguousNamesApart(t *testing.T) {
	t.Parallel()
	a, b := build.ObjectRef{Application: "a", Device: "b-c"}, build.ObjectRef{Application: "a-b", Device: "c"}
	if a.Hash() == b.Hash() {
		t.Error("same hash")
	}
}

func TestPlainNames(t *testing.T) {
	t.Parallel()
	for target, want := range map[build.ObjectRef]string{
		{Application: "greenhouse"}:                          "greenhouse",
		{Application: "greenhouse", Device: "Sensor_7"}:      "greenhouse/Sensor_7",
		{Application: "a", Device: "x;name==*"}:              "a/x_name___-",
		{Application: "a", Device: "$(params.uri)"}:          "a/__params.uri_-",
		{Application: "a", Device: "<b>"}:                    "a/_b_-",
		{Application: "a", Device: strings.Repeat("x", 255)}: "a/" + strings.Repeat("x", 117) + "-",
		{
			Application: strings.Repeat("a", 63),
			Device:      strings.Repeat("é", 100),
		}: strings.Repeat("a", 63) + "/" + strings.Repeat("_", 55) + "-",
	} {
		got := target.PlainName()
		if plain := strings.HasSuffix(want, "-"); plain {
			want += target.Hash()[:8]
		}
		if got != want || len(got) > 128 {
			t.Errorf("%v: %q, want %q", target, got, want)
		}
	}
}

func TestTargetValidate(t *testing.T) {
	t.Parallel()
	good := []build.ObjectRef{
		{"a", ""},
		{"1.2.3.4", "x"},
		{"a--b", "../x"},
		{"a.b", "emoji 😀 %2f #"},
		{"a", strings.Repeat("é", 127)},
	}
	for _, target := range good {
		if err := target.Validate(); err != nil {
			t.Error(err)
		}
	}
	bad := []build.ObjectRef{
		{"", ""},
		{"A", ""},
		{"a,device=b", ""},
		{"-a", ""},
		{"a..b", ""},
		{"a", "x\x00"},
		{"a", strings.Repeat("x", 256)},
		{strings.Repeat("a", 65), ""},
		{"a", "\xff"},
		{"../x", ""},
	}
	for _, target := range bad {
		if err := target.Validate(); !errors.Is(err, build.ErrInvalidObjectRef) {
			t.Errorf("%q: %v", target, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`{"oci":{"image":"a:1","build":{"image":1,"source":[],"env":[null],"args":{}}}}`))
	f.Fuzz(func(t *testing.T, section []byte) {
		d, err := build.Parse(section)
		if described := build.Describes(section); err == nil && !described || errors.Is(err, build.ErrNoBuild) && described {
			t.Errorf("%s describes a build: %t; %v", section, described, err)
		}
		if err != nil {
			return
		}
		encoded, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back build.Description
		if err := json.Unmarshal(encoded, &back); err != nil {
			t.Fatal(err)
		}
		if back.Hash() != d.Hash() {
			t.Errorf("%s changes on its way through JSON", encoded)
		}
		if strings.Contains(string(encoded), "$(") {
			t.Errorf("a variable got through: %s", encoded)
		}
	})
}
