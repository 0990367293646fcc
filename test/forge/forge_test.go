// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package forge fetches from a real forge: by HTTPS and ssh, with each kind of
// credentials, with submodules and LFS. Its tests run the fetch step as a program of
// its own, as a pod does, and whole builds by "ajour dev".
package forge

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	// The programs are built by TestMain: an import makes the go command see that
	// a result is out of date when a program changes.
	_ "github.com/drogue-iot/ajour/pkg/cli"
	_ "github.com/drogue-iot/ajour/pkg/step/fetch"
	"github.com/drogue-iot/ajour/test/servers"
)

// The paths of the fetch step and of ajour.
var program, ajour string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ajour forge ") // blanks have to do no harm
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program, ajour = filepath.Join(dir, "fetch"), filepath.Join(dir, "ajour")
	const cmd = "github.com/drogue-iot/ajour/cmd/"
	if out, err := exec.Command(
		"go", "build", "-o", dir+"/", cmd+"fetch", cmd+"ajour", cmd+"ajour-step",
	).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build fetch and ajour: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// world is a forge whose repository "firmware" is private, with the submodule
// "library", which is private, too, and with a file in LFS.
type world struct {
	t     *testing.T
	forge *servers.Gitea
	// home is that of the user of git.
	home string
	// commits are those of the main branch, the first one first; the first has the
	// annotated tag v1.
	commits []string
}

const lfsContent = "a large file"

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, forge: servers.StartGitea(t), home: t.TempDir()}
	w.git(t, w.home, "lfs", "install")
	library := w.work(t, "library")
	write(t, library, "lib.c", "first")
	first := w.commit(t, library, "First")
	write(t, library, "lib.c", "second")
	w.commit(t, library, "Second")

	firmware := w.work(t, "firmware")
	write(t, firmware, "boards/a/main.c", "first")
	w.commits = append(w.commits, w.commit(t, firmware, "First"))
	w.git(t, firmware, "tag", "--annotate", "--message", "v1", "v1")
	w.git(t, firmware, "push", "--quiet", "origin", "v1")
	write(t, firmware, "boards/a/main.c", "second")
	write(t, firmware, ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
	write(t, firmware, "blob.bin", lfsContent)
	write(t, firmware, ".gitmodules", "[submodule \"library\"]\n\tpath = library\n\turl = ../library.git\n")
	w.git(t, firmware, "update-index", "--add", "--cacheinfo", "160000,"+first+",library")
	w.git(t, firmware, "add", "boards", ".gitattributes", "blob.bin", ".gitmodules")
	w.git(t, firmware, "commit", "--quiet", "--message", "Second")
	w.git(t, firmware, "push", "--quiet", "origin", "HEAD:main")
	w.commits = append(w.commits, w.git(t, firmware, "rev-parse", "HEAD"))
	return w
}

// git runs git in a folder, and returns what it prints.
func (w *world) git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(
		"git", append([]string{"-c", "http.sslCAInfo=" + w.forge.CA, "-c", "init.defaultBranch=main"}, args...)...,
	)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.home, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// work makes a private repository, and returns a folder to work on it.
func (w *world) work(t *testing.T, name string) (dir string) {
	t.Helper()
	w.forge.Create(name, true)
	dir = filepath.Join(t.TempDir(), name)
	w.git(t, w.home, "init", "--quiet", dir)
	w.git(t, dir, "remote", "add", "origin", w.url(url.UserPassword(servers.User, w.forge.Token))+name+".git")
	return dir
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := errors.Join(
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755),
		os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600),
	); err != nil {
		t.Fatal(err)
	}
}

// commit commits all that is in a folder, pushes it to the branch main, and returns the commit.
func (w *world) commit(t *testing.T, dir, message string) string {
	t.Helper()
	w.git(t, dir, "add", "--all")
	w.git(t, dir, "commit", "--quiet", "--message", message)
	w.git(t, dir, "push", "--quiet", "origin", "HEAD:main")
	return w.git(t, dir, "rev-parse", "HEAD")
}

