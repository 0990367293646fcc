// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package samples tries what config/samples has.
package samples

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	// The program is built by the tests: an import makes the go command see that a result is out of
	// date when what it consists of changes.
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	"github.com/drogue-iot/ajour/pkg/event/eventtest"
)

const id = "0190f2a4-6c3b-7a57-8f0e-0242ac120002"

// announce runs the sample, and returns what posts an event to it and returns the status.
func announce(t *testing.T, env ...string) (post func(cloudevents.Event) int) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "announce")
	if out, err := exec.CommandContext(
		t.Context(), "go", "build", "-o", program, "github.com/drogue-iot/ajour/config/samples/announce",
	).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	address := free(t)
	_, port, _ := net.SplitHostPort(address)
	run(t, append(env, "PORT="+port, "EVENT_KEY="+eventtest.Key), program)
	await(t, address)
	return func(ev cloudevents.Event) int {
		t.Helper()
		reply, err := event.Send(t.Context(), http.DefaultClient, "http://"+address, ev)
		if err != nil {
			t.Fatal(err)
		}
		return reply.Status
	}
}

// run runs a program until the test ends.
func run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var out bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, &out)
		}
	})
}

// free returns an address of this machine that nobody uses at the moment.
func free(t *testing.T) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// await waits until somebody listens.
func await(t *testing.T, address string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		select {
		case <-t.Context().Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ended(t *testing.T, phase build.Phase, reason build.Reason, message string) cloudevents.Event {
	t.Helper()
	r := build.Run{ID: id, Object: build.ObjectRef{Application: "greenhouse", Device: "<!channel> é"}}
	r.Phase, r.Reason, r.Message, r.Requested, r.Completed = phase, reason, message, time.Now(), time.Now()
	if phase == build.Succeeded {
		r.Artifact = &build.Artifact{Reference: "quay.io/acme/greenhouse:main"}
	}
	announce := event.Finished
	if !phase.Final() {
		announce = event.Started
	}
	ev, err := announce(event.SourceStatus, r)
	if err != nil {
		t.Fatal(err)
	}
	return eventtest.Sign(t, ev)
}

// TestAChatSaysHowABuildEnded, mentions nobody, and is waited for while it is away.
func TestAChatSaysHowABuildEnded(t *testing.T) {
	t.Parallel()
	var got []string
	status := http.StatusOK
	slack := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Header.Get("Content-Type")+" "+string(body))
		w.WriteHeader(status)
	}))
	defer slack.Close()
	post := announce(t, "CHAT_URL="+slack.URL+"/services/secret")
	for _, ev := range []cloudevents.Event{
		ended(t, build.Running, build.ReasonBuilding, ""),
		ended(t, build.Succeeded, build.ReasonSucceeded, ""),
		ended(t, build.Failed, build.ReasonBuildFailed, `main.c:1: "x" & y`),
	} {
		if code := post(ev); code != 202 {
			t.Error(code)
		}
	}
	forged := ended(t, build.Failed, build.ReasonBuildFailed, "Click https://evil.example")
	forged.SetExtension("signature", "AAAA")
	if code := post(forged); code != 202 {
		t.Error(code)
	}
	const of = `application/json {"text":"greenhouse/\u0026lt;!channel\u0026gt; é: build ` + id
	want := []string{
		of + ` has begun"}`,
		of + ` succeeded, quay.io/acme/greenhouse:main"}`,
		of + ` failed: BuildFailed main.c:1: \"x\" \u0026amp; y"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	status = http.StatusServiceUnavailable
	if code := post(ended(t, build.Succeeded, build.ReasonSucceeded, "")); code != 503 {
		t.Error(code)
	}
}

// TestAMailSaysThatABuildFailed, to a real SMTP server, to all who are named.
func TestAMailSaysThatABuildFailed(t *testing.T) {
	t.Parallel()
	address, dir := free(t), filepath.Join(t.TempDir(), "mail")
	run(t, nil, "aiosmtpd", "--nosetuid", "--listen="+address, "--class=aiosmtpd.handlers.Mailbox", dir)
	await(t, address)
	post := announce(
		t, "MAIL_SERVER="+address, "MAIL_FROM=ajour@example.org", "MAIL_TO=ada@example.org,grace@example.org",
	)
	if code := post(
		ended(t, build.Failed, build.ReasonBuildFailed, "main.c:1: error\r\nBcc: eve@example.org"),
	); code != 202 {
		t.Fatal(code)
	}
	files, err := filepath.Glob(filepath.Join(dir, "new", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	mail, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"From: ajour@example.org\n", "To: ada@example.org,grace@example.org\n", "X-RcptTo: ada@example.org, grace@example.org\n",
		"Subject: =?utf-8?q?greenhouse/<!channel>_=C3=A9:_build_", "\n\ngreenhouse/<!channel> é: build " + id +
			" failed: BuildFailed main.c:1: error",
	} {
		if !strings.Contains(string(mail), line) {
			t.Errorf("no %q in\n%s", line, mail)
		}
	}
	if strings.Contains(string(mail), "\nBcc:") {
		t.Errorf("a header of somebody else:\n%s", mail)
	}
}
