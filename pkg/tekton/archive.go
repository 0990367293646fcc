// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/drogue-iot/ajour/pkg/build"
)

// ConfigMaps is the part of the cluster's typed client that is used.
type ConfigMaps interface {
	Create(ctx context.Context, cm *corev1.ConfigMap, opts metav1.CreateOptions) (*corev1.ConfigMap, error)
	Get(ctx context.Context, name string, opts metav1.GetOptions) (*corev1.ConfigMap, error)
}

// LogArchive are what the steps of ended builds printed, each in a ConfigMap that has the name of the run
// and is deleted with it: compressed, with the time of each line, under the names of the steps.
type LogArchive struct {
	maps ConfigMaps
	// most is how many bytes are archived of each step.
	most int
}

// NewLogArchive returns the logs in some ConfigMaps. Of each step, so many bytes are archived.
func NewLogArchive(maps ConfigMaps, most int) *LogArchive { return &LogArchive{maps, most} }

// Save archives what the steps of a build printed, as long as its pods are there. One that is archived already
// stays as it is. It returns [build.ErrLogGone] if there is nothing, or too much.
func (k *LogArchive) Save(ctx context.Context, c *Client, r build.Run) error {
	data := map[string][]byte{}
	err := c.steps(ctx, r.ID, build.LogOptions{Timestamps: true}, func(s stage, output io.Reader) error {
		if output == nil {
			return nil
		}
		text, err := ends(output, k.most)
		if err != nil {
			return err
		}
		data[s.step], err = packed(text)
		return err
	})
	if err != nil || len(data) == 0 {
		return err
	}
	_, err = k.maps.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: r.Name, Labels: map[string]string{labelManagedBy: managedBy, labelBuild: r.ID},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1.SchemeGroupVersion.String(), Kind: "PipelineRun", Name: r.Name, UID: types.UID(r.UID),
			}},
		},
		Immutable: new(true), BinaryData: data,
	}, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil
	case apierrors.IsInvalid(err), apierrors.IsRequestEntityTooLargeError(err):
		return errTooLong
	case err != nil:
		return fmt.Errorf("archive log of run %s: %w", r.Name, err)
	default:
		return nil
	}
}

func packed(text []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(text)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}

// open returns what a step of a run printed, or [build.ErrLogGone].
func (k *LogArchive) open(ctx context.Context, run, step string, o build.LogOptions) (io.ReadCloser, error) {
	gone := fmt.Errorf("step %s of run %s: %w", step, run, build.ErrLogGone)
	if k == nil {
		return nil, gone
	}
	cm, err := k.maps.Get(ctx, run, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err): // as with the rights of an earlier version
		return nil, gone
	case err != nil:
		return nil, fmt.Errorf("read archived log of run %s: %w", run, err)
	case cm.BinaryData[step] == nil:
		return nil, gone
	}
	r, err := gzip.NewReader(bytes.NewReader(cm.BinaryData[step]))
	if err != nil {
		return nil, fmt.Errorf("read archived log of run %s: %w", run, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxPodLog))
	if err != nil {
		return nil, fmt.Errorf("read archived log of run %s: %w", run, err)
	}
	return io.NopCloser(strings.NewReader(selected(string(text), o))), nil
}

// selected returns the lines of a log that are asked for, in which each begins with its time.
func selected(text string, o build.LogOptions) string {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if o.Tail > 0 {
		lines = lines[max(0, len(lines)-o.Tail):]
	}
	if o.Timestamps {
		return strings.Join(lines, "")
	}
	var out strings.Builder
	for _, line := range lines {
		_, rest, _ := strings.Cut(line, " ")
		out.WriteString(rest)
	}
	return out.String()
}

// ends returns the beginning and the end of what a reader gives, each cut at the end of a line, and
// says what is left out between them.
func ends(r io.Reader, most int) ([]byte, error) {
	begin := make([]byte, most/8)
	n, err := io.ReadFull(r, begin)
	begin = begin[:n]
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return begin, nil
	}
	if err != nil {
		return nil, err
	}
	var end []byte
	left, dropped := most-most/8, 0
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if end = append(end, buf[:n]...); len(end) > 2*left {
			dropped += len(end) - left
			end = append(end[:0], end[len(end)-left:]...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if over := len(end) - left; over > 0 {
		dropped, end = dropped+over, end[over:]
	}
	if dropped == 0 {
		return append(begin, end...), nil
	}
	whole := bytes.LastIndexByte(begin, '\n') + 1
	from := bytes.IndexAny(end, "\r\n") + 1
	if from == len(end) { // all of it is one line
		from = 0
	}
	within := from == 0 || end[from-1] == '\r' // what is left of a line has lost its time
	dropped += len(begin) - whole + from
	at, _, _ := bytes.Cut(begin[bytes.LastIndexByte(begin[:max(whole-1, 0)], '\n')+1:], []byte(" "))
	note := fmt.Sprintf("%s [%d bytes are left out here]\n", at, dropped)
	if within {
		note += string(at) + " "
	}
	return append(append(begin[:whole], note...), end[from:]...), nil
}
