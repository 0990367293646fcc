// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"slices"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// paths say where the steps of one pod find things. The values hold Tekton's variables.
type paths struct {
	// root is the workspace, a mount that the builder cannot replace.
	root string
	// folder and artifact are those of the firmware, relative to root and to folder.
	folder, artifact string
	// version is what the firmware reports.
	version string
}

var (
	// compiled is for a build from source. The source is in the folder /workspace, an empty
	// volume that Tekton gives every pod, and in which it creates the working folder of the
	// builder before any step starts.
	compiled = paths{"/workspace", "source/$(params.path)", "$(params.artifact)", "$(steps.fetch.results.version)"}
	// pulled is for a firmware from an OCI registry.
	pulled = paths{"/workspace", "artifact", "firmware.bin", "$(params.version)"}
	// retained is for a firmware in the workspace of an earlier build.
	retained = paths{
		"$(workspaces." + workspaceSource + ".path)",
		"source/$(params.path)",
		"$(params.artifact)",
		"$(params.version)",
	}
)

// compose returns the pipeline that carries stages out as the steps of one pod, of which the
// builder has the given resources and pull policy. No user string is in it: those are parameters of the run.
//
// It has results of the steps after the builder only, and none that Tekton Chains takes for
// a provenance hint: a builder can add results to its Task by its container's termination
// message, and Tekton hands the results of a failed Task to the PipelineRun.
func compose(stages []stage, builder corev1.ResourceRequirements, pull corev1.PullPolicy) *v1.PipelineSpec {
	p := pathsOf(stages)
	task := &v1.TaskSpec{}
	for _, s := range stages {
		step := v1.Step{
			Name: s.step, Ref: &v1.Ref{Name: s.action}, Params: stepParams(s, p), ComputeResources: resources(s),
		}
		if s == stageBuild {
			step.ComputeResources, step.ImagePullPolicy = builder, pull
		}
		task.Steps = append(task.Steps, step)
		task.Volumes = append(task.Volumes, volumesOf(s, task.Volumes)...)
	}
	task.Results = taskResults(stages)
	names := used(task.Steps)
	spec := &v1.PipelineSpec{Tasks: []v1.PipelineTask{{Name: taskPod, TaskSpec: &v1.EmbeddedTask{TaskSpec: *task}}}}
	firmware := &spec.Tasks[0]
	for _, name := range names {
		kind, value := v1.ParamTypeString, *v1.NewStructuredValues("$(params." + name + ")")
		if slices.Contains(arrays, name) {
			kind, value = v1.ParamTypeArray, v1.ParamValue{
				Type:     v1.ParamTypeArray,
				ArrayVal: []string{"$(params." + name + "[*])"},
			}
		}
		param := v1.ParamSpec{Name: name, Type: kind}
		spec.Params, firmware.TaskSpec.Params = append(spec.Params, param), append(firmware.TaskSpec.Params, param)
		firmware.Params = append(firmware.Params, v1.Param{Name: name, Value: value})
	}
	for _, r := range task.Results {
		spec.Results = append(
			spec.Results,
			v1.PipelineResult{Name: r.Name, Value: *v1.NewStructuredValues("$(tasks." + taskPod + ".results." + r.Name + ")")},
		)
	}
	if p == retained {
		spec.Workspaces = []v1.PipelineWorkspaceDeclaration{{Name: workspaceSource}}
		firmware.Workspaces = []v1.WorkspacePipelineTaskBinding{{Name: workspaceSource, Workspace: workspaceSource}}
		firmware.TaskSpec.Workspaces = []v1.WorkspaceDeclaration{{Name: workspaceSource, ReadOnly: true}}
	}
	return spec
}

func pathsOf(stages []stage) paths {
	switch stages[0] {
	case stageFetch:
		return compiled
	case stagePull:
		return pulled
	default:
		return retained
	}
}

// arrays are the parameters that are lists.
var arrays = []string{paramArgs, "attachments"}

// stepParams returns the parameters of a stage's StepAction.
func stepParams(s stage, p paths) v1.Params {
	param := func(names ...string) (list v1.Params) {
		for _, name := range names {
			list = append(list, text(name, "$(params."+name+")"))
		}
		return list
	}
	list := func(name string) v1.Param {
		return v1.Param{
			Name:  name,
			Value: v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: []string{"$(params." + name + "[*])"}},
		}
	}
	firmware := v1.Params{
		text("root", p.root),
		text("folder", p.folder),
		text("artifact", p.artifact),
		text("version", p.version),
	}
	if p != pulled {
		firmware = append(firmware, param("max-size")...)
	}
	var params v1.Params
	switch s {
	case stageFetch:
		params = append(
			param("uri", "revision", "history", "path", "schemes", "hosts", "addresses"),
			text("output", p.root+"/source"),
		)
	case stageBuild:
		return v1.Params{
			text("image", "$(params.builder)"),
			list(paramArgs),
			text("folder", p.root+"/"+p.folder),
			text("revision", p.version),
		}
	case stageOCI:
		params = append(append(firmware, param("application", "image", "plain-http")...), list("attachments"))
	case stageHawkbit:
		params = append(firmware, param("application", "name", "controller")...)
	case stagePull:
		params = append(param("image", "plain-http"), text("output", p.root+"/artifact/firmware.bin"))
	}
	c := credentialsOf(s)
	return append(
		params, text("credentials", c.volume), text("own-credentials", c.ownVolume()), text("secret", c.secret()),
		text("own-secret", c.ownSecret()), text("trusted-ca", volumeTrustedCA),
	)
}

