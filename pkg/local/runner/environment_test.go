// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner_test

import (
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"

	podtemplate "github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"

	"github.com/drogue-iot/ajour/pkg/local/runner"
)

// variable gives a run the variable TOKEN, whose value is in a Secret.
func variable(name, key string) func(*v1.PipelineRun) {
	return func(pr *v1.PipelineRun) {
		ref := &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}
		pr.Spec.TaskRunTemplate.PodTemplate = &podtemplate.PodTemplate{
			Env: []corev1.EnvVar{{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: ref}}},
		}
	}
}

// TestASecretVariable is given to builders, and to no step of ours. Without its value, no step
// starts, as on a cluster.
func TestASecretVariable(t *testing.T) {
	t.Parallel()
	secret := t.TempDir()
	for key, value := range map[string]string{"key": "one\ntwo\n", "binary": "\x00"} {
		if err := os.WriteFile(filepath.Join(secret, key), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(secret, "link")); err != nil {
		t.Fatal(err)
	}
	f := start(t, t.TempDir(), func(o *runner.Options) {
		o.Volumes = map[string]string{"env.app": secret, "env.gone": filepath.Join(secret, "gone")}
		o.Steps = map[string][]string{"own:1": {"sh"}}
	})
	use := func(image string) func(*v1.PipelineRun) {
		return func(pr *v1.PipelineRun) {
			pr.Spec.Params = append(pr.Spec.Params, v1.Param{Name: "image", Value: *v1.NewStructuredValues(image)})
		}
	}
	f.create(pipelineRun("builder", `echo "[$TOKEN]"`, variable("env.app", "key")))
	f.create(pipelineRun("own", `echo "[$TOKEN]"`, variable("env.app", "key"), use("own:1")))
	for name, want := range map[string]string{"builder": "[one\ntwo]\n", "own": "[]\n"} {
		if f.ended(name); f.log(name, "second", "run") != want {
			t.Errorf("%s sees %q", name, f.log(name, "second", "run"))
		}
	}
	for name, tt := range map[string]struct{ secret, key, want string }{
		"keyless": {"env.app", "x", "couldn't find key x in Secret builds/env.app"},
		"without": {"env.none", "x", `secret "env.none" not found`},
		"gone":    {"env.gone", "x", `secret "env.gone" not found`},
		"binary":  {"env.app", "binary", `key binary of secret "env.app" is no text`},
		"link":    {"env.app", "link", `secret "env.app" cannot be read: openat link: path escapes from parent`},
	} {
		f.create(pipelineRun(name, "true", variable(tt.secret, tt.key)))
		f.ended(name)
		tr := f.task(name, "first")
		c := tr.Status.GetCondition(apis.ConditionSucceeded)
		if c.Reason != "CreateContainerConfigError" || c.Message != tt.want || len(tr.Status.Steps) != 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
