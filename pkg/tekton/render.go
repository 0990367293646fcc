// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	podtemplate "github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Labels of our PipelineRuns; Tekton copies them to TaskRuns and pods.
const (
	labelManagedBy   = "app.kubernetes.io/managed-by"
	labelBuild       = "ajour.drogue.io/build"
	labelTarget      = "ajour.drogue.io/target"
	labelApplication = "application"
	labelDevice      = "device"

	managedBy = "ajour"
)

// Annotations of our PipelineRuns.
const (
	annotationApplication = "ajour.drogue.io/application"
	annotationDevice      = "ajour.drogue.io/device"
	annotationDescription = "ajour.drogue.io/description"
	annotationHash        = "ajour.drogue.io/description-hash"
	annotationRequester   = "ajour.drogue.io/requester"
	annotationTrigger     = "ajour.drogue.io/trigger"
	annotationRequested   = "ajour.drogue.io/requested"
	annotationCancelled   = "ajour.drogue.io/cancelled"
	annotationCancelledBy = "ajour.drogue.io/cancelled-by"
	annotationPublication = "ajour.drogue.io/publication"
)

// The tasks of our pipelines.
const (
	taskFetch   = "fetch-source"
	taskBuild   = "build-firmware"
	taskOCI     = "publish"
	taskHawkbit = "publish-hawkbit"
	// taskPod has all of them as steps.
	taskPod = "firmware"
)

// workspaceSource is the workspace of our pipelines and tasks.
const workspaceSource = "source"

// Layout is how the steps of a build are spread over pods.
type Layout string

// The layouts. See docs/architecture.md for what keeps steps apart in each.
const (
	// OnePod runs all steps in one pod, on a volume of that pod.
	OnePod Layout = "pod"
	// PodPerTask runs each step in a pod of its own, on a volume claim.
	PodPerTask Layout = "tasks"
)

// Config is what an installation sets for all of its builds.
type Config struct {
	// Namespace is where builds run.
	Namespace string
	// RegistryPrefix is put in front of the image of a description, without
	// anything between them: the update server does the same (OCI-2).
	RegistryPrefix string
	// PlainHTTP speaks HTTP to the registry.
	PlainHTTP bool
	// Sources says where source may come from.
	Sources Sources
	// ServiceAccount of the builds; the namespace's default if empty.
	ServiceAccount string
	// Layout of the pods; PodPerTask if empty.
	Layout Layout
	// Storage is the size of the volume claim of PodPerTask; 4Gi if empty. The
	// Tasks limit what one pod may store.
	Storage string
}

// Sources are the flags of the fetch step that bound where source may come from, each
// a list that is separated by commas: see pkg/git.
type Sources struct {
	// Schemes are any of https, ssh and http.
	Schemes string
	// Hosts are names, or "*.NAME"; any host if empty.
	Hosts string
	// Addresses are ranges, "public" or "any".
	Addresses string
}

// Render returns the PipelineRun of a request. The same request always gives
// the same PipelineRun.
func Render(req build.Request, c Config) (*v1.PipelineRun, error) {
	description, err := json.Marshal(req.Description)
	if err != nil {
		return nil, fmt.Errorf("render build %s: %w", req.ID, err)
	}
	volumes, err := workspaces(c)
	if err != nil {
		return nil, fmt.Errorf("render build %s: %w", req.ID, err)
	}
	pipeline, builderTask := "firmware"+places(req.Description), taskBuild
	if c.Layout == OnePod {
		pipeline, builderTask = pipeline+"-pod", taskPod
	}
	pr := &v1.PipelineRun{
		ObjectMeta: metav1.ObjectMeta{
			Name: build.RunName(req.ID), Namespace: c.Namespace, Labels: labels(req),
			Annotations: map[string]string{
				annotationApplication: req.Target.Application,
				annotationDevice:      req.Target.Device,
				annotationDescription: string(description),
				annotationHash:        req.DescriptionHash,
				annotationRequester:   req.Requester,
				annotationTrigger:     string(req.Trigger),
				annotationRequested:   req.Time.UTC().Format(time.RFC3339Nano),
			},
		},
		Spec: v1.PipelineRunSpec{
			PipelineRef: &v1.PipelineRef{Name: pipeline},
			Params:      params(req, c),
			Timeouts:    &v1.TimeoutFields{Pipeline: &metav1.Duration{Duration: time.Duration(req.Description.Timeout)}},
			Workspaces:  volumes,
			TaskRunTemplate: v1.PipelineTaskRunTemplate{
				ServiceAccountName: c.ServiceAccount, PodTemplate: podTemplate(),
			},
		},
	}
	if req.Publication != nil {
		return pr, republish(pr, req, c)
	}
	if env := environment(req.Description); len(env) > 0 {
		// The number of variables differs from build to build, which a Task's
		// steps cannot express: they go into the pod of the builder. Steps of ours
		// that share it ignore them.
		pr.Spec.TaskRunSpecs = []v1.PipelineTaskRunSpec{{
			PipelineTaskName: builderTask, PodTemplate: podTemplate(),
		}}
		pr.Spec.TaskRunSpecs[0].PodTemplate.Env = env
	}
	return pr, nil
}

