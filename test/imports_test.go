// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package test checks what the project promises about itself.
package test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/drogue-iot/ajour/"

// layers number the packages, with what is below them: a package imports only
// lower numbers, never a neighbour.
var layers = map[string]int{
	"pkg/build":          0,
	"pkg/internal/proxy": 0,
	"pkg/internal/trace": 0,
	"pkg/internal":       1,
	"pkg/event":          1,
	"pkg/auth":           1,
	"pkg/git":            1,
	"pkg/hawkbit":        1,
	"pkg/server":         1,
	"pkg/webhook":        1,
	"pkg/api":            2,
	"pkg/builder":        2,
	"pkg/status":         2,
	"pkg/notify":         2,
	"pkg/sink":           2,
	"pkg/tekton":         2,
	"pkg/drogue":         2,
	"pkg/publish":        2,
	"pkg/local/broker":   2,
	"pkg/local/runner":   2,
	"pkg/local/oci":      2,
	"pkg/local/registry": 2,
	"pkg/local/issuer":   2,
	"config":             2,
	"console":            2,
	"tekton":             2,
	"pkg/step":           3,
	"pkg/source":         3,
	"pkg/standalone":     4,
	"pkg/cli":            5,
	"cmd/internal":       5,
	"cmd":                6,
	"test":               7,
}

// only says who alone may import something from outside, by prefix.
var only = map[string][]string{
	"k8s.io/client-go/util/workqueue":         {"pkg/status"},
	"k8s.io/":                                 {"pkg/tekton", "pkg/local", "test"},
	"knative.dev/":                            {"pkg/tekton", "pkg/local", "test/bench"},
	"github.com/tektoncd/":                    {"pkg/tekton", "pkg/local", "test/bench"},
	"github.com/spf13/":                       {"pkg/cli"},
	"github.com/twmb/franz-go/":               {"pkg/source", "test"},
	"oras.land/":                              {"pkg/publish"},
	"golang.org/x/oauth2":                     {"pkg/auth"},
	"github.com/golang-jwt/":                  {"pkg/auth", "pkg/local/issuer", "test/servers"},
	"go.etcd.io/bbolt":                        {"pkg/local", "pkg/internal/boltfile", "test/bench"},
	"github.com/kelseyhightower/":             {"cmd", "test/e2e/backend"},
	"go.opentelemetry.io/":                    {"pkg/server", "pkg/internal/trace", "test"},
	"github.com/prometheus/":                  {"pkg/server"},
	"github.com/google/go-containerregistry/": {"pkg/local/oci", "test"},
	// Packages of test doubles are never linked into a program of the product.
	module + "pkg/git/gittest":         {"test"},
	module + "pkg/hawkbit/hawkbittest": {"test"},
	module + "pkg/publish/publishtest": {},
}

func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(
		t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", module+"...",
	).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from := strings.TrimPrefix(fields[0], module)
		for _, to := range fields[1:] {
			if err := check(from, to); err != nil {
				t.Error(err)
			}
		}
	}
}

func check(from, to string) error {
	longest := ""
	for prefix := range only {
		if strings.HasPrefix(to, prefix) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	if allowed, ok := only[longest]; ok {
		if !slices.ContainsFunc(allowed, func(a string) bool { return within(from, a) }) {
			return fmt.Errorf("%s imports %s, which only %v may", from, to, allowed)
		}
	}
	rel, ours := strings.CutPrefix(to, module)
	if !ours {
		return nil
	}
	low, high := layer(rel), layer(from)
	if low < 0 || high < 0 {
		return fmt.Errorf("%s or %s has no place in the layers", from, rel)
	}
	if low >= high && !sameRoom(from, rel) {
		return fmt.Errorf("%s (layer %d) imports %s (layer %d)", from, high, rel, low)
	}
	return nil
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// room is the entry of layers that a package belongs to.
func room(path string) string {
	best := ""
	for r := range layers {
		if within(path, r) && len(r) > len(best) {
			best = r
		}
	}
	return best
}

func layer(path string) int {
	if r := room(path); r != "" {
		return layers[r]
	}
	return -1
}

func sameRoom(a, b string) bool { return room(a) == room(b) && room(a) != "cmd" }

// TestServicesDoNotLinkWhatTheyDoNotNeed checks what the linker sees, not only direct imports.
func TestServicesDoNotLinkWhatTheyDoNotNeed(t *testing.T) {
	t.Parallel()
	for program, banned := range map[string][]string{
		"cmd/builder": {module + "pkg/git", module + "pkg/publish", "oras.land/"},
		"cmd/status":  {module + "pkg/git", module + "pkg/publish", "oras.land/"},
		"cmd/api":     {module + "pkg/git", module + "pkg/publish/hawkbit", module + "pkg/local"},
		"cmd/fetch":   {"k8s.io/", "oras.land/", "github.com/tektoncd/"},
		"cmd/publish": {"k8s.io/", module + "pkg/git", "github.com/tektoncd/"},
		// Every build in "ajour dev" starts it twice: it pays for nothing but the steps.
		"cmd/ajour-step": {"k8s.io/", "knative.dev/", "github.com/tektoncd/", "github.com/prometheus/", "github.com/spf13/"},
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+program).Output()
		if err != nil {
			t.Fatal(err)
		}
		for dep := range strings.Lines(string(out)) {
			dep = strings.TrimSpace(dep)
			for _, b := range banned {
				if dep == b || strings.HasPrefix(dep, strings.TrimSuffix(b, "/")+"/") && dep != module+"pkg/git/egress" {
					t.Errorf("%s links %s", program, dep)
				}
			}
		}
	}
}

func TestTheCheckOfImportsFindsWhatIsForbidden(t *testing.T) {
	t.Parallel()
	for _, bad := range [][2]string{
		{"pkg/builder", module + "pkg/tekton"},
		{"pkg/builder", "k8s.io/api/core/v1"},
		{"pkg/build", module + "pkg/event"},
		{"pkg/api", module + "pkg/drogue"},
		{"pkg/new", module + "pkg/build"},
		{"pkg/api", module + "pkg/local/registry"},
	} {
		if check(bad[0], bad[1]) == nil {
			t.Errorf("%s may import %s", bad[0], bad[1])
		}
	}
	for _, good := range [][2]string{
		{"pkg/builder", module + "pkg/build"}, {
			"pkg/local/issuer",
			module + "pkg/auth",
		}, {"pkg/tekton", "k8s.io/api/core/v1"}, {"pkg/build", "fmt"},
	} {
		if err := check(good[0], good[1]); err != nil {
			t.Error(err)
		}
	}
}
