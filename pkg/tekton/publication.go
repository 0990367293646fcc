// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/drogue-iot/ajour/pkg/build"
)

// republish makes of the run of a build one that publishes what is there already.
// Nothing of a user runs in it.
func republish(pr *v1.PipelineRun, req build.Request, c Config) error {
	p := *req.Publication
	publication, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("render publication: %w", err)
	}
	pr.Annotations[annotationPublication] = string(publication)
	if p.Claim != "" {
		pr.Spec.PipelineRef.Name = "publish" + places(req.Description)
		pr.Spec.Params = append(publishParams(req, c), text("version", p.Artifact.Version))
		pr.Spec.Workspaces = []v1.WorkspaceBinding{{
			Name: workspaceSource, PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: p.Claim, ReadOnly: true},
		}}
		return nil
	}
	repository := p.Artifact.Reference[:max(strings.LastIndex(p.Artifact.Reference, ":"), 0)]
	pr.Spec.PipelineRef.Name, pr.Spec.Workspaces = "republish-hawkbit", nil
	pr.Spec.Params = v1.Params{
		text("image", repository+"@"+p.Artifact.Digest), text("version", p.Artifact.Version), text("plain-http", strconv.FormatBool(c.PlainHTTP)),
		text("name", req.Target.HawkbitName()), text("controller", req.Description.Controller),
	}
	return nil
}

// publicationOf returns what a run publishes again, nil for one that compiles.
func publicationOf(pr *v1.PipelineRun) *build.Publication {
	var p build.Publication
	if text := pr.Annotations[annotationPublication]; text == "" || json.Unmarshal([]byte(text), &p) != nil {
		return nil
	}
	return &p
}

// Keeps reports whether the workspace of a run that has ended, of which these are the
// TaskRuns, holds a firmware that is nowhere else.
func Keeps(pr *v1.PipelineRun, tasks []v1.TaskRun) bool {
	list := make([]*v1.TaskRun, len(tasks))
	for i := range tasks {
		list[i] = &tasks[i]
	}
	r, ours := Observe(pr, byRun(list)[pr.UID])
	return ours && r.Kept != nil && (r.Artifact == nil || r.Artifact.Digest == "")
}

// kept returns what the builder of a run left, nil if it left nothing that outlives the
// run. The workspace of a pod is gone with it; a volume claim stays as long as the run that
// made it.
func (t taskRuns) kept(pr *v1.PipelineRun, id string) *build.Kept {
	if p := publicationOf(pr); p != nil {
		// Tekton lets nobody change the spec of a run, other than an annotation.
		if claim := claimOf(pr.Spec.Workspaces); claim != "" {
			return &build.Kept{Build: p.Build, Claim: claim, Version: p.Artifact.Version}
		}
		return nil
	}
	tr, shared := t.of(stageBuild)
	if shared || !conditionOf(tr).IsTrue() {
		return nil
	}
	if claim := claimOf(tr.Spec.Workspaces); claim != "" {
		return &build.Kept{Build: id, Claim: claim, Version: t.result(stageFetch, "version")}
	}
	return nil
}

func claimOf(workspaces []v1.WorkspaceBinding) string {
	for _, w := range workspaces {
		if w.Name == workspaceSource && w.PersistentVolumeClaim != nil {
			return w.PersistentVolumeClaim.ClaimName
		}
	}
	return ""
}
