// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// base is what a cluster has before anything is installed: its DNS, which runs
// on the node, and a class for volumes.
const base = `
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: ` + dnsServiceIP + `
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
endpoints: [{addresses: ["` + nodeIP + `"]}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: hostpath, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/host-path
`

// kubernetesVersion is that of tools/go.mod.
const kubernetesVersion = "v1.35.4"

// readyWithin bounds the wait for a part of the cluster.
const readyWithin = 5 * time.Minute

// up starts the cluster and returns when everything in it is ready. One that
// runs already is used as it is.
func up(ctx context.Context, l layout, out io.Writer) error {
	begin := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(out, "%6.1fs  %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
	}
	unlock, err := l.lockStart()
	if err != nil {
		return err
	}
	defer unlock()
	if s, err := l.running(); err != nil {
		return err
	} else if s != nil {
		if _, err := os.Stat(l.path("ready")); err == nil {
			say("the cluster runs already")
			return nil
		}
	}
	if os.Geteuid() != 0 {
		return errors.New(
			"only root can make namespaces with a network: run this as root, or set KUBECONFIG to a cluster that you have",
		)
	}
	if strings.HasPrefix(l.bin(""), "/tmp/") {
		return fmt.Errorf(
			"the cache %s is below /tmp, of which the cluster has its own: set XDG_CACHE_HOME to another folder",
			l.bin(""),
		)
	}
	if err := down(ctx, l); err != nil { // one that was killed, or did not become ready
		return err
	}
	if err := compile(ctx, l, say); err != nil {
		return err
	}
	if err := start(ctx, l, say); err != nil {
		return fmt.Errorf("%w\nlogs are in %s", err, l.logs())
	}
	return os.WriteFile(l.path("ready"), nil, 0o600)
}

func start(ctx context.Context, l layout, say func(string, ...any)) error {
	for _, dir := range []string{l.logs(), l.path("pki"), l.path("kube"), l.path("tmp")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
	}
	cached, err := restoreImages(ctx, l)
	if err != nil {
		return err
	}
	door, port, err := openDoor(ctx)
	if err != nil {
		return err
	}
	defer door.Close()
	if err := certificates(l, port); err != nil {
		return err
	}
	if err := configure(l); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s, err := startSandbox(l, door, port, func() { cancel(errors.New("the sandbox ended")) })
	if err != nil {
		return err
	}
	say("sandbox is process %d, logs in %s", s.pid, l.logs())
	if !cached {
		if err := buildImages(ctx, l, s, say); err != nil {
			return err
		}
	}
	if err := poll(
		ctx, "API server", func(ctx context.Context) error { return kubectl(ctx, l, "", "get", "--raw=/readyz") },
	); err != nil {
		return err
	}
	say("API server is ready")
	if err := kubectl(ctx, l, base, "apply", "-f", "-"); err != nil {
		return err
	}
	if err := install(ctx, l, say); err != nil {
		return err
	}
	say("cluster is ready")
	return nil
}

// compile builds what the node runs, from the pinned modules.
func compile(ctx context.Context, l layout, say func(string, ...any)) error {
	if _, err := os.Stat(l.bin("kubelet")); err == nil {
		return nil
	}
	say("compiling Kubernetes and the tools: more than ten minutes the first time")
	bin := filepath.Dir(l.bin("kubelet"))
	temp := bin + ".new"
	if err := errors.Join(os.RemoveAll(temp), os.MkdirAll(temp, 0o755)); err != nil {
		return fmt.Errorf("make cache: %w", err)
	}
	// Tekton and Knative refuse an API server that does not know its version.
	flags := "-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=" + kubernetesVersion
	args := append([]string{"build", "-C", toolsDir, "-trimpath", flags, "-o", temp + "/"}, programs...)
	if err := command(ctx, []string{"CGO_ENABLED=0"}, "go", args...); err != nil {
		return err
	}
	if err := os.Rename(temp, bin); err != nil {
		return fmt.Errorf("fill cache: %w", err)
	}
	say("compiled")
	return nil
}

// programs run on the node, or prepare it.
var programs = []string{
	"github.com/coredns/coredns",
	"github.com/google/go-containerregistry/cmd/crane",
	"github.com/google/ko",
	"go.etcd.io/etcd/server/v3",
	"k8s.io/kubernetes/cmd/kube-apiserver",
	"k8s.io/kubernetes/cmd/kube-controller-manager",
	"k8s.io/kubernetes/cmd/kube-proxy",
	"k8s.io/kubernetes/cmd/kube-scheduler",
	"k8s.io/kubernetes/cmd/kubectl",
	"k8s.io/kubernetes/cmd/kubelet",
}

// install applies Tekton and Knative, and waits for them and the node.
func install(ctx context.Context, l layout, say func(string, ...any)) error {
	for _, name := range []string{"crds.yaml", "addons.yaml"} {
		// Definitions come first: what is of their kind would be refused.
		if err := poll(ctx, name, func(ctx context.Context) error {
			return kubectl(ctx, l, "", "apply", "--server-side", "--force-conflicts", "-f", filepath.Join(l.images(), name))
		}); err != nil {
			return err
		}
	}
	say("Tekton and Knative are applied")
	var g errgroup.Group
	wait := []string{"wait", "--timeout=" + readyWithin.String()}
	g.Go(func() error {
		return poll(ctx, "node", func(ctx context.Context) error {
			return kubectl(ctx, l, "", append(slices.Clone(wait), "--for=condition=Ready", "node/"+nodeName)...)
		})
	})
	for _, namespace := range []string{"tekton-pipelines", "knative-eventing", "knative-serving"} {
		g.Go(func() error {
			err := kubectl(
				ctx,
				l,
				"",
				append(slices.Clone(wait), "--for=condition=Available", "--namespace="+namespace, "deployment", "--all")...)
			say("%s is ready", namespace)
			return err
		})
	}
	return g.Wait()
}

// poll retries until f succeeds, and names what did not come.
func poll(ctx context.Context, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := retry(ctx, f); err != nil {
		return fmt.Errorf("wait for %s: %w", what, errors.Join(context.Cause(ctx), err))
	}
	return nil
}

// kubectl runs one command against the cluster.
func kubectl(ctx context.Context, l layout, stdin string, args ...string) error {
	cmd := exec.CommandContext(
		ctx,
		l.bin("kubectl"),
		append([]string{"--kubeconfig=" + l.kubeconfig("admin")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, tail(stderr.Bytes()))
	}
	return nil
}

// command runs a program with more environment.
func command(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, tail(out))
	}
	return nil
}

// tail keeps the end of a program's output, where the reason is.
func tail(out []byte) []byte {
	out = bytes.TrimSpace(out)
	return out[max(0, len(out)-2000):]
}
