// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	podtemplate "github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Render returns the PipelineRun of a build, which is born pending: the plan of the builder
// starts it. The same spec always gives the same PipelineRun.
//
// A build with a pod for each task refers to one of the Pipelines that are installed; every
// other one embeds a pipeline that is composed of the same StepActions.
func Render(s build.Spec, c Config) (*v1.PipelineRun, error) {
	annotations, err := annotationsOf(s)
	if err != nil {
		return nil, fmt.Errorf("render build %s: %w", s.ID, err)
	}
	pr := &v1.PipelineRun{
		ObjectMeta: metav1.ObjectMeta{
			Name:        build.RunName(s.ID),
			Namespace:   c.Namespace,
			Labels:      labels(s),
			Annotations: annotations,
		},
		Spec: v1.PipelineRunSpec{
			Status:          v1.PipelineRunSpecStatusPending,
			Timeouts:        &v1.TimeoutFields{Pipeline: &metav1.Duration{Duration: time.Duration(s.Description.Timeout)}},
			TaskRunTemplate: v1.PipelineTaskRunTemplate{ServiceAccountName: c.ServiceAccount, PodTemplate: podTemplate()},
		},
	}
	stages, builderTask := stagesOf(s.Description, s.Publication), taskPod
	if s.Publication == nil && c.Layout != OnePod {
		builderTask = stageBuild.task
		pr.Spec.PipelineRef = &v1.PipelineRef{Name: pipelineOf(s.Description)}
		pr.Spec.Params = params(s, c, namesOf(s.Description))
	} else {
		builder, err := c.resources()
		if err != nil {
			return nil, fmt.Errorf("render build %s: %w", s.ID, err)
		}
		pr.Spec.PipelineSpec = compose(stages, builder, c.PullPolicy)
		var names []string
		for _, p := range pr.Spec.PipelineSpec.Params {
			names = append(names, p.Name)
		}
		pr.Spec.Params = params(s, c, names)
	}
	if pr.Spec.Workspaces, err = workspaces(s, c); err != nil {
		return nil, fmt.Errorf("render build %s: %w", s.ID, err)
	}
	env := environment(s)
	if c.Proxies {
		pr.Spec.TaskRunTemplate.PodTemplate.Env = proxiesOfSteps()
		env = append(env, proxiesOfBuilder(s.Description)...)
	}
	if len(env) > 0 && s.Publication == nil {
		// The number of variables differs from build to build, which a Task's steps cannot
		// express: they go into the pod of the builder. Steps of ours that share it ignore them.
		pr.Spec.TaskRunSpecs = []v1.PipelineTaskRunSpec{{PipelineTaskName: builderTask, PodTemplate: podTemplate()}}
		pr.Spec.TaskRunSpecs[0].PodTemplate.Env = env
	}
	return pr, nil
}

// annotationsOf describes a build. Its arguments, which may be long, are among the parameters
// of a run that compiles, and are not repeated: Tekton copies annotations to TaskRuns and pods.
func annotationsOf(s build.Spec) (map[string]string, error) {
	d := s.Description
	if s.Publication == nil {
		d.Args = nil
	}
	description, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	a := map[string]string{
		annotationApplication: s.Object.Application,
		annotationDevice:      s.Object.Device,
		annotationDescription: string(description),
		annotationHash:        s.Hash,
		annotationRequester:   s.Requester,
		annotationCause:       string(s.Cause),
		annotationRequested:   s.Requested.UTC().Format(time.RFC3339Nano),
	}
	for name, value := range map[string]string{
		annotationApplicationUID: s.UIDs.Application, annotationDeviceUID: s.UIDs.Device, annotationRevision: s.Revision,
	} {
		if value != "" {
			a[name] = value
		}
	}
	if len(d.Warnings) > 0 {
		warnings, err := json.Marshal(d.Warnings)
		if err != nil {
			return nil, err
		}
		a[annotationWarnings] = string(warnings)
	}
	if s.Publication != nil {
		publication, err := json.Marshal(s.Publication)
		if err != nil {
			return nil, err
		}
		a[annotationPublication] = string(publication)
	}
	return a, nil
}

// pipelineOf names the installed Pipeline for the destinations of a description.
func pipelineOf(d build.Description) string {
	name := "firmware"
	if d.Image != "" {
		name += "-oci"
	}
	if d.Controller != "" {
		name += "-hawkbit"
	}
	return name
}