// labels adds the names only where they are valid values (A25); the hash of the
// target always is.
func labels(req build.Request) map[string]string {
	l := map[string]string{labelManagedBy: managedBy, labelBuild: req.ID, labelTarget: req.Target.Hash()}
	for name, value := range map[string]string{labelApplication: req.Target.Application, labelDevice: req.Target.Device} {
		if value != "" && len(validation.IsValidLabelValue(value)) == 0 {
			l[name] = value
		}
	}
	return l
}

// places names those that a description has published to, as the names of pipelines do.
func places(d build.Description) (name string) {
	if d.Image != "" {
		name += "-oci"
	}
	if d.Controller != "" {
		name += "-hawkbit"
	}
	return name
}

func text(name, value string) v1.Param {
	return v1.Param{Name: name, Value: v1.ParamValue{Type: v1.ParamTypeString, StringVal: value}}
}

func array(name string, values []string) v1.Param {
	return v1.Param{Name: name, Value: v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: append([]string{}, values...)}}
}

// params are those of all tasks.
func params(req build.Request, c Config) v1.Params {
	d := req.Description
	return append(v1.Params{
		text("uri", d.Source.URI), text("revision", d.Source.Rev),
		text("schemes", c.Sources.Schemes), text("hosts", c.Sources.Hosts), text("addresses", c.Sources.Addresses),
		text("builder", d.Builder), array("args", d.Args),
	}, publishParams(req, c)...)
}

// publishParams are those of the tasks that publish, but for the version.
func publishParams(req build.Request, c Config) v1.Params {
	d := req.Description
	list := v1.Params{text("path", d.Source.Path), text("artifact", d.Artifact), text("max-size", strconv.FormatInt(d.MaxSize, 10))}
	if d.Image != "" {
		list = append(list, text("image", c.RegistryPrefix+d.Image), array("attachments", d.Attachments), text("plain-http", strconv.FormatBool(c.PlainHTTP)))
	}
	if d.Controller != "" {
		list = append(list, text("name", req.Target.HawkbitName()), text("controller", d.Controller))
	}
	return list
}

func environment(d build.Description) (env []corev1.EnvVar) {
	for _, e := range d.Env {
		env = append(env, corev1.EnvVar{Name: e.Name, Value: e.Value})
	}
	return env
}

// workspaces gives every build a volume of its own, never a shared one. One pod has
// the empty volume that Tekton gives it.
func workspaces(c Config) ([]v1.WorkspaceBinding, error) {
	if c.Layout == OnePod {
		return nil, nil
	}
	if c.Storage == "" {
		c.Storage = "4Gi"
	}
	size, err := resource.ParseQuantity(c.Storage)
	if err != nil {
		return nil, fmt.Errorf("read size of workspace %q: %w", c.Storage, err)
	}
	return []v1.WorkspaceBinding{{Name: workspaceSource, VolumeClaimTemplate: &corev1.PersistentVolumeClaim{
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
		},
	}}}, nil
}

// Validate reports what cannot be rendered.
func (c Config) Validate() error {
	if c.Layout != OnePod && c.Layout != PodPerTask && c.Layout != "" {
		return fmt.Errorf("layout %q is neither %q nor %q", c.Layout, OnePod, PodPerTask)
	}
	_, err := workspaces(c)
	return err
}

// podTemplate holds for all pods of a build: no token of the cluster's API, and
// a group that all steps share the workspace by.
func podTemplate() *podtemplate.PodTemplate {
	return &podtemplate.PodTemplate{
		AutomountServiceAccountToken: new(false),
		EnableServiceLinks:           new(false),
		SecurityContext: &corev1.PodSecurityContext{
			FSGroup: new(int64(65532)), RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
}
