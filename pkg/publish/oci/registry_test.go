// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/publish/oci"
	"github.com/drogue-iot/ajour/pkg/publish/publishtest"
)

func TestTemporaryFailuresAreRetried(t *testing.T) {
	t.Parallel()
	big := rand.Text() + strings.Repeat("x", 1<<20)
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"a server error": publishtest.Faulty(
			2, publishtest.Method(http.MethodPost), publishtest.Status(http.StatusInternalServerError),
		),
		"an overloaded gateway": publishtest.Faulty(
			2, publishtest.Method(http.MethodPut), publishtest.Status(http.StatusBadGateway),
		),
		"a limit of requests": publishtest.Faulty(
			1, publishtest.Method(http.MethodHead),
			publishtest.Status(http.StatusTooManyRequests, "Retry-After: 1"),
		),
		"an upload that is cut": publishtest.Faulty(
			1, func(r *http.Request) bool { return r.Method == http.MethodPut && r.ContentLength > 1<<20 },
			publishtest.Cut,
		),
		"an answer that is cut": publishtest.Faulty(1, publishtest.Method(http.MethodHead), publishtest.Cut),
		"a server that stumbles at the tag": publishtest.Faulty(
			1, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/manifests/latest") },
			publishtest.Status(http.StatusServiceUnavailable),
		),
		"a slow registry": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				<-time.After(20 * time.Millisecond)
				next.ServeHTTP(w, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, serve(t, wrap), "latest", big)
			if _, err := oci.Push(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if _, content, _, _ := delivered(
				t, strings.SplitN(o.Reference, "/", 2)[0], "acme/greenhouse", "latest",
			); content != big {
				t.Error("it delivers something else")
			}
		})
	}
}

func TestWhatDoesNotPassIsReported(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		match  func(*http.Request) bool
		fail   http.HandlerFunc
		reason build.Reason
		detail string
	}{
		"a server that stays broken": {
			publishtest.Method(http.MethodPost),
			publishtest.Status(http.StatusInternalServerError),
			build.ReasonRegistryPushFailed,
			"(500)",
		},
		"a limit that stays": {
			publishtest.Method(http.MethodPost),
			publishtest.Status(http.StatusTooManyRequests),
			build.ReasonRegistryPushFailed,
			"(429)",
		},
		"uploads that always break": {
			publishtest.Method(http.MethodPut),
			publishtest.Cut,
			build.ReasonRegistryPushFailed,
			"",
		},
		"a right that is missing": {
			publishtest.Method(http.MethodPost),
			publishtest.Status(http.StatusForbidden),
			build.ReasonRegistryAuthFailed,
			"Forbidden",
		},
		"no room in Harbor": {
			publishtest.Method(http.MethodPut),
			denied(harborFull),
			build.ReasonRegistryPushFailed,
			harborFull,
		},
		"no room in Quay": {
			publishtest.Method(http.MethodPut),
			denied(quayFull),
			build.ReasonRegistryPushFailed,
			quayFull,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := serve(t, publishtest.Faulty(1<<30, tt.match, tt.fail))
			o := options(t, host, "latest", firmware)
			o.Reference = strings.Replace(o.Reference, "greenhouse", "quota", 1) // which is no word of the registry
			_, err := oci.Push(t.Context(), o)
			if got, detail := publishtest.Reason(t, err); got != tt.reason || !strings.Contains(detail, tt.detail) {
				t.Errorf("%s: %s", got, detail)
			}
			ref, err := parse(o.Reference)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := remote.Head(ref); err == nil {
				t.Error("the tag is there, though its blobs are not")
			}
		})
	}
}

// What Harbor and Quay say when a quota is used up.
const (
	harborFull = "Quota exceeded when processing the request of adding 2.0 MiB of storage resource, which when updated to current usage of 1023.0 MiB will exceed the configured upper limit of 1.0 GiB."
	quayFull   = "Quota has been exceed on namespace"
)

func denied(detail string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, `{"errors": [{"code": "DENIED", "message": %q}]}`, detail)
	}
}

func parse(s string) (name.Reference, error) { return name.ParseReference(s, name.Insecure) }

