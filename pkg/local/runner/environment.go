// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
)

// environment returns the variables that a TaskRun gives to its steps, with the values of those
// that are in Secrets filled in. A value that is missing fails the task before its first step,
// as the kubelet says it, which keeps a pod from starting.
func (r *Runner) environment(tr *v1.TaskRun) ([]corev1.EnvVar, error) {
	if tr.Spec.PodTemplate == nil {
		return nil, nil
	}
	env := slices.Clone(tr.Spec.PodTemplate.Env)
	for i := range env {
		if !secret(env[i]) {
			continue
		}
		value, err := r.secretValue(tr.Namespace, env[i].ValueFrom.SecretKeyRef)
		if err != nil {
			return nil, err
		}
		env[i].Value = value
	}
	return env, nil
}

// secret reports whether the value of a variable is in a Secret.
func secret(e corev1.EnvVar) bool { return e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil }

// plain reports whether everybody may see a variable.
func plain(e corev1.EnvVar) bool { return !secret(e) }

// secretValue reads one key from the folder that stands for a Secret. A newline at the end is
// the editor's, and no part of the value.
func (r *Runner) secretValue(namespace string, ref *corev1.SecretKeySelector) (string, error) {
	refused := func(format string, args ...any) error {
		return &taskError{v1.TaskRunReasonCreateContainerConfigError.String(), fmt.Sprintf(format, args...)}
	}
	folder := r.options.Volumes[ref.Name]
	if folder == "" {
		return "", refused("secret %q not found", ref.Name)
	}
	root, err := os.OpenRoot(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return "", refused("secret %q not found", ref.Name)
	}
	if err != nil {
		return "", refused("secret %q cannot be read: %v", ref.Name, err)
	}
	defer root.Close()
	value, err := root.ReadFile(ref.Key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", refused("couldn't find key %s in Secret %s/%s", ref.Key, namespace, ref.Name)
	case err != nil:
		return "", refused("secret %q cannot be read: %v", ref.Name, err)
	case strings.ContainsRune(string(value), 0):
		return "", refused("key %s of secret %q is no text", ref.Key, ref.Name)
	}
	return strings.TrimSuffix(string(value), "\n"), nil
}

// environmentFile writes variables for podman and docker, so that their values are in no list of
// processes. It returns the path, "" for no variables.
func environmentFile(env []corev1.EnvVar, folder string) (string, error) {
	if len(env) == 0 {
		return "", nil
	}
	var lines strings.Builder
	for _, e := range env {
		if strings.ContainsAny(e.Value, "\r\n") {
			return "", &taskError{v1.TaskRunReasonFailed.String(), fmt.Sprintf(
				"The secret variable %s has several lines, which podman and docker do not take: encode it, as with base64", e.Name,
			)}
		}
		fmt.Fprintf(&lines, "%s=%s\n", e.Name, e.Value)
	}
	path := filepath.Join(folder, "environment")
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		return "", fmt.Errorf("write environment: %w", err)
	}
	return path, nil
}
