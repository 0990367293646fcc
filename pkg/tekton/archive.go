// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
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

// annotationLeftOut is what is left out of the steps, on a ConfigMap, as JSON: a [build.LeftOut] by the
// name of the step.
const annotationLeftOut = "ajour.drogue.io/left-out"

// maxArchived bounds what is read of one step from an archive, in bytes.
const maxArchived = 16 << 20

// LogArchive are what the steps of ended builds printed, each in a ConfigMap that has the name of the run
// and is deleted with it: compressed, with the time of each line, under the names of the steps.
type LogArchive struct {
	maps ConfigMaps
	// most is how many bytes are archived of each step.
	most int
}

// NewLogArchive returns the logs in some ConfigMaps. Of each step, so many bytes are archived.
func NewLogArchive(maps ConfigMaps, most int) *LogArchive {
	return &LogArchive{maps, min(most, maxArchived)}
}

// Save archives what the steps of a build printed, as long as its pods are there, and returns how much that
// is. One that is archived already stays as it is. It returns [build.ErrLogGone] if there is nothing, or too much.
func (k *LogArchive) Save(ctx context.Context, c *Client, r build.Run) (l build.Log, err error) {
	data, left := map[string][]byte{}, map[string]*build.LeftOut{}
	err = c.steps(ctx, r.ID, build.LogOptions{Timestamps: true}, func(s stage, output io.Reader) error {
		if output == nil {
			return nil
		}
		text, out, err := ends(output, k.most)
		if err != nil {
			return err
		}
		if out != nil {
			left[s.step] = out
		}
		l.Bytes += int64(len(selected(string(text), build.LogOptions{})))
		data[s.step], err = packed(text)
		return err
	})
	if err != nil || len(data) == 0 {
		return l, err
	}
	annotations := map[string]string{}
	if len(left) > 0 {
		note, err := json.Marshal(left)
		if err != nil {
			return l, fmt.Errorf("archive log of run %s: %w", r.Name, err)
		}
		annotations[annotationLeftOut] = string(note)
	}
	_, err = k.maps.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: r.Name, Labels: map[string]string{labelManagedBy: managedBy, labelBuild: r.ID},
			Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1.SchemeGroupVersion.String(), Kind: "PipelineRun", Name: r.Name, UID: types.UID(r.UID),
			}},
		},
		Immutable: new(true), BinaryData: data,
	}, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return k.size(ctx, r.Name)
	case apierrors.IsInvalid(err), apierrors.IsRequestEntityTooLargeError(err):
		return l, errTooLong
	case err != nil:
		return l, fmt.Errorf("archive log of run %s: %w", r.Name, err)
	default:
		return l, nil
	}
}

// size returns how much is archived of a run.
func (k *LogArchive) size(ctx context.Context, run string) (l build.Log, err error) {
	cm, err := k.maps.Get(ctx, run, metav1.GetOptions{})
	if err != nil {
		return l, fmt.Errorf("read archived log of run %s: %w", run, err)
	}
	for _, data := range cm.BinaryData {
		text, err := unpacked(data)
		if err != nil {
			return l, fmt.Errorf("read archived log of run %s: %w", run, err)
		}
		l.Bytes += int64(len(selected(text, build.LogOptions{})))
	}
	return l, nil
}

// Measure returns how much the steps of a build printed, where all of that stays.
func Measure(ctx context.Context, c *Client, r build.Run) (l build.Log, err error) {
	err = c.Log(ctx, r.ID, build.LogOptions{}, func(_ string, output io.Reader) error {
		if output == nil {
			return nil
		}
		n, err := io.Copy(io.Discard, output)
		l.Bytes += n
		return err
	})
	return l, err
}

func packed(text []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(text)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}

func unpacked(data []byte) (string, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(r, maxArchived))
	return string(text), err
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
	text, err := unpacked(cm.BinaryData[step])
	if err != nil {
		return nil, fmt.Errorf("read archived log of run %s: %w", run, err)
	}
	left := map[string]*build.LeftOut{}
	if o.Tail == 0 { // else the place is not known
		_ = json.Unmarshal([]byte(cm.Annotations[annotationLeftOut]), &left) // an earlier version did not write it
	}
	return archived{strings.NewReader(selected(text, o)), left[step]}, nil
}

// archived is the output of a step from an archive. It implements [build.Shortened].
type archived struct {
	*strings.Reader

	left *build.LeftOut
}

// LeftOut implements build.Shortened.
func (a archived) LeftOut() *build.LeftOut { return a.left }

// Close implements io.Closer.
func (archived) Close() error { return nil }

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
// says what is left out between them. Each line begins with its time.
func ends(r io.Reader, most int) ([]byte, *build.LeftOut, error) {
	begin := make([]byte, most/8)
	n, err := io.ReadFull(r, begin)
	begin = begin[:n]
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return begin, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	var end []byte
	var out printed // what is left out, from the last whole line of the beginning on
	whole := bytes.LastIndexByte(begin, '\n') + 1
	out.count(begin[whole:])
	left, dropped := most-most/8, false
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if end = append(end, buf[:n]...); len(end) > 2*left {
			out.count(end[:len(end)-left])
			dropped = true
			end = append(end[:0], end[len(end)-left:]...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if over := len(end) - left; over > 0 {
		out.count(end[:over])
		dropped, end = true, end[over:]
	}
	if !dropped {
		return append(begin, end...), nil, nil
	}
	from := bytes.IndexAny(end, "\r\n") + 1
	if from == len(end) { // all of it is one line
		from = 0
	}
	within := from == 0 || end[from-1] == '\r' // what is left of a line has lost its time
	out.count(end[:from])
	at, _, _ := bytes.Cut(begin[bytes.LastIndexByte(begin[:max(whole-1, 0)], '\n')+1:], []byte(" "))
	note := fmt.Sprintf("%s [%d bytes are left out here]\n", at, out.bytes)
	if within {
		note += string(at) + " "
	}
	place := int64(len(selected(string(begin[:whole]), build.LogOptions{})))
	return append(append(begin[:whole], note...), end[from:]...), &build.LeftOut{place, out.bytes}, nil
}

// printed counts what a step printed, in pieces of lines that begin with their times.
type printed struct {
	bytes  int64
	within bool // the time of the line has been read
}

func (p *printed) count(text []byte) {
	for _, c := range text {
		if p.within {
			p.bytes++
		}
		p.within = c != '\n' && (p.within || c == ' ')
	}
}
