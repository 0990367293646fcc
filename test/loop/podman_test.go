// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/drogue-iot/ajour/test/devtest"
)

// containersConf lets podman run where a test may run: without setting limits that it must not
// raise, and with an OCI runtime that copes with mixed cgroups.
const containersConf = `
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
`

// rootless runs its arguments as a user who may have users of its own in containers. The files
// that say so are seen by the command alone.
const rootless = `#!/bin/sh
exec unshare --mount sh -c '
here=$1 && shift
mount --bind "$here/passwd" /etc/passwd
mount --bind "$here/subids" /etc/subuid
mount --bind "$here/subids" /etc/subgid
exec setpriv --reuid=4711 --regid=4711 --clear-groups -- "$@"' sh %q "$@"
`

const rootlessUser = 4711

// podman is the real one, as somebody.
type podman struct {
	t    *testing.T
	home string
	// as runs its arguments as that user.
	as string
}

// newPodman returns the podman of the caller, or that of a user without rights.
func newPodman(t *testing.T, withoutRights bool) *podman {
	t.Helper()
	dir, err := os.MkdirTemp("", "ajour-podman-") // that of t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	p := &podman{t: t, home: filepath.Join(dir, "home"), as: filepath.Join(dir, "as")}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	as := "#!/bin/sh\nexec \"$@\"\n"
	if withoutRights {
		as = fmt.Sprintf(rootless, dir)
	}
	for name, text := range map[string]string{
		"as":              as,
		"containers.conf": containersConf,
		"passwd":          fmt.Sprintf("%sbuilder:x:%d:%d::%s:/bin/sh\n", passwd, rootlessUser, rootlessUser, p.home),
		"subids":          "builder:200000:65536\n",
		// In a folder that a user without rights may not enter: podman has to do without.
		"ajour": fmt.Sprintf("#!/bin/sh\ncd %q && exec %q %q \"$@\"\n", t.TempDir(), p.as, program),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{dir, filepath.Dir(program)} {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{p.home, filepath.Join(p.home, "run")} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if withoutRights {
			if err := os.Chown(folder, rootlessUser, rootlessUser); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p
}

func (p *podman) env() []string {
	return []string{
		"HOME=" + p.home, "XDG_RUNTIME_DIR=" + filepath.Join(p.home, "run"), "XDG_DATA_HOME=" + p.home,
		"CONTAINERS_CONF=" + filepath.Join(filepath.Dir(p.home), "containers.conf"),
	}
}

func (p *podman) run(args ...string) {
	p.t.Helper()
	cmd := exec.Command(p.as, append([]string{"podman"}, args...)...)
	cmd.Env, cmd.Dir = append(os.Environ(), p.env()...), "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("podman %v: %v\n%s", args, err, out)
	}
}

// image makes an image with the shell and the git of this machine, for a user.
func (p *podman) image(user string) (name string) {
	p.t.Helper()
	root, archive := p.t.TempDir(), filepath.Join(filepath.Dir(p.home), "image.tar")
	files := "/bin/busybox /usr/bin/git"
	libraries, err := exec.Command("ldd", "/usr/bin/git").Output()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, word := range strings.Fields(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			files += " " + word
		}
	}
	script := `cp --dereference --parents ` + files + ` . && mkdir -p bin tmp && chmod 1777 tmp &&
for tool in sh cat mkdir grep id; do ln -s /bin/busybox bin/$tool; done && tar -cf ` + archive + ` .`
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
	name = "localhost/ajour-loop-" + user + ":1"
	p.run("import", "--change", `ENTRYPOINT ["/bin/sh", "-c"]`, "--change", "ENV PATH=/bin:/usr/bin",
		"--change", "USER "+user, archive, name)
	p.t.Cleanup(func() { p.run("rmi", "--force", name) })
	return name
}

// start starts "ajour dev" as that user.
func (p *podman) start() *world {
	p.t.Helper()
	w := &world{t: p.t, config: p.home, log: &bytes.Buffer{}}
	var err error
	w.Dev, err = devtest.Start(p.t.Context(), devtest.Options{
		Program: filepath.Join(filepath.Dir(p.home), "ajour"), Config: p.home, Env: p.env(), Log: w.log,
		Args: []string{"--listen=127.0.0.1:0", "--engine=podman", "--data=" + filepath.Join(p.home, "data")},
	})
	if err != nil {
		p.t.Fatalf("%v\n%s", err, w.log)
	}
	return w
}

// TestABuilderInPodmanMayBeAnyUser of its image, with root's podman and with that of a user
// without rights: its git takes the source for its own, it writes into all of that and into its
// home, and nothing of it stays.
func TestABuilderInPodmanMayBeAnyUser(t *testing.T) {
	t.Parallel()
	const script = `set -e
git describe --always | grep -qx "$REVISION"
git tag built
echo x > src/generated
mkdir -p target/debug "$HOME/.cache/toolchain"
echo x > "$HOME/.cache/toolchain/index"
echo "$REVISION" > firmware.bin`
	url, _ := serve(t, fstest.MapFS{
		"README": {Data: []byte("x"), Mode: 0o644}, "src/main.c": {Data: []byte("c"), Mode: 0o644},
	})
	kinds := map[string]bool{"caller": false}
	if os.Getuid() == 0 { // else the caller has no rights anyhow
		kinds["rootless"] = true
	}
	for kind, withoutRights := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newPodman(t, withoutRights)
			users := []string{"0", "1000", "65532"} // a user without rights has no more than 65,536 of its own
			if os.Getuid() == 0 && !withoutRights {
				users = append(users, "1234567")
			}
			if withoutRights {
				t.Cleanup(func() { p.run("system", "migrate") }) // ends the process that keeps its namespace
			}
			images := map[string]string{}
			for _, user := range users {
				images[user] = p.image(user)
			}
			w := p.start()
			for _, user := range users {
				app := "user-" + user
				w.createApp(app, devtest.Spec(url, app+":latest", images[user], []string{script}))
				if o := w.await(devtest.AppPath(app), w.trigger("/apps/"+app)); o.Status.Build.Reason != "Succeeded" {
					t.Errorf("%s: %+v", user, o.Status.Build)
				}
			}
			if err := w.Stop(); err != nil {
				t.Errorf("end of ajour dev: %v", err)
			}
			left, err := filepath.Glob(filepath.Join(p.home, "data", "runs", "*", "workspace-*"))
			if err != nil || len(left) > 0 {
				t.Errorf("%v are still there: %v", left, err)
			}
			if t.Failed() {
				t.Logf("ajour dev printed:\n%s", w.log)
			}
		})
	}
}
