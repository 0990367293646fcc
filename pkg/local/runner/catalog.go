// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"fmt"
	"io/fs"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"sigs.k8s.io/yaml"
)

// Catalog holds the Pipelines and Tasks that runs may refer to, by name.
type Catalog struct {
	pipelines map[string]*v1.Pipeline
	tasks     map[string]*v1.Task
}

// LoadCatalog reads and validates all manifests of a file system.
func LoadCatalog(files fs.FS) (*Catalog, error) {
	c := &Catalog{pipelines: map[string]*v1.Pipeline{}, tasks: map[string]*v1.Task{}}
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
	default:
		return fmt.Errorf("kind %q is neither Pipeline nor Task", kind.Kind)
	}
	return nil
}
