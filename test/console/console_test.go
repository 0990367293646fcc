// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	// The program is built by TestMain: an import makes the go command see that a result is out of date
	// when the program changes.
	_ "github.com/drogue-iot/ajour/pkg/cli"
	"github.com/drogue-iot/ajour/pkg/git/gittest"
	"github.com/drogue-iot/ajour/test/devtest"
	"github.com/drogue-iot/ajour/test/servers"
)

// program is the path of the program under test.
var program string

func TestMain(m *testing.M) { os.Exit(devtest.Main(m, &program)) }

// TestScripts runs each file of tests, a few at a time: each has an "ajour dev" and a browser of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	server, repo := gittest.Start(t)
	if _, err := repo.Commit(t.Context(), "main", fstest.MapFS{"README": {Data: []byte("x"), Mode: 0o644}}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(server)
	t.Cleanup(srv.Close)
	files, err := filepath.Glob("*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".test.js"), func(t *testing.T) {
			t.Parallel()
			s := Scripts{Folder: ".", Program: program, Repository: srv.URL + repo.Path()}
			node(t, s, nil, "--test", "--test-reporter=spec", file)
		})
	}
}

// node runs a script.
func node(t *testing.T, s Scripts, env []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd, err := s.Command(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// TestTypes checks the types that the comments of the scripts name.
func TestTypes(t *testing.T) {
	t.Parallel()
	modules, err := servers.NodeModules(".")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(
		t.Context(), "node", filepath.Join(modules, "typescript", "bin", "tsc"), "--project", "../../console/tsconfig.json",
	).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
