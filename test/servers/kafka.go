// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	"github.com/twmb/franz-go/pkg/sasl/scram"
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
	return Stored("kafka-"+kafkaVersion, "lib", fetchKafka)
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
listeners=%[5]s://%[4]s:%[1]d,CONTROLLER://%[4]s:%[2]d
controller.listener.names=CONTROLLER
inter.broker.listener.name=%[5]s
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs=%[3]s
num.partitions=3
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
`

// secureProperties are those of a server as Drogue's: with a certificate, and a login by SCRAM.
const secureProperties = `sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
ssl.keystore.type=PKCS12
ssl.keystore.location=%[1]s
ssl.keystore.password=keystore
ssl.key.password=keystore
ssl.truststore.type=PEM
ssl.truststore.location=%[4]s
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \
  required username="%[2]s" password="%[3]s";
`

// Kafka is a server with one node.
type Kafka struct {
	// Address is where it listens, HOST:PORT.
	Address string
	// CA is the file of its certificate, if it has one. User and Password log in then.
	CA, User, Password string

	t          testing.TB
	network    Network
	port       int
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
	k := newKafka(t, network)
	k.write(kafkaProperties, "PLAINTEXT", "")
	k.format()
	return k
}

// StartSecureKafka starts one with a certificate, and a login.
func StartSecureKafka(t testing.TB) *Kafka {
	t.Helper()
	k := newKafka(t, Network{IP: "127.0.0.1", Dial: new(net.Dialer).DialContext})
	dir := filepath.Dir(k.properties)
	store := filepath.Join(dir, "keystore.p12")
	k.CA, k.User, k.Password = filepath.Join(dir, "ca.crt"), "ajour", "secret-kafka-password"
	for _, args := range [][]string{
		{"-genkeypair", "-alias", "kafka", "-keyalg", "RSA", "-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1"},
		{"-exportcert", "-rfc", "-alias", "kafka", "-file", k.CA},
	} {
		args = append(args, "-storetype", "PKCS12", "-keystore", store, "-storepass", "keystore")
		if out, err := exec.Command("keytool", args...).CombinedOutput(); err != nil {
			t.Fatalf("make certificate: %v %s", err, out)
		}
	}
	k.write(kafkaProperties, "SASL_SSL", fmt.Sprintf(secureProperties, store, k.User, k.Password, k.CA))
	k.format("--add-scram", fmt.Sprintf("SCRAM-SHA-512=[name=%s,password=%s]", k.User, k.Password))
	return k
}

func newKafka(t testing.TB, network Network) *Kafka {
	t.Helper()
	classes, err := kafkaClasses()
	if err != nil {
		t.Fatal(err)
	}
	k := &Kafka{
		port: freePort(t), t: t, network: network, classes: classes, out: &output{},
		properties: filepath.Join(t.TempDir(), "server.properties"),
	}
	k.Address = fmt.Sprintf("%s:%d", network.IP, k.port)
	return k
}

func (k *Kafka) write(template, protocol, more string) {
	k.t.Helper()
	text := fmt.Sprintf(
		template, k.port, freePort(k.t), filepath.Join(filepath.Dir(k.properties), "log"), k.network.IP, protocol,
	) + more
	if err := os.WriteFile(k.properties, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// format makes the log, and starts the server.
func (k *Kafka) format(flags ...string) {
	k.t.Helper()
	format := k.java(append(
		[]string{"kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", k.properties}, flags...)...,
	)
	if out, err := format.CombinedOutput(); err != nil {
		k.t.Fatalf("format the log of Kafka: %v %s", err, out)
	}
	k.Start()
	k.t.Cleanup(func() {
		k.Kill()
		if k.t.Failed() {
			k.t.Logf("Kafka printed:\n%.4000s", k.out)
		}
	})
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
	usual := []kgo.Opt{kgo.SeedBrokers(k.Address)}
	if k.CA == "" {
		usual = append(usual, kgo.Dialer(k.network.Dial))
	} else {
		usual = append(
			usual, kgo.DialTLSConfig(&tls.Config{RootCAs: pool(k.t, k.CA), MinVersion: tls.VersionTLS12}),
			kgo.SASL(scram.Auth{User: k.User, Pass: k.Password}.AsSha512Mechanism()),
		)
	}
	client, err := kgo.NewClient(append(usual, opts...)...)
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

// pool has the certificates of a file.
func pool(t testing.TB, file string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(data)
	return p
}
