// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	tektoncontainer "github.com/tektoncd/pipeline/pkg/container"
	"github.com/tektoncd/pipeline/pkg/reconciler/pipelinerun/resources"
	taskresources "github.com/tektoncd/pipeline/pkg/reconciler/taskrun/resources"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Where a pod has its workspace and the results of its steps.
const (
	podWorkspace = "/workspace/source"
	podResults   = "/tekton/steps"
	podHome      = "/tekton/home" // as in a pod of Tekton
	// pipelineWorkspace is Tekton's name for the folder above it.
	pipelineWorkspace = "/workspace"
)

// exitNotStarted is what a shell exits with for a program that it cannot start.
const exitNotStarted = 127

// killAfter is how long a process has to end by itself.
const killAfter = 3 * time.Second

// runSteps runs the steps one after the other and returns their states.
func (p *pipeline) runSteps(
	ctx context.Context, tr *v1.TaskRun, t *resources.ResolvedPipelineTask, d taskDirs,
) ([]v1.StepState, error) {
	var states []v1.StepState
	env, err := p.environment(tr)
	if err != nil {
		return nil, err
	}
	for i := range t.ResolvedTask.TaskSpec.Steps {
		executor := p.executorOf(substituted(tr, t.ResolvedTask.TaskSpec, taskDirs{}).Steps[i].Image, tr.Name)
		spec := substituted(tr, t.ResolvedTask.TaskSpec, executor.dirs(d))
		if _, ok := executor.(host); ok {
			p.mount(&spec.Steps[i], spec.Volumes, d.workspace)
		}
		step := spec.Steps[i]
		step.Env = append(slices.Clone(step.Env), env...)
		if _, own := p.options.Steps[step.Image]; own {
			step.Env = slices.DeleteFunc(step.Env, secret)
		}
		state, err := p.runStep(ctx, step, executor, d)
		if errors.Is(err, errStopped) {
			return states, err
		}
		if state != nil {
			states = append(states, *state)
		}
		if err != nil {
			return states, err
		}
	}
	return states, nil
}

// substituted returns the Task's spec with all variables replaced, and with the
// paths of the place that it runs in.
func substituted(tr *v1.TaskRun, spec *v1.TaskSpec, d taskDirs) *v1.TaskSpec {
	spec = taskresources.ApplyParameters(spec, tr, spec.Params...)
	spec = taskresources.ApplyContexts(spec, tr.Labels[labelTask], tr)
	paths := map[string]string{}
	for _, w := range spec.Workspaces {
		paths["workspaces."+w.Name+".path"] = d.workspace
	}
	spec = taskresources.ApplyReplacements(spec, paths, nil, nil)
	for i := range spec.Steps {
		s, paths := &spec.Steps[i], map[string]string{}
		for _, r := range s.Results {
			paths["step.results."+r.Name+".path"] = filepath.Join(d.results, s.Name, r.Name)
		}
		tektoncontainer.ApplyStepReplacements(s, paths, nil)
	}
	return spec
}

// mount has a step find its volumes where they are on this machine: arguments that
// name the path of a mount, or one below it, get that of the folder that stands for
// it, or none at all. Every pod of Tekton has an empty volume at /workspace.
func (p *pipeline) mount(s *v1.Step, volumes []corev1.Volume, workspace string) {
	folders := map[string]string{pipelineWorkspace: workspace}
	for _, m := range s.VolumeMounts {
		for _, v := range volumes {
			switch {
			case v.Name != m.Name:
			case v.Secret != nil:
				folders[m.MountPath] = p.options.Volumes[v.Secret.SecretName]
			case v.ConfigMap != nil:
				folders[m.MountPath] = p.options.Volumes[v.ConfigMap.Name]
			}
		}
	}
	for i, arg := range s.Args {
		flag, value, ok := strings.Cut(arg, "=")
		for path, folder := range folders {
			rest, below := strings.CutPrefix(value, path)
			if !ok || !strings.HasPrefix(flag, "--") || !below || (rest != "" && rest[0] != '/') {
				continue
			}
			if folder == "" {
				rest = ""
			}
			s.Args[i] = flag + "=" + folder + rest
			break
		}
	}
}

// runStep runs one step to its end.
func (p *pipeline) runStep(ctx context.Context, s v1.Step, at executor, d taskDirs) (*v1.StepState, error) {
	if err := cause(ctx); err != nil {
		return nil, err
	}
	cmd, err := at.command(s, d)
	if err != nil {
		return nil, err
	}
	log, err := newLog(filepath.Join(d.logs, s.Name+".log"))
	if err != nil {
		return nil, err
	}
	results := filepath.Join(d.results, s.Name)
	if err := os.MkdirAll(results, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of results: %w", err)
	}
	started := metav1.Now()
	code, err := execute(ctx, cmd, log)
	at.clean(cmd)
	err = errors.Join(err, log.Close())
	ended := cause(ctx)
	if ended == nil && err != nil {
		return nil, err
	}
	state := &v1.StepState{
		Name: s.Name, Container: "step-" + s.Name, ImageID: s.Image,
		ContainerState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: code, StartedAt: started, FinishedAt: metav1.Now(), Reason: "Completed",
		}},
	}
	if code != 0 || ended != nil {
		state.Terminated.Reason = "Error"
	}
	state.TerminationReason = state.Terminated.Reason
	if ended != nil {
		return state, ended
	}
	if state.Results, err = readResults(results, s.Results); err != nil {
		return state, &taskError{v1.TaskRunReasonFailed.String(), err.Error()}
	}
	return state, at.failure(s, code, filepath.Join(d.logs, s.Name+".log"))
}

// execute runs a command in a process group of its own, and ends with it all
// that the command left running. It returns the exit code.
func execute(ctx context.Context, cmd *exec.Cmd, out io.Writer) (int32, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("start step: %w", err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	isolate(cmd)
	err = errors.Join(cmd.Start(), w.Close())
	if err != nil {
		fmt.Fprintln(out, err)
		return exitNotStarted, r.Close()
	}
	copied := make(chan error, 1)
	go func() { _, err := io.Copy(out, r); copied <- err }()
	exited := make(chan struct{})
	go func() {
		select {
		case <-exited:
			return
		case <-ctx.Done():
			terminate(cmd)
		}
		select {
		case <-exited:
		case <-time.After(killAfter):
			kill(cmd)
		}
	}()
	err = cmd.Wait()
	close(exited)
	kill(cmd)
	select {
	case <-copied:
	case <-time.After(killAfter): // something left the group and holds on to the output
	}
	err = errors.Join(err, r.Close())
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("wait for step: %w", err)
	}
	return exitCode(cmd), nil
}

func environ(env []corev1.EnvVar) []string {
	list := make([]string, len(env))
	for i, e := range env {
		list[i] = e.Name + "=" + e.Value
	}
	return list
}

// process returns a command that runs on this machine with only the environment
// that was declared, and a home of its own.
func process(argv []string, dir string, env []string, d taskDirs) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:gosec,noctx // no shell; execute ends it with the whole group
	cmd.Dir = dir
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.home, "TMPDIR=" + d.tmp, "LANG=C.UTF-8",
	}, env...)
	return cmd
}

// repository returns an image reference without its tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		image = image[:i]
	}
	return image
}
