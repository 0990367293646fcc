// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"context"
	"errors"
	"fmt"
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
controller.quorum.voters=1@127.0.0.1:%[2]d
listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d
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
	classes    string
	properties string
	out        *output
	cmd        *exec.Cmd
	exited     chan struct{}
}

// StartKafka starts a server. The first time on a machine it is fetched, which takes a minute.
func StartKafka(t testing.TB) *Kafka {
	t.Helper()
	classes, err := kafkaClasses()
	if err != nil {
		t.Fatal(err)
	}
	dir, port := t.TempDir(), freePort(t)
	k := &Kafka{
		Address: fmt.Sprintf("127.0.0.1:%d", port), t: t, classes: classes, out: &output{},
		properties: filepath.Join(dir, "server.properties"),
	}
	text := fmt.Sprintf(kafkaProperties, port, freePort(t), filepath.Join(dir, "log"))
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
	return exec.Command("java", append([]string{
		"-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", filepath.Join(k.classes, "*"),
	}, args...)...)
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
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Address))
	if err != nil {
		k.t.Fatal(err)
	}
	defer client.Close()
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