// login wraps a registry such that it wants the user "ci" with a password, by Basic
// authentication or by a token that its own token service gives for the scope. As that of
// Quay it makes a repository for whoever wants to push there, and shows none before.
func login(kind string) func(http.Handler) http.Handler {
	const password, token = "secret-password", "secret-token"
	var exists atomic.Bool
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, given, _ := r.BasicAuth()
			right := user == "ci" && given == password
			switch {
			case r.URL.Path == "/token":
				q := r.URL.Query()
				if !right || q.Get("service") != "registry" {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				if slices.Contains(q["scope"], "repository:acme/greenhouse:pull,push") {
					exists.Store(true)
				}
				if !exists.Load() {
					_ = json.NewEncoder(w).Encode(map[string]string{"token": "secret-of-no-use"})
					return
				}
				_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
			case kind == "basic" && right, kind == "token" && r.Header.Get("Authorization") == "Bearer "+token:
				next.ServeHTTP(w, r)
			case kind == "basic":
				w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
				w.WriteHeader(http.StatusUnauthorized)
			default:
				actions := "pull,push"
				if r.Method == http.MethodGet || r.Method == http.MethodHead {
					actions = "pull"
				}
				w.Header().Set(
					"WWW-Authenticate",
					fmt.Sprintf(
						`Bearer realm="http://%s/token",service="registry",scope="repository:acme/greenhouse:%s"`,
						r.Host,
						actions,
					),
				)
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
	}
}

// dockerConfig writes a docker configuration for a host, and returns its folder.
func dockerConfig(t *testing.T, host, user, password string) string {
	t.Helper()
	dir := t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	if err := os.WriteFile(
		filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, host, auth), 0o600,
	); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRegistriesThatWantALogin(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"basic", "token"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			host := serve(t, login(kind))
			old := t.TempDir() // as the Secrets of old installations are
			for file, content := range map[string]string{"user": "ci\n", "token": "secret-password\n"} {
				if err := os.WriteFile(filepath.Join(old, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for name, tt := range map[string]struct {
				credentials string
				want        build.Reason
			}{
				"with the password":   {dockerConfig(t, host, "ci", "secret-password"), ""},
				"with user and token": {old, ""},
				"with a wrong password": {
					dockerConfig(t, host, "ci", "secret-but-wrong"),
					build.ReasonRegistryAuthFailed,
				},
				"with that of another host": {
					dockerConfig(t, "registry.example.org", "ci", "secret-password"),
					build.ReasonRegistryAuthFailed,
				},
				"without":                         {"", build.ReasonRegistryAuthFailed},
				"with a folder that is not there": {filepath.Join(old, "none"), build.ReasonRegistryAuthFailed},
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					var said strings.Builder
					o := options(t, host, "latest", firmware)
					o.Credentials, o.Log = tt.credentials, &said
					_, err := oci.Push(t.Context(), o)
					got, detail := publishtest.Reason(t, err)
					if got != tt.want {
						t.Errorf("%s: %s", got, detail)
					}
					if text := said.String() + detail + fmt.Sprint(err); strings.Contains(text, "secret") {
						t.Errorf("a secret is in what it says: %s", text)
					}
				})
			}
		})
	}
}

func TestACertificateOfOnesOwn(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(srv.Close)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(
		ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600,
	); err != nil {
		t.Fatal(err)
	}
	o := options(t, strings.TrimPrefix(srv.URL, "https://"), "latest", firmware)
	o.PlainHTTP = false
	_, err := oci.Push(t.Context(), o)
	if got, detail := publishtest.Reason(
		t,
		err,
	); got != build.ReasonRegistryPushFailed ||
		!strings.Contains(detail, "certificate") {
		t.Errorf("%s: %s", got, detail)
	}
	o.TrustedCA = ca
	if _, err := oci.Push(t.Context(), o); err != nil {
		t.Error(err)
	}
}

// TestAnUploadIsNotSentElsewhere: a registry names the place of an upload, and could
// have the credentials sent there.
func TestAnUploadIsNotSentElsewhere(t *testing.T) {
	t.Parallel()
	var stolen atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	t.Cleanup(thief.Close)
	elsewhere := strings.Replace(thief.URL, "127.0.0.1", "localhost", 1)
	host := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Location", elsewhere+"/upload")
			w.WriteHeader(http.StatusAccepted)
		})
	})
	o := options(t, host, "latest", firmware)
	o.Credentials = dockerConfig(t, host, "ci", "secret-password")
	_, err := oci.Push(t.Context(), o)
	if got, detail := publishtest.Reason(t, err); got != build.ReasonRegistryPushFailed || stolen.Load() != 0 {
		t.Errorf("%s: %s; %d requests went elsewhere", got, detail, stolen.Load())
	}
}