// used returns the parameters of the run that steps use, in the order of their use.
func used(steps []v1.Step) (names []string) {
	for _, s := range steps {
		for _, p := range s.Params {
			for _, value := range append([]string{p.Value.StringVal}, p.Value.ArrayVal...) {
				if _, rest, ok := strings.Cut(value, "$(params."); ok {
					name := rest[:strings.IndexAny(rest, ")[")]
					if !slices.Contains(names, name) {
						names = append(names, name)
					}
				}
			}
		}
	}
	return names
}

const volumeTrustedCA = "trusted-ca"

// credentials are those that a stage uses: those of the application before those of the
// installation. The names of Secrets follow from parameters of the run: whoever writes a
// description does not choose whose credentials are used.
type credentials struct {
	// kind is what the Secret of an application is called before the name of that.
	kind string
	// volume is that of the installation's Secret, and how that is called by default.
	volume, shared string
}

func credentialsOf(s stage) credentials {
	switch s {
	case stageFetch:
		return credentials{"git", "git-credentials", "git-credentials"}
	case stageHawkbit:
		return credentials{"hawkbit", "hawkbit-credentials", "hawkbit-config"}
	default:
		return credentials{"registry", "registry-credentials", "container-registry"}
	}
}

func (c credentials) ownVolume() string { return "own-" + c.volume }

// param is the parameter with the name of the Secret that is used unless the application has
// its own.
func (c credentials) param() string     { return c.kind + "-secret" }
func (c credentials) secret() string    { return "$(params." + c.param() + ")" }
func (c credentials) ownSecret() string { return c.kind + ".$(params.application)" }

// volumesOf returns the volumes of a stage that are not there yet. The builder has none.
func volumesOf(s stage, have []corev1.Volume) (volumes []corev1.Volume) {
	if s == stageBuild {
		return nil
	}
	c := credentialsOf(s)
	mounted := func(name string) *corev1.SecretVolumeSource {
		secret := &corev1.SecretVolumeSource{SecretName: name, Optional: new(true)}
		if c.kind == "registry" {
			// A docker configuration, or what installations of Drogue Ajour have in its place.
			secret.Items = []corev1.KeyToPath{
				{Key: ".dockerconfigjson", Path: "config.json"},
				{Key: "user", Path: "user"},
				{Key: "token", Path: "token"},
			}
		}
		return secret
	}
	ca := &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "trusted-ca"},
		Optional:             new(true),
	}
	for _, v := range []corev1.Volume{
		{Name: c.volume, VolumeSource: corev1.VolumeSource{Secret: mounted(c.secret())}},
		{Name: c.ownVolume(), VolumeSource: corev1.VolumeSource{Secret: mounted(c.ownSecret())}},
		{Name: volumeTrustedCA, VolumeSource: corev1.VolumeSource{ConfigMap: ca}},
	} {
		if !slices.ContainsFunc(have, func(h corev1.Volume) bool { return h.Name == v.Name }) {
			volumes = append(volumes, v)
		}
	}
	return volumes
}

// taskResults are those of the steps that publish.
func taskResults(stages []stage) (results []v1.TaskResult) {
	for _, s := range stages {
		names := map[stage][]string{
			stageOCI:     {"image-url", "image-digest", "size", "checksum"},
			stageHawkbit: {"distribution-set", "action", "size", "checksum"},
		}[s]
		for _, name := range names {
			if !slices.ContainsFunc(results, func(r v1.TaskResult) bool { return r.Name == name }) {
				results = append(
					results,
					v1.TaskResult{
						Name:  name,
						Type:  v1.ResultsTypeString,
						Value: v1.NewStructuredValues("$(steps." + s.step + ".results." + name + ")"),
					},
				)
			}
		}
	}
	return results
}

// resources of a step of ours.
func resources(s stage) corev1.ResourceRequirements {
	memory := "256Mi"
	if s == stageFetch {
		memory = "1Gi"
	}
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("10m"),
			corev1.ResourceMemory: resource.MustParse("32Mi"),
		},
		Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)},
	}
}
