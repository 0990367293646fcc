// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// giteaVersion is the module that is compiled: there is no binary to be had.
const giteaVersion = "v1.24.6"

// GiteaProgram compiles Gitea, once for a machine and version, and returns its path. The templates
// and settings that it uses are in the folder source beside it.
var GiteaProgram = sync.OnceValues(func() (string, error) {
	return Stored("gitea-"+giteaVersion, "gitea", compileGitea)
})

func compileGitea(dir string) error {
	program := filepath.Join(dir, "gitea")
	out, err := exec.Command("go", "mod", "download", "-json", "code.gitea.io/gitea@"+giteaVersion).Output()
	var module struct{ Dir string }
	if err := errors.Join(err, json.Unmarshal(out, &module)); err != nil {
		return fmt.Errorf("download gitea: %w", err)
	}
	// A copy that can be written to, whose templates and settings the program uses.
	source := filepath.Join(dir, "source")
	if out, err := exec.Command(
		"sh", "-c", `rm -rf "$2" && cp -r "$1" "$2" && chmod -R u+w "$2"`, "sh", module.Dir, source,
	).CombinedOutput(); err != nil {
		return fmt.Errorf("copy gitea: %w: %s", err, out)
	}
	build := exec.Command(
		"go", "build", "-trimpath", "-tags", "sqlite sqlite_unlock_notify", "-ldflags", "-s -w", "-o",
		program+".new", ".",
	)
	build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("compile gitea: %w: %s", err, out)
	}
	return os.Rename(program+".new", program)
}

// Gitea is a running forge with the user "ci".
type Gitea struct {
	// URL is its base by HTTPS, with the certificate of the file CA.
	URL, CA string
	// SSH is the base of repositories by ssh, KnownHosts the line of its key.
	SSH, KnownHosts string
	// Password is that of the user, Token one that may read and write repositories.
	Password, Token string

	t      testing.TB
	client *http.Client
}

// User owns all repositories.
const User = "ci"

const appINI = `
APP_NAME = test
RUN_USER = %[1]s
WORK_PATH = %[2]s
[server]
PROTOCOL = https
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[3]d
ROOT_URL = https://127.0.0.1:%[3]d/
CERT_FILE = %[2]s/cert.pem
KEY_FILE = %[2]s/key.pem
STATIC_ROOT_PATH = %[5]s
OFFLINE_MODE = true
START_SSH_SERVER = true
SSH_DOMAIN = 127.0.0.1
SSH_LISTEN_HOST = 127.0.0.1
SSH_PORT = %[4]d
SSH_LISTEN_PORT = %[4]d
SSH_SERVER_HOST_KEYS = %[2]s/host.rsa
BUILTIN_SSH_SERVER_USER = git
LFS_START_SERVER = true
[lfs]
PATH = %[2]s/lfs
[database]
DB_TYPE = sqlite3
PATH = %[2]s/gitea.db
[repository]
ROOT = %[2]s/repositories
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2_v1
[service]
DISABLE_REGISTRATION = true
[log]
LEVEL = error
MODE = console
[cron]
ENABLED = false
[webhook]
ALLOWED_HOST_LIST = loopback
[indexer]
ISSUE_INDEXER_TYPE = db
`

// StartGitea starts a forge. The first time on a machine it is compiled, which takes
// minutes.
func StartGitea(t testing.TB) *Gitea {
	t.Helper()
	program, err := GiteaProgram()
	if err != nil {
		t.Fatal(err)
	}
	dir, port, ssh := t.TempDir(), freePort(t), freePort(t)
	g := &Gitea{
		t:        t,
		URL:      fmt.Sprintf("https://127.0.0.1:%d", port),
		CA:       filepath.Join(dir, "cert.pem"),
		SSH:      fmt.Sprintf("ssh://git@127.0.0.1:%d", ssh),
		Password: "secret-gitea-password",
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				out = append(out, exit.Stderr...)
			}
			t.Fatalf("%v: %v %s", args, err, out)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return lines[len(lines)-1] // before it are warnings
	}
	ini := filepath.Join(dir, "app.ini")
	user := run("id", "-un")
	text := fmt.Sprintf(
		"I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true\n"+appINI, user, dir, port, ssh,
		filepath.Join(filepath.Dir(program), "source"),
	)
	if err := os.WriteFile(ini, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, dir)
	run("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", filepath.Join(dir, "host.rsa"))
	key, err := os.ReadFile(filepath.Join(dir, "host.rsa.pub"))
	if err != nil {
		t.Fatal(err)
	}
	g.KnownHosts = fmt.Sprintf("[127.0.0.1]:%d %s", ssh, key)
	run(program, "--config", ini, "migrate")
	run(
		program, "--config", ini, "admin", "user", "create", "--username", User, "--password", g.Password,
		"--email", "ci@example.org", "--must-change-password=false",
	)
	g.Token = run(
		program, "--config", ini, "admin", "user", "generate-access-token", "--username", User, "--scopes",
		"write:repository,write:user", "--raw",
	)
	g.client = trusting(t, g.CA)
	start(t, g.URL+"/api/v1/version", g.client, program, "--config", ini, "web")
	return g
}

// Call calls Gitea's API as the user.
func (g *Gitea) Call(method, path string, body any) {
	g.t.Helper()
	g.call(method, path, body, nil)
}

// Get reads from Gitea's API as the user.
func (g *Gitea) Get(path string, into any) {
	g.t.Helper()
	g.call(http.MethodGet, path, nil, into)
}

func (g *Gitea) call(method, path string, body, into any) {
	g.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		g.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, g.URL+"/api/v1"+path, bytes.NewReader(data))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "token "+g.Token)
	res, err := g.client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		g.t.Fatalf("%s %s: %s %s %v", method, path, res.Status, text, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(text, into); err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// Create makes a repository.
func (g *Gitea) Create(name string, private bool) {
	g.t.Helper()
	g.Call(http.MethodPost, "/user/repos", map[string]any{"name": name, "private": private, "default_branch": "main"})
}
