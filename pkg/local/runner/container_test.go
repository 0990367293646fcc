// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/local/runner"
)

// containersConf lets podman run where a test may run: without setting limits
// that it must not raise, and with an OCI runtime that copes with mixed cgroups.
const containersConf = `
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
`

// TestABuilderImageRunsInPodman uses the real podman with an image that is made
// here, of busybox alone.
func TestABuilderImageRunsInPodman(t *testing.T) {
	conf, root := filepath.Join(t.TempDir(), "containers.conf"), t.TempDir()
	if err := os.WriteFile(conf, []byte(containersConf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_CONF", conf)
	command := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	command("cp", busybox, "bin/sh")
	command("cp", busybox, "bin/cat")
	command("tar", "-cf", "image.tar", "bin")
	const image = "localhost/ajour-test:1"
	command("podman", "import", "--change", `ENTRYPOINT ["/bin/sh"]`, "image.tar", image)
	t.Cleanup(func() { _ = exec.Command("podman", "rmi", "--force", image).Run() })
	podman, err := exec.LookPath("podman")
	if err != nil {
		t.Fatal(err)
	}
	secrets := t.TempDir()
	if err := os.WriteFile(filepath.Join(secrets, "key"), []byte("a value = 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secrets, "lines"), []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := start(t, t.TempDir(), func(o *runner.Options) {
		o.Engine, o.Volumes = podman, map[string]string{"env.app": secrets}
	})
	use := func(image string) func(*v1.PipelineRun) {
		return func(pr *v1.PipelineRun) {
			pr.Spec.Params = append(pr.Spec.Params, v1.Param{Name: "image", Value: *v1.NewStructuredValues(image)})
		}
	}
	// As clusters demand it, without a name or a home for the user.
	command("podman", "import", "--change", `ENTRYPOINT ["/bin/sh"]`, "--change", "USER 1000", "image.tar", image+"-user")
	t.Cleanup(func() { _ = exec.Command("podman", "rmi", "--force", image+"-user").Run() })
	f.create(pipelineRun("user", `/bin/cat file; echo made > here; echo made > /tekton/home/there`, use(image+"-user")))
	if pr := f.ended("user"); reason(pr) != "Succeeded" {
		t.Errorf("%+v\n%s", pr.Status.Conditions, f.log("user", "second", "run"))
	}
	f.create(pipelineRun("secret", `echo "$TOKEN"`, use(image), variable("env.app", "key")))
	f.create(pipelineRun("lines", "true", use(image), variable("env.app", "lines")))
	if f.ended("secret"); f.log("secret", "second", "run") != "a value = 5\n" {
		t.Error(f.log("secret", "second", "run"))
	}
	f.ended("lines")
	if c := f.task(
		"lines",
		"second",
	).Status.GetCondition(
		apis.ConditionSucceeded,
	); !strings.Contains(
		c.Message,
		"several lines",
	) {
		t.Errorf("%s: %s", c.Reason, c.Message)
	}
	f.create(pipelineRun("good", `pwd; /bin/cat file; echo "$1 $FROM_TASK"; echo made > here`, use(image)))
	f.create(pipelineRun("bad", "exit 4", use(image)))
	f.create(pipelineRun("missing", "true", use("localhost/ajour-test-none:1")))
	if pr := f.ended("good"); reason(pr) != "Succeeded" {
		t.Errorf("%+v\n%s", pr.Status.Conditions, f.log("good", "second", "run"))
	}
	if diff := cmp.Diff("/workspace/source\nshared\nhello yes\n", f.log("good", "second", "run")); diff != "" {
		t.Error(diff)
	}
	f.ended("bad")
	if s := f.task("bad", "second").Status.Steps; len(s) != 1 || s[0].Terminated.ExitCode != 4 {
		t.Errorf("%+v", s)
	}
	f.ended("missing")
	c := f.task("missing", "second").Status.GetCondition(apis.ConditionSucceeded)
	if c.Reason != "TaskRunImagePullFailed" ||
		!strings.Contains(c.Message, `Builder image "localhost/ajour-test-none:1" cannot be started: `) {
		t.Errorf("%s: %s", c.Reason, c.Message)
	}
}
