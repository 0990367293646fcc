// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/internal/transport"
)

// repository opens the repository with the credentials that are configured for its
// registry. They are sent there, and to a token service of the same domain, only.
func (o Options) repository() (*remote.Repository, error) {
	repo, err := remote.NewRepository(o.Reference)
	if err != nil {
		return nil, fmt.Errorf("read reference: %w", err)
	}
	credential, err := o.credential(repo.Reference.Registry)
	if err != nil {
		return nil, err
	}
	base, err := transport.New(o.TrustedCA, o.Proxies)
	if err != nil {
		return nil, err
	}
	repo.PlainHTTP, repo.SkipReferrersGC = o.PlainHTTP, true
	registry := &url.URL{Host: repo.Reference.Host()}
	known, err := o.knownHosts()
	if err != nil {
		return nil, err
	}
	repo.Client = &auth.Client{
		Client: &http.Client{
			Transport: &retry.Transport{
				Base:   ownDomain{base, registry.Hostname(), known},
				Policy: func() retry.Policy { return repeat },
			},
		},
		Cache:      auth.NewCache(),
		Credential: credential,
		Header:     http.Header{"User-Agent": {"ajour"}},
	}
	return repo, nil
}

// credential finds the credentials of a registry: in the docker configuration, else
// in the files "user" and "token" that installations of Drogue Ajour have (6.3).
func (o Options) credential(registry string) (auth.CredentialFunc, error) {
	config := filepath.Join(o.Credentials, "config.json")
	if _, err := os.Stat(config); o.Credentials != "" && err == nil {
		store, err := credentials.NewStore(config, credentials.StoreOptions{})
		if err != nil {
			return nil, fmt.Errorf("read registry credentials: %w", err)
		}
		return credentials.Credential(store), nil
	}
	none := auth.StaticCredential("", auth.EmptyCredential)
	if o.Credentials == "" {
		return none, nil
	}
	token, err := transport.ReadOptional(filepath.Join(o.Credentials, "token"))
	if err != nil || token == "" {
		return none, err
	}
	user, err := transport.ReadOptional(filepath.Join(o.Credentials, "user"))
	if err != nil {
		return nil, err
	}
	if user == "" {
		user = "token" // Basic authentication of an empty name is refused by clients
	}
	return auth.StaticCredential(registry, auth.Credential{Username: user, Password: token}), nil
}

// knownHosts are those that the docker configuration has an entry for.
func (o Options) knownHosts() (map[string]bool, error) {
	if o.Credentials == "" {
		return map[string]bool{}, nil
	}
	text, err := transport.ReadOptional(filepath.Join(o.Credentials, "config.json"))
	if err != nil || text == "" {
		return nil, err
	}
	var config struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return nil, fmt.Errorf("read registry credentials: %w", err)
	}
	hosts := map[string]bool{}
	for host := range config.Auths {
		hosts[host] = true
	}
	return hosts, nil
}

// repeat says how requests are repeated that have no body, or a small one: after a
// quarter of a second, then after three times as long, or as long as a registry asks
// for.
var repeat = &retry.GenericPolicy{
	Retryable: func(res *http.Response, err error) (bool, error) {
		if err != nil {
			return temporaryError(err), nil
		}
		return temporary(res.StatusCode), nil
	},
	Backoff: retry.ExponentialBackoff(250*time.Millisecond, 3, 0.1), MaxWait: 30 * time.Second, MaxRetry: 3,
}

// temporary reports whether a status is of a failure that may pass.
func temporary(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// transient reports whether the same request may succeed a little later.
func transient(err error) bool {
	var response *errcode.ErrorResponse
	if errors.As(err, &response) {
		return temporary(response.StatusCode)
	}
	var broken *url.Error
	return errors.As(err, &broken) && temporaryError(err)
}

// temporaryError reports whether a connection that failed may work the next time.
func temporaryError(err error) bool {
	var withheld *withheldError
	return !transport.Untrusted(err) && !errors.As(err, &withheld) &&
		!errors.Is(err, context.Canceled) // a deadline may be that of a connection
}

// Beginnings of the messages of failures.
const (
	pushFailed = "Failed pushing artifact to registry"
	pullFailed = "Failed pulling artifact from registry"
)

// explain tells a refusal from other failures, by the registry's own message.
func explain(what, reference string, err error) error {
	var step *build.StepError
	if errors.As(err, &step) {
		return err
	}
	reason, remedy := build.ReasonRegistryPushFailed, ""
	if transport.Untrusted(err) {
		remedy = ": add the CA of the registry to the ConfigMap trusted-ca of the installation"
	}
	if refused(err) {
		host, _, _ := strings.Cut(reference, "/")
		reason = build.ReasonRegistryAuthFailed
		remedy = ": check the credentials of the installation for " + host +
			", in the Secret container-registry of its builds"
	}
	return &build.StepError{
		Reason:  reason,
		Message: what + ": " + detail(err) + remedy,
		Err:     fmt.Errorf("%s: %w", reference, err),
	}
}

// refused reports whether other credentials would help. Harbor and Quay answer so, too,
// when there is no room left.
func refused(err error) bool {
	var response *errcode.ErrorResponse
	if !errors.As(err, &response) {
		return errors.Is(err, auth.ErrBasicCredentialNotFound)
	}
	full := strings.Contains(strings.ToLower(response.Errors.Error()), "quota")
	return response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden && !full
}

// text are the part of an error that people see. The URL of an upload is left out: it
// means nothing to them, and may hold a signature.
func detail(err error) string {
	text := err.Error()
	var response *errcode.ErrorResponse
	var broken *url.Error
	var withheld *withheldError
	switch {
	case errors.As(err, &withheld):
		text = withheld.Error()
	case errors.As(err, &response):
		text = http.StatusText(response.StatusCode)
		if len(response.Errors) > 0 && response.Errors[0].Message != "" {
			text = response.Errors[0].Message
		}
		if response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests {
			text = fmt.Sprintf("%s (%d)", text, response.StatusCode)
		}
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		text = "no credentials are configured for it"
	case errors.As(err, &broken):
		text = broken.Err.Error()
		if host := hostOf(broken.URL); host != "" {
			text = host + ": " + text
		}
	}
	return build.Clean(text)
}

func hostOf(raw string) string {
	if u, err := url.Parse(raw); err == nil {
		return u.Host
	}
	return ""
}