// url is the base of the user's repositories by HTTPS.
func (w *world) url(user *url.Userinfo) string {
	u, err := url.Parse(w.forge.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	u.User, u.Path = user, "/"+servers.User+"/"
	return u.String()
}

// key makes a key pair, registers it if asked to, and returns the private one.
func (w *world) key(t *testing.T, repository string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	private, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	switch repository {
	case "":
	case "*":
		w.forge.Call(
			http.MethodPost, "/user/keys",
			map[string]any{"title": filepath.Base(t.TempDir()) + t.Name(), "key": string(public)},
		)
	default:
		w.forge.Call(
			http.MethodPost, "/repos/"+servers.User+"/"+repository+"/keys",
			map[string]any{"title": t.Name(), "key": string(public), "read_only": true},
		)
	}
	return string(private)
}

// fetched is what a run of the step left.
type fetched struct {
	results map[string]string
	dir     string
	output  string
}

// fetch runs the step with a folder of credentials that has these files.
func (w *world) fetch(t *testing.T, uri, revision string, credentials map[string]string, flags ...string) fetched {
	t.Helper()
	return w.fetchWith(t, nil, uri, revision, credentials, flags...)
}

// fetchWith does so with further variables of the environment.
func (w *world) fetchWith(
	t *testing.T, env []string, uri, revision string, credentials map[string]string, flags ...string,
) fetched {
	t.Helper()
	results, dir := t.TempDir(), filepath.Join(t.TempDir(), "source")
	cmd := exec.CommandContext(t.Context(), program, append([]string{
		"--uri=" + uri,
		"--revision=" + revision,
		"--output=" + dir,
		"--results=" + filepath.Join(results, "commit"),
		"--schemes=https,ssh",
		"--addresses=127.0.0.0/8",
		"--credentials=" + folder(t, credentials),
		"--trusted-ca=" + w.forge.CA,
	}, flags...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	f := fetched{map[string]string{}, dir, out.String()}
	entries, err := os.ReadDir(results)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(results, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		f.results[e.Name()] = string(data)
	}
	f.noSecret(t, credentials)
	return f
}

// noSecret looks for the credentials in everything that is left: output, results,
// and the repository with its configuration.
func (f fetched) noSecret(t *testing.T, credentials map[string]string) {
	t.Helper()
	var secrets []string
	for name, content := range credentials {
		if u, err := url.Parse(strings.TrimSpace(content)); name == ".git-credentials" && err == nil {
			password, _ := u.User.Password()
			secrets = append(secrets, password)
		} else if lines := strings.Split(content, "\n"); strings.HasPrefix(name, "ssh-") && len(lines) > 2 {
			secrets = append(secrets, lines[2])
		}
	}
	left := f.output + fmt.Sprint(f.results)
	_ = filepath.WalkDir(f.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			data, _ := os.ReadFile(path)
			left += string(data)
		}
		return nil
	})
	for _, s := range secrets {
		if s != "" && strings.Contains(left, s) {
			t.Error("a secret is left behind")
		}
	}
}

// check compares what was fetched with the newest commit.
func (w *world) check(t *testing.T, f fetched) {
	t.Helper()
	if f.results["commit"] != w.commits[1] {
		t.Fatalf("%v\n%s", f.results, f.output)
	}
	files := map[string]string{}
	for _, name := range []string{"boards/a/main.c", "blob.bin", "library/lib.c"} {
		data, err := os.ReadFile(filepath.Join(f.dir, name))
		if err != nil {
			t.Error(err)
		}
		files[name] = string(data)
	}
	if diff := cmp.Diff(
		map[string]string{"boards/a/main.c": "second", "blob.bin": lfsContent, "library/lib.c": "first"},
		files,
	); diff != "" {
		t.Error(diff)
	}
}

// line is one of .git-credentials.
func (w *world) line(user, password string) map[string]string {
	u, err := url.Parse(w.forge.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return map[string]string{".git-credentials": u.String() + "\n"}
}

func TestARealForge(t *testing.T) {
	t.Parallel()
	w := start(t)
	https, ssh := w.url(nil)+"firmware.git", w.forge.SSH+"/"+servers.User+"/firmware.git"
	token := w.line(servers.User, w.forge.Token)

	t.Run("by HTTPS with a token", func(t *testing.T) {
		t.Parallel()
		w.check(t, w.fetch(t, https, "main", token))
	})
	t.Run("by HTTPS with a token in place of the user", func(t *testing.T) {
		t.Parallel()
		w.check(t, w.fetch(t, https, "", w.line(w.forge.Token, "x-oauth-basic")))
	})
	t.Run("by HTTPS with a password", func(t *testing.T) {
		t.Parallel()
		w.check(t, w.fetch(t, https, "main", w.line(servers.User, w.forge.Password)))
	})
	t.Run("by ssh with the key of a user", func(t *testing.T) {
		t.Parallel()
		key := w.key(t, "*")
		w.check(t, w.fetch(t, ssh, "main", map[string]string{"ssh-privatekey": key, "known_hosts": w.forge.KnownHosts}))
		// A key for this host wins, and may lack the newline at its end.
		w.check(t, w.fetch(t, ssh, "main", map[string]string{
			"ssh-privatekey": w.key(
				t,
				"",
			),
			"ssh-privatekey.127.0.0.1": strings.TrimSpace(key),
			"known_hosts":              w.forge.KnownHosts,
		}))
	})
	t.Run("by ssh through a proxy, which resolves the name of the host", func(t *testing.T) {
		t.Parallel()
		proxy := servers.StartProxy(t)
		away := strings.NewReplacer("127.0.0.1", servers.Outside)
		uri := away.Replace(w.forge.SSH) + "/" + servers.User + "/library.git"
		credentials := map[string]string{"ssh-privatekey": w.key(t, "*"), "known_hosts": away.Replace(w.forge.KnownHosts)}
		f := w.fetchWith(t, []string{"AJOUR_HTTPS_PROXY=" + proxy.URL}, uri, "main", credentials)
		if data, err := os.ReadFile(filepath.Join(f.dir, "lib.c")); err != nil || string(data) != "second" {
			t.Errorf("%v %v\n%s", err, f.results, f.output)
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"CONNECT " + u.Host}, proxy.Asked()); diff != "" {
			t.Error(diff)
		}
		if strings.Contains(f.output+fmt.Sprint(f.results), "planted-proxy") {
			t.Error("the password of the proxy is left behind")
		}
	})
	t.Run("every kind of revision", func(t *testing.T) {
		t.Parallel()
		for revision, want := range map[string]string{
			"v1": w.commits[0], "refs/tags/v1": w.commits[0], w.commits[0]: w.commits[0], w.commits[0][:8]: w.commits[0], "main": w.commits[1], "": w.commits[1],
		} {
			f := w.fetch(t, https, revision, token)
			if f.results["commit"] != want || f.results["version"] != want[:7] ||
				!strings.HasSuffix(f.results["commit-time"], "Z") {
				t.Errorf("%q: %v\n%s", revision, f.results, f.output)
			}
		}
	})
	t.Run("whole builds", func(t *testing.T) {
		t.Parallel()
		for name, tt := range map[string]struct {
			uri           string
			credentials   map[string]string
			registryToken bool
		}{
			"by HTTPS": {https, token, false},
			"by ssh, to a registry that wants a token": {
				ssh,
				map[string]string{"ssh-privatekey": w.key(t, "*"), "known_hosts": w.forge.KnownHosts},
				true,
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w.buildAll(t, tt.uri, tt.credentials, tt.registryToken)
			})
		}
	})
	t.Run("a push is built", func(t *testing.T) {
		t.Parallel()
		w.pushes(t, token)
	})
	t.Run("failures say why", func(t *testing.T) {
		t.Parallel()
		w.failures(t, https, ssh, token)
	})
}

