// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// identities are the client certificates, by the name of their kubeconfig.
var identities = map[string]pkix.Name{
	"admin":      {CommonName: "admin", Organization: []string{"system:masters"}},
	"dns":        {CommonName: "dns", Organization: []string{"system:masters"}},
	"controller": {CommonName: "system:kube-controller-manager"},
	"scheduler":  {CommonName: "system:kube-scheduler"},
	"proxy":      {CommonName: "system:kube-proxy"},
	"kubelet":    {CommonName: "system:node:" + nodeName, Organization: []string{"system:nodes"}},
	"apiserver":  {CommonName: "apiserver-kubelet-client", Organization: []string{"system:masters"}},
}

// certificates makes a CA that nobody else ever sees, all certificates, and the
// kubeconfigs. Those for tools on this machine go through the proxy.
func certificates(l layout, proxyPort int) error {
	ca, caKey, err := issue(l, "ca", pkix.Name{CommonName: "ajour test cluster"}, nil, nil)
	if err != nil {
		return err
	}
	if _, _, err := issue(l, "server", pkix.Name{CommonName: "kube-apiserver"}, ca, caKey); err != nil {
		return err
	}
	if _, _, err := issue(l, "service-accounts", pkix.Name{CommonName: "service accounts"}, ca, caKey); err != nil {
		return err
	}
	for name, subject := range identities {
		if _, _, err := issue(l, name, subject, ca, caKey); err != nil {
			return err
		}
		through := ""
		if name == "admin" {
			through = fmt.Sprintf("http://127.0.0.1:%d", proxyPort)
		}
		if err := writeKubeconfig(l, name, through); err != nil {
			return err
		}
	}
	return nil
}

// issue makes a certificate and its key: of an authority if there is none yet.
func issue(
	l layout, name string, subject pkix.Name, ca *x509.Certificate, caKey *ecdsa.PrivateKey,
) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, nil, fmt.Errorf("make serial number: %w", err)
	}
	cert := &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames: []string{
			"kubernetes",
			"kubernetes.default",
			"kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local",
		},
		IPAddresses: []net.IP{net.ParseIP(nodeIP), net.ParseIP(apiServiceIP), net.IPv4(127, 0, 0, 1)},
	}
	if ca == nil {
		cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage = true, true, x509.KeyUsageCertSign
		ca, caKey = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, ca, key.Public(), caKey)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate %s: %w", name, err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("write key %s: %w", name, err)
	}
	for file, block := range map[string]*pem.Block{
		l.cert(name): {Type: "CERTIFICATE", Bytes: der}, l.key(name): {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	cert, err = x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("read certificate %s: %w", name, err)
	}
	return cert, key, nil
}

func writeKubeconfig(l layout, user, proxy string) error {
	var data [3]string
	for i, file := range []string{l.cert("ca"), l.cert(user), l.key(user)} {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("write kubeconfig: %w", err)
		}
		data[i] = base64.StdEncoding.EncodeToString(content)
	}
	if proxy != "" {
		proxy = ", proxy-url: \"" + proxy + "\""
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: ajour
clusters:
  - {name: ajour, cluster: {server: "%s", certificate-authority-data: %s%s}}
users:
  - {name: ajour, user: {client-certificate-data: %s, client-key-data: %s}}
contexts:
  - {name: ajour, context: {cluster: ajour, user: ajour}}
`, apiURL, data[0], proxy, data[1], data[2])
	if err := os.WriteFile(l.kubeconfig(user), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}
