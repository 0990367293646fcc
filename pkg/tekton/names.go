// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Labels of our PipelineRuns; Tekton copies them to TaskRuns and pods.
const (
	labelManagedBy   = "app.kubernetes.io/managed-by"
	labelBuild       = "ajour.drogue.io/build"
	labelObject      = "ajour.drogue.io/target"
	labelApplication = "application"
	labelDevice      = "device"

	managedBy = "ajour"
	// ownRuns selects the PipelineRuns and TaskRuns of this project.
	ownRuns = labelManagedBy + "=" + managedBy
)

// Labels that Tekton puts on each TaskRun of a PipelineRun.
const (
	labelPipelineTask = "tekton.dev/pipelineTask"
	labelPipelineRun  = "tekton.dev/pipelineRun"
)

// Annotations of our PipelineRuns.
const (
	annotationApplication = "ajour.drogue.io/application"
	annotationDevice      = "ajour.drogue.io/device"
	// The uids of the objects that have these names.
	annotationApplicationUID = "ajour.drogue.io/application-uid"
	annotationDeviceUID      = "ajour.drogue.io/device-uid"
	annotationDescription    = "ajour.drogue.io/description"
	annotationHash           = "ajour.drogue.io/description-hash"
	annotationRevision       = "ajour.drogue.io/revision"
	annotationRequester      = "ajour.drogue.io/requester"
	annotationCause          = "ajour.drogue.io/cause"
	annotationRequested      = "ajour.drogue.io/requested"
	annotationCancelled      = "ajour.drogue.io/cancelled"
	annotationCancelledBy    = "ajour.drogue.io/cancelled-by"
	annotationPublication    = "ajour.drogue.io/publication"
	annotationWarnings       = "ajour.drogue.io/warnings"
	// annotationMessage is the message of a build that has ended, with a line of its output.
	annotationMessage = "ajour.drogue.io/message"
	// annotationLog is what was archived of the output, as JSON.
	annotationLog = "ajour.drogue.io/log"
	// annotationState is the state of a build that has ended, a record as JSON.
	annotationState = "ajour.drogue.io/state"
)

// annotationTrace is how Tekton joins a trace, if it records any (upstream
// pkg/reconciler/pipelinerun/tracing.go).
const annotationTrace = "tekton.dev/pipelinerunSpanContext"

// paramArgs is the parameter with the arguments of the builder.
const paramArgs = "args"

// workspaceSource is the workspace of our pipelines and tasks.
const workspaceSource = "source"

// labels adds the names only where they are valid values (A25); the hash of the object
// reference always is.
func labels(s build.Spec) map[string]string {
	l := map[string]string{labelManagedBy: managedBy, labelBuild: s.ID, labelObject: s.Object.Hash()}
	for name, value := range map[string]string{labelApplication: s.Object.Application, labelDevice: s.Object.Device} {
		if value != "" && len(validation.IsValidLabelValue(value)) == 0 {
			l[name] = value
		}
	}
	return l
}