func (w *world) failures(t *testing.T, https, ssh string, token map[string]string) {
	t.Helper()
	known := w.forge.KnownHosts
	deploy := w.key(t, "library")
	for name, tt := range map[string]struct {
		uri, revision   string
		credentials     map[string]string
		reason, message string
		flags           []string
	}{
		"no credentials": {https, "", nil, "SourceAuthFailed", "has credentials for its host", nil},
		"a wrong token":  {https, "", w.line(servers.User, "wrong"), "SourceAuthFailed", "was denied", nil},
		"those of another host": {
			https,
			"",
			map[string]string{".git-credentials": "https://ci:" + w.forge.Token + "@git.example.org\n"},
			"SourceAuthFailed",
			"was denied",
			nil,
		},
		"no such repository": {w.url(nil) + "none.git", "", token, "SourceNotFound", "was not found", nil},
		"no such repository by ssh": {
			strings.Replace(ssh, "firmware.git", "none.git", 1),
			"",
			map[string]string{"ssh-privatekey": deploy, "known_hosts": known},
			"SourceNotFound",
			"was not found",
			nil,
		},
		"no such revision": {https, "none", token, "RevisionNotFound", `Revision "none"`, nil},
		"no such commit":   {https, strings.Repeat("a", 40), token, "RevisionNotFound", "aaaa", nil},
		"a certificate of nobody": {
			https,
			"",
			token,
			"SourceUnavailable",
			"ConfigMap trusted-ca",
			[]string{"--trusted-ca="},
		},
		"no key": {
			ssh,
			"",
			map[string]string{"known_hosts": known},
			"SourceAuthFailed",
			"was denied",
			nil,
		},
		"a key that is not known": {
			ssh,
			"",
			map[string]string{"ssh-privatekey": w.key(t, ""), "known_hosts": known},
			"SourceAuthFailed",
			"was denied",
			nil,
		},
		"a key of another one": {
			ssh,
			"",
			map[string]string{"ssh-privatekey": deploy, "known_hosts": known},
			"SourceAuthFailed",
			"was denied",
			nil,
		},
		"a host that is not known": {
			ssh,
			"",
			map[string]string{"ssh-privatekey": deploy},
			"SourceAuthFailed",
			"known_hosts",
			nil,
		},
		"a host with another key": {
			ssh,
			"",
			map[string]string{
				"ssh-privatekey": deploy,
				"known_hosts":    strings.Fields(known)[0] + " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2b6vZb6kH6zF8xj8mS8kq8t7m8v8J8x8l8b8n8m8Q8",
			},
			"SourceAuthFailed",
			"known_hosts",
			nil,
		},
		"an address not allowed": {
			ssh,
			"",
			map[string]string{"ssh-privatekey": deploy, "known_hosts": known},
			"InvalidBuildSpec",
			"no address",
			[]string{"--addresses=public"},
		},
		"a host not allowed": {
			ssh,
			"",
			map[string]string{"ssh-privatekey": deploy, "known_hosts": known},
			"InvalidBuildSpec",
			`host "127.0.0.1"`,
			[]string{"--hosts=*.example.org"},
		},
		"the same, by HTTPS": {https, "", token, "InvalidBuildSpec", "no address", []string{"--addresses=public"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := w.fetch(t, tt.uri, tt.revision, tt.credentials, tt.flags...)
			if f.results["reason"] != tt.reason || !strings.Contains(f.results["message"], tt.message) {
				t.Errorf("%v\n%s", f.results, f.output)
			}
		})
	}
}
