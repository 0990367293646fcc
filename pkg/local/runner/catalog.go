// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"fmt"
	"io/fs"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	tektoncontainer "github.com/tektoncd/pipeline/pkg/container"
	taskresources "github.com/tektoncd/pipeline/pkg/reconciler/taskrun/resources"
	"sigs.k8s.io/yaml"
)

// Catalog holds the Pipelines and Tasks that runs may refer to, by name.
type Catalog struct {
	pipelines map[string]*v1.Pipeline
	tasks     map[string]*v1.Task
	actions   map[string]*v1beta1.StepAction
}

// LoadCatalog reads and validates all manifests of a file system.
func LoadCatalog(files fs.FS) (*Catalog, error) {
	c := &Catalog{
		pipelines: map[string]*v1.Pipeline{},
		tasks:     map[string]*v1.Task{},
		actions:   map[string]*v1beta1.StepAction{},
	}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		if err := c.add(data); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load pipelines and tasks: %w", err)
	}
	for name, t := range c.tasks {
		for i := range t.Spec.Steps {
			if err := c.inline(&t.Spec.Steps[i]); err != nil {
				return nil, fmt.Errorf("load task %s: %w", name, err)
			}
		}
	}
	return c, nil
}

func (c *Catalog) add(data []byte) error {
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(data, &kind); err != nil {
		return err
	}
	ctx := context.Background()
	switch kind.Kind {
	case "Pipeline":
		p := &v1.Pipeline{}
		if err := yaml.UnmarshalStrict(data, p); err != nil {
			return err
		}
		p.SetDefaults(ctx)
		c.pipelines[p.Name] = p
		if err := p.Validate(ctx); err != nil {
			return err
		}
	case "Task":
		t := &v1.Task{}
		if err := yaml.UnmarshalStrict(data, t); err != nil {
			return err
		}
		t.SetDefaults(ctx)
		c.tasks[t.Name] = t
		if err := t.Validate(ctx); err != nil {
			return err
		}
	case "StepAction":
		a := &v1beta1.StepAction{}
		if err := yaml.UnmarshalStrict(data, a); err != nil {
			return err
		}
		a.SetDefaults(ctx)
		c.actions[a.Name] = a
		if err := a.Validate(ctx); err != nil {
			return err
		}
	default:
		return fmt.Errorf("kind %q is neither Pipeline, Task nor StepAction", kind.Kind)
	}
	return nil
}

// pipelineOf returns the name and a copy of the pipeline of a run.
func (c *Catalog) pipelineOf(pr *v1.PipelineRun) (string, *v1.PipelineSpec, error) {
	if pr.Spec.PipelineSpec != nil {
		return pr.Name, pr.Spec.PipelineSpec.DeepCopy(), nil
	}
	name := pipelineName(pr)
	found, ok := c.pipelines[name]
	if !ok {
		return name, nil, fmt.Errorf("pipeline %q not found", name)
	}
	return name, found.Spec.DeepCopy(), nil
}

// pipelineName is the name that a run has its pipeline by, "" for one that it embeds.
func pipelineName(pr *v1.PipelineRun) string {
	if pr.Spec.PipelineRef == nil {
		return ""
	}
	return pr.Spec.PipelineRef.Name
}

// taskOf returns the task of a pipeline task, with its StepActions in place of the references.
func (c *Catalog) taskOf(pt *v1.PipelineTask) (*taskresources.ResolvedTask, error) {
	if spec := embeddedTask(pt); spec != nil {
		for i := range spec.Steps {
			if err := c.inline(&spec.Steps[i]); err != nil {
				return nil, err
			}
		}
		return &taskresources.ResolvedTask{Kind: v1.NamespacedTaskKind, TaskSpec: spec}, nil
	}
	task, ok := c.tasks[pt.TaskRef.Name]
	if !ok {
		return nil, fmt.Errorf("task %q not found", pt.TaskRef.Name)
	}
	return &taskresources.ResolvedTask{TaskName: task.Name, Kind: v1.NamespacedTaskKind, TaskSpec: &task.Spec}, nil
}

// embeddedTask returns a copy of the task that a pipeline task embeds, nil for none.
func embeddedTask(pt *v1.PipelineTask) *v1.TaskSpec {
	if pt.TaskSpec == nil {
		return nil
	}
	return pt.TaskSpec.TaskSpec.DeepCopy()
}

// inline replaces a step's reference by the StepAction that it names, with the
// parameters that the step gives it. Variables in their values are the Task's.
func (c *Catalog) inline(s *v1.Step) error {
	if s.Ref == nil {
		return nil
	}
	a, ok := c.actions[s.Ref.Name]
	if !ok {
		return fmt.Errorf("step action %q not found", s.Ref.Name)
	}
	texts, lists := map[string]string{}, map[string][]string{}
	set := func(name string, v *v1.ParamValue) {
		if v != nil && v.Type == v1.ParamTypeArray {
			lists["params."+name] = v.ArrayVal
		} else if v != nil {
			texts["params."+name] = v.StringVal
		}
	}
	for _, p := range a.Spec.Params {
		set(p.Name, p.Default)
	}
	for _, p := range s.Params {
		set(p.Name, &p.Value)
	}
	step := a.Spec.DeepCopy().ToStep()
	step.Name, step.ComputeResources = s.Name, s.ComputeResources
	tektoncontainer.ApplyStepReplacements(step, texts, lists)
	*s = *step
	return nil
}