// namesOf are the parameters of that Pipeline.
func namesOf(d build.Description) []string {
	names := []string{
		"uri",
		"revision",
		"history",
		"path",
		"schemes",
		"hosts",
		"addresses",
		"builder",
		"pull-policy",
		paramArgs,
		"artifact",
		"application",
		"git-secret",
		"max-size",
	}
	if d.Image != "" {
		names = append(names, "image", "attachments", "plain-http", "registry-secret")
	}
	if d.Controller != "" {
		names = append(names, "name", "controller", "hawkbit-secret")
	}
	return names
}

// params returns the values of the named parameters.
func params(s build.Spec, c Config, names []string) (list v1.Params) {
	d := s.Description
	values := map[string]string{
		"uri":         d.Source.URI,
		"revision":    cmp.Or(s.Revision, d.Source.Rev),
		"path":        d.Source.Path,
		"history":     string(d.History),
		"schemes":     c.Sources.Schemes,
		"hosts":       c.Sources.Hosts,
		"addresses":   c.Sources.Addresses,
		"builder":     d.Builder,
		"pull-policy": string(c.PullPolicy),
		"artifact":    d.Artifact,
		"max-size":    strconv.FormatInt(d.MaxSize, 10),
		"image":       c.RegistryPrefix + d.Image,
		"plain-http":  strconv.FormatBool(c.PlainHTTP),
		"name":        s.Object.PlainName(),
		"controller":  d.Controller,
		"application": s.Object.Application,
	}
	for _, stage := range []stage{stageFetch, stageOCI, stageHawkbit} {
		secret := credentialsOf(stage)
		values[secret.param()] = secret.shared
		if c.Credentials == OwnCredentials {
			values[secret.param()] = secret.kind + "." + s.Object.Application
		}
	}
	if p := s.Publication; p != nil {
		values["version"] = p.Artifact.Version
		if p.Claim == "" {
			repository := p.Artifact.Reference[:max(strings.LastIndex(p.Artifact.Reference, ":"), 0)]
			values["image"] = repository + "@" + p.Artifact.Digest
		}
	}
	for _, name := range names {
		switch name {
		case paramArgs:
			list = append(list, array(name, d.Args))
		case "attachments":
			list = append(list, array(name, d.Attachments))
		default:
			list = append(list, text(name, values[name]))
		}
	}
	return list
}

func text(name, value string) v1.Param {
	return v1.Param{Name: name, Value: v1.ParamValue{Type: v1.ParamTypeString, StringVal: value}}
}

func array(name string, values []string) v1.Param {
	return v1.Param{Name: name, Value: v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: append([]string{}, values...)}}
}

func environment(s build.Spec) (env []corev1.EnvVar) {
	for _, e := range s.Description.Env {
		env = append(env, corev1.EnvVar{Name: e.Name, Value: e.Value})
	}
	secret := corev1.LocalObjectReference{Name: build.SecretOf(s.Object.Application)}
	for _, e := range s.Description.Secrets {
		env = append(env, corev1.EnvVar{Name: e.Name, ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: secret, Key: e.Key},
		}})
	}
	return env
}

// workspaces gives every build a volume of its own, never a shared one. One pod has the
// empty volume that Tekton gives it; a publication reads the claim of the earlier build.
func workspaces(s build.Spec, c Config) ([]v1.WorkspaceBinding, error) {
	switch {
	case s.Publication != nil && s.Publication.Claim != "":
		return []v1.WorkspaceBinding{
			{
				Name:                  workspaceSource,
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: s.Publication.Claim, ReadOnly: true},
			},
		}, nil
	case s.Publication != nil || c.Layout == OnePod:
		return nil, nil
	}
	size, err := c.storage()
	if err != nil {
		return nil, err
	}
	return []v1.WorkspaceBinding{{Name: workspaceSource, VolumeClaimTemplate: &corev1.PersistentVolumeClaim{
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
		},
	}}}, nil
}

// podTemplate holds for all pods of a build: no token of the cluster's API, and a group that
// all steps share the workspace by.
func podTemplate() *podtemplate.PodTemplate {
	return &podtemplate.PodTemplate{
		AutomountServiceAccountToken: new(false),
		EnableServiceLinks:           new(false),
		SecurityContext: &corev1.PodSecurityContext{
			FSGroup: new(
				int64(65532),
			),
			RunAsNonRoot:   new(true),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
}
