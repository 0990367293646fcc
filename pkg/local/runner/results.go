// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
)

// maxResults is what Tekton takes of a step's results in all: the size of a
// container's termination message.
const maxResults = 4096

// readResults reads the results that a step declares and has left.
func readResults(dir string, declared []v1.StepResult) ([]v1.TaskRunStepResult, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open results: %w", err)
	}
	defer root.Close()
	var results []v1.TaskRunStepResult
	total := 0
	for _, d := range declared {
		value, err := readResult(root, d.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return results, fmt.Errorf("read result %s: %w", d.Name, err)
		}
		if total += len(value); total > maxResults {
			return results, fmt.Errorf("the results have more than %d bytes", maxResults)
		}
		results = append(
			results,
			v1.TaskRunStepResult{Name: d.Name, Type: v1.ResultsTypeString, Value: *v1.NewStructuredValues(value)},
		)
	}
	return results, nil
}

func readResult(root *os.Root, name string) (string, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(err, errors.New("no regular file"))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxResults+1))
	return string(data), err
}

// taskResults gives a task the results of its steps that it declares.
func taskResults(declared []v1.TaskResult, steps []v1.StepState) (results []v1.TaskRunResult) {
	values := map[string]string{}
	for _, s := range steps {
		for _, r := range s.Results {
			values["$(steps."+s.Name+".results."+r.Name+")"] = r.Value.StringVal
		}
	}
	for _, d := range declared {
		if d.Value == nil {
			continue
		}
		if value, ok := values[d.Value.StringVal]; ok {
			results = append(
				results,
				v1.TaskRunResult{Name: d.Name, Type: v1.ResultsTypeString, Value: *v1.NewStructuredValues(value)},
			)
		}
	}
	return results
}
