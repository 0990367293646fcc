// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// kafkaVersion is what Maven fetches.
const kafkaVersion = "3.9.1"

const kafkaPOM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>test</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>` + kafkaVersion + `</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
`

// kafkaClasses fetches Kafka, once for a machine and version, and returns the folder of its classes.
var kafkaClasses = sync.OnceValues(func() (string, error) {
	return stored("kafka-"+kafkaVersion, "lib", fetchKafka)
})

func fetchKafka(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), []byte(kafkaPOM), 0o600); err != nil {
		return err
	}
	fetch := exec.Command("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib.new")
	fetch.Dir = dir
	if out, err := fetch.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch Kafka: %w: %s", err, out)
	}
	return os.Rename(filepath.Join(dir, "lib.new"), filepath.Join(dir, "lib"))
}

const kafkaProperties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[4]s:%[2]d
listeners=PLAINTEXT://%[4]s:%[1]d,CONTROLLER://%[4]s:%[2]d
controller.listener.names=CONTROLLER
log.dirs=%[3]s
num.partitions=3
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
`

// Kafka is a server with one node, without a login.
type Kafka struct {
	// Address is where it listens, HOST:PORT.
	Address string

	t          testing.TB
	network    Network
	classes    string
	properties string
	out        *output
	cmd        *exec.Cmd
	exited     chan struct{}
}

// Network is where a server listens that is for more than this machine.
type Network struct {
	// Namespace is the file of a network namespace, and IP an address in it.
	Namespace, IP string
	// Dial connects to it from here.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// StartKafka starts a server. The first time on a machine it is fetched, which takes a minute.
func StartKafka(t testing.TB) *Kafka {
	t.Helper()
	return StartKafkaIn(t, Network{IP: "127.0.0.1", Dial: new(net.Dialer).DialContext})
}

// StartKafkaIn does so in a network.
func StartKafkaIn(t testing.TB, network Network) *Kafka {
	t.Helper()
	classes, err := kafkaClasses()
	if err != nil {
		t.Fatal(err)
	}
	dir, port := t.TempDir(), freePort(t)
	k := &Kafka{
		Address: fmt.Sprintf("%s:%d", network.IP, port), t: t, network: network, classes: classes, out: &output{},
		properties: filepath.Join(dir, "server.properties"),
	}
	text := fmt.Sprintf(kafkaProperties, port, freePort(t), filepath.Join(dir, "log"), network.IP)
	if err := os.WriteFile(k.properties, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	format := k.java("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", k.properties)
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("format the log of Kafka: %v %s", err, out)
	}
	k.Start()
	t.Cleanup(func() {
		k.Kill()
		if t.Failed() {
			t.Logf("Kafka printed:\n%.4000s", k.out)
		}
	})
	return k
}

func (k *Kafka) java(args ...string) *exec.Cmd {
	all := append([]string{
		"java", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", filepath.Join(k.classes, "*"),
	}, args...)
	if k.network.Namespace != "" {
		all = append([]string{"nsenter", "--net=" + k.network.Namespace}, all...)
	}
	return exec.Command(all[0], all[1:]...)
}

// Client returns a client, which is closed with the test.
func (k *Kafka) Client(opts ...kgo.Opt) *kgo.Client {
	k.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.Address), kgo.Dialer(k.network.Dial)}, opts...)...)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(client.Close)
	return client
}

// Start starts the server once more, and waits until it answers.
func (k *Kafka) Start() {
	k.t.Helper()
	k.cmd, k.exited = k.java("kafka.Kafka", k.properties), make(chan struct{})
	k.cmd.Stdout, k.cmd.Stderr = k.out, k.out
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) { _ = cmd.Wait(); close(exited) }(k.cmd, k.exited)
	client := k.Client()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.t.Context()), 2*time.Minute)
	defer cancel()
	for err := errors.New("not asked"); err != nil; err = client.Ping(ctx) {
		select {
		case <-k.exited:
			k.t.Fatalf("Kafka ended: %s", k.out)
		case <-ctx.Done():
			k.t.Fatalf("Kafka does not answer: %v %s", err, k.out)
		default:
		}
	}
}

// Kill ends the server as a crash does.
func (k *Kafka) Kill() {
	_ = k.cmd.Process.Kill()
	<-k.exited
}
