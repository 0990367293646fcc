// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Protocol is how to speak to Kafka, by the names of its own setting security.protocol.
type Protocol string

// The protocols.
const (
	Plaintext     Protocol = "PLAINTEXT"
	SSL           Protocol = "SSL"
	SASLPlaintext Protocol = "SASL_PLAINTEXT"
	SASLSSL       Protocol = "SASL_SSL"
)

// Kafka says where the topic is.
type Kafka struct {
	// Bootstrap are the first servers to ask, HOST:PORT.
	Bootstrap []string
	// Topic is that of the registry, Group the consumer group of this installation.
	Topic, Group string
	// Protocol is SASLSSL if it is empty.
	Protocol Protocol
	// Folder has the files user, password and sasl.mechanism, and ca.crt where the CA is none of
	// the system's. User and password are read for each connection.
	Folder string
}

func (k Kafka) options() ([]kgo.Opt, error) {
	if len(k.Bootstrap) == 0 || slices.Contains(k.Bootstrap, "") {
		return nil, errors.New("no bootstrap servers: write HOST:PORT, separated by commas")
	}
	if k.Topic == "" || k.Group == "" {
		return nil, errors.New("no topic, or no consumer group")
	}
	opts := []kgo.Opt{kgo.SeedBrokers(k.Bootstrap...), kgo.ClientID("ajour")}
	switch k.Protocol {
	case Plaintext:
		return opts, nil
	case SSL, SASLPlaintext, SASLSSL, "":
	default:
		return nil, fmt.Errorf("security protocol %q is none of PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL", k.Protocol)
	}
	if k.Protocol != SASLPlaintext {
		config, err := k.tls()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	if k.Protocol == SSL {
		return opts, nil
	}
	login, err := k.login()
	return append(opts, login), err
}

func (k Kafka) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	ca, err := k.read("ca.crt")
	if errors.Is(err, fs.ErrNotExist) {
		return config, nil
	}
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM([]byte(ca)) {
		return nil, errors.New("ca.crt holds no certificate in PEM format")
	}
	return config, nil
}

func (k Kafka) login() (kgo.Opt, error) {
	mechanism, err := k.read("sasl.mechanism")
	if errors.Is(err, fs.ErrNotExist) {
		mechanism, err = "SCRAM-SHA-512", nil // what Drogue's cluster has
	}
	if err != nil {
		return nil, err
	}
	if _, _, err := k.userAndPassword(); err != nil {
		return nil, err
	}
	scrambled := func(context.Context) (scram.Auth, error) {
		user, password, err := k.userAndPassword()
		return scram.Auth{User: user, Pass: password}, err
	}
	switch mechanism {
	case "SCRAM-SHA-512":
		return kgo.SASL(scram.Sha512(scrambled)), nil
	case "SCRAM-SHA-256":
		return kgo.SASL(scram.Sha256(scrambled)), nil
	case "PLAIN":
		return kgo.SASL(plain.Plain(func(context.Context) (plain.Auth, error) {
			user, password, err := k.userAndPassword()
			return plain.Auth{User: user, Pass: password}, err
		})), nil
	default:
		return nil, fmt.Errorf("sasl.mechanism %q is none of SCRAM-SHA-512, SCRAM-SHA-256 and PLAIN", mechanism)
	}
}

func (k Kafka) userAndPassword() (user, password string, err error) {
	if user, err = k.read("user"); err == nil {
		password, err = k.read("password")
	}
	return user, password, err
}

func (k Kafka) read(name string) (string, error) {
	data, err := os.ReadFile(filepath.Join(k.Folder, name)) //nolint:gosec // the operator says where it is
	if err != nil {
		return "", fmt.Errorf("read credentials of Kafka: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// Lag returns how many records of the topic the group has not passed on yet.
func (s *Source) Lag(ctx context.Context) (int64, error) {
	lags, err := kadm.NewClient(s.client).Lag(ctx, s.group)
	if err != nil {
		return 0, fmt.Errorf("read lag: %w", err)
	}
	if err := lags.Error(); err != nil {
		return 0, fmt.Errorf("read lag: %w", err)
	}
	return max(lags[s.group].Lag.Total(), 0), nil
}
