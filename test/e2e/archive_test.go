// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/test/devtest"
)

// TestALogOutlivesItsPods: what the steps printed is archived as long as the run, and so is the line that
// explains the failure.
func TestALogOutlivesItsPods(t *testing.T) {
	t.Parallel()
	w, app := start(t), name(t)
	path := w.create(app, "", shell(t, "echo compiling; echo \"src/main.c:3:1: error: 'foo' undeclared\" >&2; exit 2"))
	id := w.trigger("/apps/" + app)
	o := w.await(path, id)
	if o.Status.Build.Reason != "BuildFailed" {
		t.Fatalf("%+v", o.Status.Build)
	}
	ctx, stop := context.WithTimeout(t.Context(), within)
	defer stop()
	selector := "--selector=ajour.drogue.io/build=" + id
	for {
		out, err := kubectl(
			ctx, "", "--namespace="+builds, "get", "pipelineruns", selector,
			`--output=jsonpath={.items[0].metadata.annotations.ajour\.drogue\.io/message}`,
		)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out, "'foo' undeclared") {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatal("nothing is archived")
		case <-time.After(500 * time.Millisecond):
		}
	}
	if _, err := kubectl(
		ctx,
		"",
		"--namespace="+builds,
		"delete",
		"pods",
		selector,
		"--grace-period=0",
		"--force",
	); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if err := w.Stream(ctx, devtest.Builds+"/builds/"+id+"/log", &log); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"== build-firmware\n", "\ncompiling\n", "undeclared\n"} { // of two streams, in any order
		if !strings.Contains(log.String(), text) {
			t.Errorf("%q is not in the log:\n%s", text, log.String())
		}
	}
	var list []struct {
		Message string
		Log     build.Log
	}
	if err := w.Call(ctx, http.MethodGet, devtest.Builds+"/builds?application="+app, nil, &list); err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`(?m)^== .*\n`)
	want := build.Log{Bytes: int64(len(heading.ReplaceAll(log.Bytes(), nil)))}
	if len(list) == 0 || !strings.Contains(list[0].Message, "'foo' undeclared") || list[0].Log != want {
		t.Errorf("%+v, want %+v", list, want)
	}
	owned, err := kubectl(
		ctx,
		"",
		"--namespace="+builds,
		"get",
		"configmaps",
		selector,
		"--output=jsonpath={.items[*].metadata.ownerReferences[0].kind}",
	)
	if err != nil || owned != "PipelineRun" {
		t.Error(err, owned)
	}
}

// TestTheStatusServiceChangesNothingThatIsBuilt, and no ConfigMap that a step reads.
func TestTheStatusServiceChangesNothingThatIsBuilt(t *testing.T) {
	t.Parallel()
	w, app := start(t), name(t)
	path := w.create(app, "", shell(t, makeFirmware))
	id := w.trigger("/apps/" + app)
	w.await(path, id)
	run, err := kubectl(
		t.Context(),
		"",
		"--namespace="+builds,
		"get",
		"pipelineruns",
		"--selector=ajour.drogue.io/build="+id,
		"--output=name",
	)
	if err != nil {
		t.Fatal(err)
	}
	run = strings.TrimSpace(run)
	patch := func(data string) error {
		_, err := kubectl(
			t.Context(), "", "--as=system:serviceaccount:ajour:status", "--namespace="+builds, "patch", run, "--type=merge",
			"--patch="+data,
		)
		return err
	}
	for _, annotation := range []string{"message", "log", "state"} {
		if err := patch(`{"metadata":{"annotations":{"ajour.drogue.io/` + annotation + `":"x"}}}`); err != nil {
			t.Error(err)
		}
	}
	for _, data := range []string{
		`{"metadata":{"annotations":{"ajour.drogue.io/application":"x"}}}`,
		`{"metadata":{"annotations":{"x":"y"}}}`,
		`{"metadata":{"labels":{"ajour.drogue.io/build":"x"}}}`,
		`{"metadata":{"annotations":{"ajour.drogue.io/application-uid":null}}}`,
		`{"metadata":{"finalizers":["example.org/x"]}}`,
		`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"x","uid":"x"}]}}`,
		`{"spec":{"status":"Cancelled"}}`,
	} {
		if err := patch(data); err == nil || !strings.Contains(err.Error(), "the status service changes no run") {
			t.Errorf("%s: %v", data, err)
		}
	}
	for _, object := range []string{
		`{"name": trusted-ca-2}`, `{"name": fw-x}`,
		`{"name": fw-x, ownerReferences: [{apiVersion: v1, kind: Pod, name: fw-x, uid: x}]}`,
	} {
		manifest := fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: %s}", object)
		_, err := kubectl(
			t.Context(), manifest, "--as=system:serviceaccount:ajour:status", "--namespace="+builds, "create", "--filename=-",
		)
		if err == nil || !strings.Contains(err.Error(), "has the name of a run, which owns it") {
			t.Errorf("%s: %v", object, err)
		}
	}
}
