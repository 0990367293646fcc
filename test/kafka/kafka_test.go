// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Package kafka tests the registry-source with a real Kafka: as a process that is killed.
package kafka

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	// The program is built by the test: an import makes the go command see that a result is out
	// of date when it changes.
	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
	_ "github.com/drogue-iot/ajour/pkg/source"
	"github.com/drogue-iot/ajour/test/servers"
)

const (
	objects = 200
	// sourceKills is how often the source is killed, every killEvery; Kafka dies with the fifth, the
	// broker is away from the ninth to the tenth.
	sourceKills = 15
	killEvery   = 3 * time.Second
)

// TestTheLastChangeIsBuiltOnce: 200 objects change while the source is killed every three seconds, and
// Kafka and the broker once each. What each of them is described as in the end is built exactly once.
func TestTheLastChangeIsBuiltOnce(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "registry-source")
	if out, err := exec.CommandContext(
		t.Context(), "go", "build", "-o", program, "github.com/drogue-iot/ajour/cmd/registry-source",
	).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	k := servers.StartKafka(t)
	client := k.Client(kgo.RecordDeliveryTimeout(time.Minute))
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 3, 1, nil, "registry"); err != nil {
		t.Fatal(err)
	}
	b := newBuilds()
	address := "127.0.0.1:0"
	// serve starts the broker, at the address that it had before.
	serve := func() *httptest.Server {
		srv := httptest.NewUnstartedServer(b.handler())
		ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		srv.Listener = ln
		srv.Start()
		address = ln.Addr().String()
		return srv
	}
	srv := serve()
	var log bytes.Buffer
	startSource := func() *exec.Cmd {
		cmd := exec.Command(program)
		cmd.Env = append(
			os.Environ(), "K_SINK=http://"+address, "KAFKA_BOOTSTRAP_SERVERS="+k.Address, "KAFKA_SECURITY_PROTOCOL=PLAINTEXT",
			"PORT=0", "METRICS_PORT=0",
		)
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	kill := func(cmd *exec.Cmd) { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	source := startSource()
	t.Cleanup(func() {
		kill(source)
		if t.Failed() {
			t.Logf("the source printed:\n%s", &log)
		}
	})
	tick := time.NewTicker(killEvery)
	for kills := range sourceKills {
		for range 50 {
			name := fmt.Sprintf("object %d%%", rand.IntN(objects))
			produce(t, client, name, b.change(build.ObjectRef{Application: "greenhouse", Device: name}))
		}
		<-tick.C
		switch kills {
		case 4:
			k.Kill()
			k.Start()
		case 8:
			srv.Close()
		case 9:
			srv = serve()
		}
		kill(source)
		source = startSource()
	}
	t.Cleanup(func() { srv.Close() })
	// Kafka waits up to five minutes for a member that was killed while it joined the group.
	ended := time.Now()
	deadline := ended.Add(7 * time.Minute)
	for {
		all, wrong := b.newest()
		if len(wrong) == 0 {
			t.Logf("%d objects, %d kills of the source, all built %s after the last", all, sourceKills, time.Since(ended))
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the last change of %d of %d objects was not built once: %v", len(wrong), all, wrong)
		}
		select {
		case <-t.Context().Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// produce writes a change of a description as the registry does, and one of status.
func produce(t *testing.T, client *kgo.Client, device string, revision int) {
	t.Helper()
	for _, subject := range []string{".spec.firmware", ".status.firmware"} {
		r := &kgo.Record{
			Topic: "registry", Key: []byte("drogue/greenhouse/" + device),
			Value: []byte(`{"revision":` + strconv.Itoa(revision) + `,"uid":"0f8b3c52-5b1e-4d35-9f0d-7d3d6f6f2a11"}`),
		}
		for name, value := range map[string]string{
			"ce_specversion": "1.0", "ce_id": "id-" + strconv.Itoa(revision), "ce_type": event.TypeDeviceChange,
			"ce_source": "drogue:/drogue/greenhouse/" + device, "ce_subject": subject, "content-type": "application/json",
			"ce_time": "2026-11-24T02:18:09.230829504+00:00", "ce_partitionkey": "drogue/greenhouse/" + device,
			"ce_instance": "drogue", "ce_application": "greenhouse", "ce_device": device,
		} {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}
