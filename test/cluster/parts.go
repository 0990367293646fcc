// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// The addresses of the cluster, all of them inside its sandbox.
const (
	nodeName        = "ajour"
	nodeIP          = "10.0.2.1"
	podCIDR         = "10.244.0.0/16"
	serviceCIDR     = "10.96.0.0/16"
	apiServiceIP    = "10.96.0.1"
	dnsServiceIP    = "10.96.0.10"
	apiURL          = "https://" + nodeIP + ":6443"
	registryAddress = nodeIP + ":5000"
)

// part is a process of the node.
type part struct {
	name    string
	command []string
	env     []string
}

// parts lists what a node runs. They wait for each other by ending and being
// restarted.
func parts(l layout) []part {
	client := func(user string) string { return "--kubeconfig=" + l.kubeconfig(user) }
	return []part{
		{name: "etcd", command: []string{
			l.bin("server"),
			"--data-dir=" + l.path("etcd"),
			"--unsafe-no-fsync",
			"--log-level=warn",
			"--listen-client-urls=http://127.0.0.1:2379",
			"--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380",
		}},
		{name: "registry", command: []string{"docker-registry", "serve", l.path("registry.yaml")}},
		{name: "containerd", command: []string{"containerd", "--config=" + l.path("containerd.toml")}},
		{name: "kube-apiserver", command: []string{
			l.bin(
				"kube-apiserver",
			),
			"--etcd-servers=http://127.0.0.1:2379",
			"--bind-address=" + nodeIP,
			"--advertise-address=" + nodeIP,
			"--service-cluster-ip-range=" + serviceCIDR,
			"--authorization-mode=Node,RBAC",
			"--allow-privileged=true",
			"--client-ca-file=" + l.cert(
				"ca",
			),
			"--tls-cert-file=" + l.cert("server"),
			"--tls-private-key-file=" + l.key("server"),
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + l.key("service-accounts"),
			"--service-account-signing-key-file=" + l.key("service-accounts"),
			"--kubelet-client-certificate=" + l.cert("apiserver"),
			"--kubelet-client-key=" + l.key("apiserver"),
			"--kubelet-preferred-address-types=InternalIP",
			"--enable-admission-plugins=NodeRestriction",
			"--cert-dir=" + l.path("pki"),
		}},
		{name: "kube-controller-manager", command: []string{
			l.bin("kube-controller-manager"),
			client("controller"),
			"--use-service-account-credentials",
			"--leader-elect=false",
			"--service-account-private-key-file=" + l.key(
				"service-accounts",
			),
			"--root-ca-file=" + l.cert("ca"),
			"--enable-hostpath-provisioner=true",
			"--authentication-skip-lookup",
			"--cert-dir=" + l.path("pki"),
		}},
		{name: "kube-scheduler", command: []string{
			l.bin(
				"kube-scheduler",
			),
			client("scheduler"),
			"--leader-elect=false",
			"--authentication-skip-lookup",
			"--cert-dir=" + l.path("pki"),
		}},
		{name: "kubelet", command: []string{
			l.bin("kubelet"), client("kubelet"), "--config=" + l.path("kubelet.yaml"), "--root-dir=" + l.path("kubelet"),
			"--cert-dir=" + l.path("pki"), "--hostname-override=" + nodeName, "--node-ip=" + nodeIP,
		}},
		{name: "kube-proxy", command: []string{
			l.bin(
				"kube-proxy",
			),
			client("proxy"),
			"--proxy-mode=nftables",
			"--conntrack-max-per-core=0",
			"--hostname-override=" + nodeName,
		}},
		{name: "coredns", command: []string{l.bin("coredns"), "-conf", l.path("Corefile")}},
	}
}

// kubeletConfig fits a node whose control groups and disk belong to others, too.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
resolvConf: /dev/null
clusterDomain: cluster.local
clusterDNS: [` + dnsServiceIP + `]
serializeImagePulls: false
maxParallelImagePulls: 4
registryPullQPS: 0
syncFrequency: 10s
maxPods: 200
evictionHard: {memory.available: 100Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
`

// configure writes the configuration files of the parts.
func configure(l layout) error {
	files := map[string]string{
		l.path("registry.yaml"): fmt.Sprintf(`version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
http: {addr: "%s", secret: none}
`, l.path("registry"), registryAddress),
		// The limits of a sandbox that is not all of root: no score of the OOM
		// killer below that of the parent can be set.
		l.path("containerd.toml"): fmt.Sprintf(`version = 2
root = "%s"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "%s/pause:3.6"
  max_concurrent_downloads = 8
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "%s"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "%s"
`, l.path("containerd"), registryAddress, l.path("cni"), l.path("certs.d")),
		l.path("certs.d", registryAddress, "hosts.toml"): fmt.Sprintf(
			"server = \"http://%[1]s\"\n[host.\"http://%[1]s\"]\n",
			registryAddress,
		),
		l.path("cni", "10-bridge.conflist"): fmt.Sprintf(`{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "kpods", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "%s"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
`, podCIDR),
		l.path("kubelet.yaml"): kubeletConfig,
		l.path("Corefile"): fmt.Sprintf(
			".:53 {\n  bind %s\n  errors\n  kubernetes cluster.local {\n    kubeconfig %s\n  }\n  cache 2\n}\n",
			nodeIP, l.kubeconfig("dns"),
		),
	}
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return fmt.Errorf("configure: %w", err)
		}
	}
	return nil
}
