// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import "github.com/drogue-iot/ajour/pkg/build"

// taskPod is the pipeline task whose one pod has all stages as steps.
const taskPod = "firmware"

// stage is one of the things that a pipeline does in sequence. Render composes a run of
// stages, Observe reads a run by the same list.
type stage struct {
	// task is the pipeline task that carries it out in a pod of its own.
	task string
	// step is the name of its step, action that of the StepAction.
	step, action string
	// reason and progress are reported while the stage is the current one.
	reason   build.Reason
	progress float64
}

var (
	stageFetch   = stage{"fetch-source", "fetch", "fetch-source", build.ReasonFetchingSource, 5}
	stageBuild   = stage{"build-firmware", "build", "build-firmware", build.ReasonBuilding, 20}
	stageOCI     = stage{"publish", "publish", "publish-oci", build.ReasonPublishing, 85}
	stageHawkbit = stage{"publish-hawkbit", "publish-hawkbit", "publish-hawkbit", build.ReasonPublishing, 90}
	// stagePull takes the place of fetch and build for what is in an OCI registry already.
	stagePull = stage{"", "pull", "pull-artifact", build.ReasonPublishing, 85}
)

// stagesOf returns the stages of a build in their order. There is at least one.
func stagesOf(d build.Description, p *build.Publication) []stage {
	var stages []stage
	switch {
	case p == nil:
		stages = []stage{stageFetch, stageBuild}
	case p.Claim == "":
		return []stage{stagePull, stageHawkbit}
	case d.Image == "" && d.Controller == "": // a run whose annotations somebody edited
		return []stage{stageOCI}
	}
	if d.Image != "" {
		stages = append(stages, stageOCI)
	}
	if d.Controller != "" {
		stages = append(stages, stageHawkbit)
	}
	return stages
}