func TestTheTagsMoveLast(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var puts []string
	host := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				mu.Lock()
				puts = append(puts, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
				mu.Unlock()
			}
			next.ServeHTTP(w, r)
		})
	})
	o := options(t, host, "latest", firmware)
	attach(t, &o, "firmware.elf", "symbols")
	if _, err := oci.Push(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	n := len(puts)
	if n < 6 || !slices.Contains(puts[n-2:], "latest") || !slices.Contains(puts[n-2:], "4f1c2ab") {
		t.Errorf("the order is %v", puts)
	}
}

func attach(t *testing.T, o *oci.Options, file, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(o.Root, file), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Attachments = append(o.Attachments, file)
}

// TestAttachmentsReferToTheFirmware with registries that have the API for that, and
// with those that keep such references under a tag.
func TestAttachmentsReferToTheFirmware(t *testing.T) {
	t.Parallel()
	for _, supported := range []bool{true, false} {
		t.Run(fmt.Sprintf("supported %t", supported), func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(
				registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(supported)),
			)
			t.Cleanup(srv.Close)
			o := options(t, strings.TrimPrefix(srv.URL, "http://"), "latest", firmware)
			attach(t, &o, "firmware.elf", "symbols")
			attach(t, &o, "firmware.map", "map")
			checkAttachments(t, o)
		})
	}
}

func checkAttachments(t *testing.T, o oci.Options) {
	t.Helper()
	var digest string
	for range 2 { // the second push changes nothing
		res, err := oci.Push(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		digest = res.Digest
	}
	ref, err := parse(strings.TrimSuffix(o.Reference, ":latest") + "@" + digest)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Referrers(ref.(name.Digest))
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil || len(list.Manifests) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	img, err := remote.Image(ref.Context().Digest(list.Manifests[0].Digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := img.RawManifest()
	if err != nil || !strings.Contains(string(raw), `"artifactType":"`+oci.ArtifactTypeFiles+`"`) {
		t.Errorf("%s %v", raw, err)
	}
	var titles []string
	for _, l := range m.Layers {
		titles = append(titles, l.Annotations["org.opencontainers.image.title"])
	}
	if !slices.Equal(titles, o.Attachments) {
		t.Errorf("attached are %v", titles)
	}
}

func TestAnAttachmentThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	o := options(t, serve(t, nil), "latest", firmware)
	o.Attachments = []string{"firmware.elf"}
	_, err := oci.Push(t.Context(), o)
	if got, detail := publishtest.Reason(
		t,
		err,
	); got != build.ReasonArtifactNotFound ||
		!strings.Contains(detail, "firmware.elf") {
		t.Errorf("%s: %s", got, detail)
	}
}

func TestTheSizeBudget(t *testing.T) {
	t.Parallel()
	o := options(t, serve(t, nil), "latest", firmware)
	o.MaxSize = int64(len(firmware))
	if _, err := oci.Push(t.Context(), o); err != nil {
		t.Error(err)
	}
	o.MaxSize -= 3
	_, err := oci.Push(t.Context(), o)
	if got, detail := publishtest.Reason(
		t,
		err,
	); got != build.ReasonArtifactInvalid ||
		!strings.Contains(detail, "it has 20 bytes, 3 more than the 17 that artifact.maxSize allows") {
		t.Errorf("%s: %s", got, detail)
	}
}

// TestAFileThatChangesIsNotPublished: something of the builder may still run.
func TestAFileThatChangesIsNotPublished(t *testing.T) {
	t.Parallel()
	var o oci.Options
	host := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				if err := os.WriteFile(filepath.Join(o.Root, "fw.bin"), []byte("AJOUR DEMO FIRMWARE\n"), 0o600); err != nil {
					t.Error(err)
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	o = options(t, host, "latest", firmware)
	_, err := oci.Push(t.Context(), o)
	if got, detail := publishtest.Reason(
		t,
		err,
	); got != build.ReasonArtifactInvalid ||
		!strings.Contains(detail, "changed while it was read") {
		t.Errorf("%s: %s", got, detail)
	}
}

// TestAFileWithTwoNamesInsideIsFine: compilers link what they made.
func TestAFileWithTwoNamesInsideIsFine(t *testing.T) {
	t.Parallel()
	o := options(t, serve(t, nil), "latest", firmware)
	if err := errors.Join(
		os.Mkdir(filepath.Join(o.Root, "deps"), 0o700),
		os.Link(filepath.Join(o.Root, "fw.bin"), filepath.Join(o.Root, "deps", "fw-1234")),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := oci.Push(t.Context(), o); err != nil {
		t.Error(err)
	}
}
