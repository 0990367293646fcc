// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"go.etcd.io/bbolt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/apis"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
	"github.com/drogue-iot/ajour/test/devtest"
)

const (
	storedBuilds = 10_000
	maxDevStart  = time.Second
)

// dev measures how long "ajour dev" takes to be ready with many stored builds, each with a
// description of 8 KiB.
func (b *bench) dev(ctx context.Context) error {
	const name = "start of dev, 10,000 builds"
	if b.skips(name) {
		return nil
	}
	data := filepath.Join(b.dir, "data")
	start := func() (time.Duration, error) {
		began := time.Now()
		d, err := devtest.Start(ctx, devtest.Options{
			Program: filepath.Join(b.dir, "ajour"), Config: filepath.Join(b.dir, "config"), Log: io.Discard,
			Args: []string{"--listen=127.0.0.1:0", "--data=" + data, "--engine=none"},
		})
		if err != nil {
			return 0, err
		}
		took := time.Since(began)
		return took, d.Stop()
	}
	if _, err := start(); err != nil { // it makes the files
		return err
	}
	if err := fill(filepath.Join(data, "runs.db")); err != nil {
		return err
	}
	// The first start observes what has been put there beside it, which no start after it does.
	if _, err := start(); err != nil {
		return err
	}
	var times []time.Duration
	for range 5 {
		took, err := start()
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	m := median(times)
	fmt.Fprintf(
		b.out, "%-34s %5d %8.1fms %10s %7s  %s%s\n", name, len(times), ms(m), "", "", maxDevStart, verdict(m <= maxDevStart),
	)
	return nil
}

// fill stores builds that have ended in the file of the runner.
func fill(path string) (err error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	d := build.Description{
		Registry: build.OCI, Image: "bench:latest", Builder: "shell:latest", Artifact: "firmware.bin",
		Timeout: build.Duration(time.Hour), Source: build.Source{URI: "https://git.example.org/acme/fw.git", Path: "."},
		Args: []string{strings.Repeat("x", 4<<10), strings.Repeat("y", 4<<10)},
	}
	ended := metav1.NewTime(time.Now().Add(-24 * time.Hour))
	return db.Update(func(tx *bbolt.Tx) error {
		runs := tx.Bucket([]byte("pipelineruns"))
		for i := range storedBuilds {
			pr, err := tekton.Render(build.Spec{
				ID: uuid.Must(uuid.NewV7()).String(), Object: build.ObjectRef{Application: fmt.Sprintf("app-%d", i/20)},
				Description: d, Hash: d.Hash(), Cause: build.CauseAPI, Requested: ended.Time,
			}, tekton.Config{Namespace: "ajour", Layout: tekton.OnePod})
			if err != nil {
				return err
			}
			pr.UID, pr.CreationTimestamp, pr.Spec.Status = types.UID(uuid.NewString()), ended, ""
			pr.Status = v1.PipelineRunStatus{PipelineRunStatusFields: v1.PipelineRunStatusFields{
				StartTime: &ended, CompletionTime: &ended,
			}}
			pr.Status.SetCondition(&apis.Condition{
				Type: apis.ConditionSucceeded, Status: corev1.ConditionFalse, Reason: "Failed", Message: "bench",
			})
			text, err := json.Marshal(pr)
			if err != nil {
				return err
			}
			if err := runs.Put([]byte(pr.Name), text); err != nil {
				return err
			}
		}
		// The state of builds is made anew where it is missing.
		return tx.DeleteBucket([]byte("builds"))
	})
}
