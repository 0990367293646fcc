// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
)

// executor runs a step somewhere.
type executor interface {
	// dirs returns the paths that the step sees.
	dirs(taskDirs) taskDirs
	// command returns what to execute. The values of secret variables are filled in.
	command(s v1.Step, d taskDirs) (*exec.Cmd, error)
	// failure judges an exit code.
	failure(s v1.Step, code int32, log string) error
	// clean removes what the command may have left.
	clean(*exec.Cmd)
}

// executorOf chooses the executor of an image: our own steps and mapped builders on
// this machine, all others in a container.
func (r *Runner) executorOf(image, taskRun string) executor {
	if argv, ok := r.options.Steps[image]; ok {
		return host{argv: argv, env: r.options.StepEnv}
	}
	for _, name := range []string{image, repository(image)} {
		if program, ok := r.options.Builders[name]; ok {
			return host{argv: []string{program}, env: r.options.BuilderEnv}
		}
	}
	if r.options.Engine != "" {
		return container{engine: r.options.Engine, name: "ajour-" + taskRun}
	}
	return unavailable{}
}

// host runs a step as a process of this machine.
type host struct {
	argv []string
	env  []string
}

func (h host) dirs(d taskDirs) taskDirs { return d }

func (h host) command(s v1.Step, d taskDirs) (*exec.Cmd, error) {
	program, err := exec.LookPath(h.argv[0])
	if err != nil {
		return nil, pullFailed(
			"Builder image %q is mapped to the program %q, which is not installed: install it, or map the image to another",
			s.Image, h.argv[0],
		)
	}
	argv := append([]string{program}, h.argv[1:]...)
	argv = append(append(argv, s.Command...), s.Args...)
	env := slices.DeleteFunc(slices.Clone(s.Env), func(e corev1.EnvVar) bool {
		return e.Name == "HOME" && e.Value == podHome // that of a pod is not here
	})
	return process(argv, s.WorkingDir, append(append([]string{}, h.env...), environ(env)...), d), nil
}

func (h host) failure(s v1.Step, code int32, _ string) error { return exited(s, code) }

func (h host) clean(*exec.Cmd) {}

func exited(s v1.Step, code int32) error {
	if code == 0 {
		return nil
	}
	return &taskError{v1.TaskRunReasonFailed.String(), fmt.Sprintf("\"step-%s\" exited with code %d", s.Name, code)}
}

func pullFailed(format string, args ...any) error {
	return &taskError{v1.TaskRunReasonImagePullFailed.String(), fmt.Sprintf(format, args...)}
}

// container runs a step in podman or docker.
type container struct{ engine, name string }

func (c container) dirs(taskDirs) taskDirs {
	return taskDirs{workspace: podWorkspace, results: podResults}
}

func (c container) command(s v1.Step, d taskDirs) (*exec.Cmd, error) {
	c.remove() // one of an attempt that was killed may still run
	for _, dir := range []string{d.workspace, d.results, d.home} {
		// For any user of the image, below a folder that is closed to others.
		if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // see above
			return nil, fmt.Errorf("open folder to builder: %w", err)
		}
	}
	argv := []string{
		c.engine, "run", "--rm", "--name", c.name, "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--volume", d.workspace + ":" + podWorkspace, "--volume", d.results + ":" + podResults,
		"--volume", d.home + ":" + podHome, "--workdir", s.WorkingDir,
	}
	if uid := os.Getuid(); uid != 0 && path.Base(c.engine) == "docker" {
		argv = append(argv, "--user", fmt.Sprintf("%d:%d", uid, os.Getgid())) // podman maps its root to the user by itself
	}
	for _, e := range environ(slices.DeleteFunc(slices.Clone(s.Env), secret)) {
		argv = append(argv, "--env", e)
	}
	file, err := environmentFile(slices.DeleteFunc(slices.Clone(s.Env), plain), d.tmp)
	if err != nil {
		return nil, err
	}
	if file != "" {
		argv = append(argv, "--env-file", file)
	}
	if len(s.Command) > 0 {
		argv = append(argv, "--entrypoint", s.Command[0])
	}
	argv = append(argv, "--", s.Image)
	if len(s.Command) > 1 {
		argv = append(argv, s.Command[1:]...)
	}
	cmd := process(append(argv, s.Args...), d.workspace, nil, d)
	cmd.Env = os.Environ() // the engine's own, not the step's
	return cmd, nil
}

// failure tells the engine's own failures from those of the program: 125 is
// what podman and docker exit with when they could not start a container.
func (c container) failure(s v1.Step, code int32, log string) error {
	const notStarted = 125
	if code != notStarted {
		return exited(s, code)
	}
	return pullFailed("Builder image %q cannot be started: %s", s.Image, lastLine(log))
}

func (c container) clean(cmd *exec.Cmd) {
	if cmd.ProcessState == nil || !cmd.ProcessState.Success() {
		c.remove()
	}
}

// remove ends and removes the container of that name, if there is one.
func (c container) remove() {
	cmd := exec.Command(c.engine, "rm", "--force", "--", c.name) //nolint:gosec,noctx // of our own making
	_ = cmd.Run()                                                // gone already is fine
}

// lastLine returns the last line of a file, for a message.
func lastLine(file string) string {
	data, err := os.ReadFile(file) //nolint:gosec // a log of ours, of bounded size
	if err != nil {
		return "its output cannot be read"
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[len(lines)-1]
}

// unavailable is the executor of images that cannot be run at all.
type unavailable struct{}

func (unavailable) dirs(d taskDirs) taskDirs { return d }

func (unavailable) command(s v1.Step, _ taskDirs) (*exec.Cmd, error) {
	return nil, pullFailed(
		"Builder image %q cannot be run here: install podman or docker, or map it to a program of this machine, "+
			"as in: ajour dev --builder %s=PROGRAM",
		s.Image,
		repository(s.Image),
	)
}

func (unavailable) failure(v1.Step, int32, string) error { return nil }

func (unavailable) clean(*exec.Cmd) {}
