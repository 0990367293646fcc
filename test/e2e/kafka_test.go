// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/drogue-iot/ajour/test/devtest"
	"github.com/drogue-iot/ajour/test/servers"
)

// silent begins the names of applications whose changes the test's registry does not send to the
// broker: they come by Kafka alone.
const silent = "silent-"

// TestTheLastChangeThatKafkaBringsIsBuiltOnce, while the source is killed with every round of changes,
// and Kafka with one.
func TestTheLastChangeThatKafkaBringsIsBuiltOnce(t *testing.T) {
	t.Parallel()
	const objects, rounds = 8, 4
	k := startKafka(t)
	client := k.Client(kgo.RecordDeliveryTimeout(time.Minute))
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 3, 1, nil, "registry"); err != nil {
		t.Fatal(err)
	}
	readFrom(t, k.Address)
	w := start(t)
	prefix := silent + name(t)
	app := func(i int) string { return prefix + "-" + strconv.Itoa(i) }
	source, _ := serve(t, map[string]string{"README": "x"})
	describe := func(round int) map[string]any {
		script := fmt.Sprintf("printf %d > firmware.bin", round)
		return devtest.Spec(
			source,
			":latest",
			images+"/shell:latest",
			[]string{script},
			func(b map[string]any) { delete(b, "triggers") },
		)
	}
	for round := 1; round <= rounds; round++ {
		for i := range objects {
			if round == 1 {
				w.create(app(i), "", describe(round))
			} else if err := w.Call(t.Context(), http.MethodPut, devtest.AppPath(app(i)), map[string]any{
				"metadata": map[string]any{"name": app(i)}, "spec": devtest.Of(app(i), describe(round)),
			}, nil); err != nil {
				t.Fatal(err)
			}
			changed(t, client, app(i), ".spec.firmware")
			changed(t, client, app(i), ".status.firmware")
		}
		if _, err := kubectl(
			t.Context(),
			"",
			"--namespace=ajour",
			"delete",
			"pod",
			"--selector=app.kubernetes.io/name=registry-source",
			"--force",
			"--grace-period=0",
			"--wait=false",
		); err != nil {
			t.Error(err)
		}
		if round == 2 {
			k.Kill()
			k.Start()
		}
	}
	for i := range objects {
		w.until(devtest.AppPath(app(i)), func(o devtest.Object) bool {
			b := o.Status.Build
			if b.Reason != "Succeeded" {
				return false
			}
			firmware, _, err := devtest.Pull(b.Artifact.Reference)
			return err == nil && string(firmware) == strconv.Itoa(rounds)
		})
		for hash, n := range runsByDescription(t, app(i)) {
			if n != 1 {
				t.Errorf("%s: %d runs of the description %s", app(i), n, hash)
			}
		}
	}
}

// startKafka starts Kafka beside the cluster, where its pods reach it.
func startKafka(t *testing.T) *servers.Kafka {
	t.Helper()
	namespace := os.Getenv("AJOUR_TEST_NETWORK")
	if namespace == "" {
		t.Fatal("AJOUR_TEST_NETWORK is unset: Kafka cannot be started beside a cluster that is not that of test/cluster; " +
			"leave this test out with -skip")
	}
	return servers.StartKafkaIn(t, servers.Network{Namespace: namespace, IP: "10.0.2.1", Dial: throughProxy})
}

// throughProxy connects by the proxy into the cluster.
func throughProxy(ctx context.Context, network, address string) (net.Conn, error) {
	proxy, err := url.Parse(os.Getenv("HTTP_PROXY"))
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, proxy.Host)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", address); err != nil {
		return nil, err
	}
	// Kafka speaks when it is spoken to: nothing of it is behind the answer.
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("proxy answers %s", res.Status)
	}
	return conn, err
}

// readFrom has the installation read changes from a Kafka, as docs/install.md says.
func readFrom(t *testing.T, address string) {
	t.Helper()
	run := func(ctx context.Context, stdin string, args ...string) {
		t.Helper()
		if _, err := kubectl(ctx, stdin, append([]string{"--namespace=ajour"}, args...)...); err != nil {
			t.Error(err)
		}
	}
	run(t.Context(), fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: drogue-kafka, namespace: ajour}
stringData: {bootstrap-servers: %q, security.protocol: PLAINTEXT}
`, address), "apply", "--filename=-")
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		run(ctx, "", "delete", "secret", "drogue-kafka")
		run(ctx, "", "rollout", "restart", "deployment/registry-source")
	})
	run(t.Context(), "", "rollout", "restart", "deployment/registry-source")
	run(t.Context(), "", "rollout", "status", "--timeout=3m", "deployment/registry-source") // ready is who reads
}

// changed writes a change of an application as the registry does (contract 3.2).
func changed(t *testing.T, client *kgo.Client, app, subject string) {
	t.Helper()
	r := &kgo.Record{
		Topic: "registry",
		Key:   []byte("drogue/" + app),
		Value: []byte(`{"revision":1,"uid":"0f8b3c52-5b1e-4d35-9f0d-7d3d6f6f2a11"}`),
	}
	for header, value := range map[string]string{
		"ce_specversion": "1.0", "ce_id": name(t), "ce_type": "io.drogue.registry.change.application",
		"ce_source": "drogue:/drogue/" + app, "ce_subject": subject, "content-type": "application/json",
		"ce_time": time.Now().UTC().Format(time.RFC3339Nano), "ce_partitionkey": "drogue/" + app, "ce_instance": "drogue",
		"ce_application": app,
	} {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: header, Value: []byte(value)})
	}
	if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// runsByDescription counts the runs of an application by the hash of their description.
func runsByDescription(t *testing.T, app string) map[string]int {
	t.Helper()
	out, err := kubectl(
		t.Context(), "", "--namespace="+builds, "get", "pipelineruns", "--selector=ajour.drogue.io/application="+app,
		"--output=json",
	)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Items []struct {
			Metadata struct{ Annotations map[string]string }
		}
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&list); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, item := range list.Items {
		counts[item.Metadata.Annotations["ajour.drogue.io/description-hash"]]++
	}
	return counts
}
