// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Artifacts reads what builds have published.
type Artifacts interface {
	// Open opens the firmware of an artifact, or the attachment of a name. It returns
	// [build.ErrNoAccess] if the installation may not read it, and a [*build.StepError] with the reason
	// ArtifactNotFound if it is gone.
	Open(ctx context.Context, application string, a build.Artifact, attachment string) (build.File, error)
}

// getArtifact sends the firmware that a build has published, or an attachment of it.
func (h *handler) getArtifact(w http.ResponseWriter, c *call) error {
	run, _, err := h.find(c)
	if err != nil {
		return err
	}
	if run.Artifact == nil || run.Artifact.Digest == "" {
		return problem(http.StatusNotFound, "NotFound", "The build has published nothing in an OCI registry")
	}
	if run.Secret { // which a builder may put into it
		if err := h.writes(c, build.ObjectRef{Application: run.Object.Application}); err != nil {
			return err
		}
	}
	attachment := c.query.Get("attachment")
	if c.query.Has("attachment") && attachment == "" {
		return invalid("The parameter attachment is empty: it is the path of a file, as the description names it")
	}
	if err := h.beginReading(c); err != nil {
		return err
	}
	defer h.reading.remove(c.principal.Subject)
	file, err := h.openArtifact(c.Context(), run, attachment)
	var failed *build.StepError
	switch {
	case errors.Is(err, build.ErrNoAccess):
		p := problem(http.StatusNotImplemented, "NoRegistryAccess",
			"This installation may not read the OCI registry: pull the artifact with your own credentials")
		p.Command = "oras pull " + run.Artifact.Reference
		return p
	case errors.As(err, &failed) && failed.Reason == build.ReasonArtifactNotFound:
		return problem(http.StatusGone, "ArtifactGone", failed.Message)
	case err != nil:
		return err
	}
	defer file.Close()
	name := run.Object.Application + "-" + run.Artifact.Version + ".bin"
	if attachment != "" {
		name = path.Base(file.Name)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	w.Header().Set("ETag", `"`+file.SHA256+`"`)
	out := flushing{w, http.NewResponseController(w)}
	if seeker, ok := file.ReadCloser.(io.ReadSeeker); ok {
		http.ServeContent(patient{w, out}, c.Request, "", time.Time{}, seeker)
		return nil
	}
	w.Header().Set("Content-Length", strconv.FormatInt(file.Size, 10))
	w.WriteHeader(http.StatusOK)
	if _, err := io.CopyN(out, file, file.Size); err != nil && c.Context().Err() == nil {
		h.Log.WarnContext(c.Context(), "artifact is incomplete", "build", run.ID, "error", err)
		panic(http.ErrAbortHandler) // so that the client sees that it is
	}
	return nil
}

func (h *handler) openArtifact(ctx context.Context, run *build.Run, attachment string) (build.File, error) {
	if h.artifacts == nil {
		return build.File{}, build.ErrNoAccess
	}
	return h.artifacts.Open(ctx, run.Object.Application, *run.Artifact, attachment)
}

// patient is a ResponseWriter each piece of which has a deadline of its own, and not all of it.
type patient struct {
	http.ResponseWriter

	out flushing
}

func (p patient) Write(data []byte) (int, error) { return p.out.Write(data) }
