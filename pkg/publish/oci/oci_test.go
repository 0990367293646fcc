// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package oci_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/publish/artifact"
	"github.com/drogue-iot/ajour/pkg/publish/oci"
	"github.com/drogue-iot/ajour/pkg/publish/publishtest"
)

// The example of contract 6.4.
const (
	firmware         = "ajour demo firmware\n"
	firmwareChecksum = "09f28671601419cd0bbfad0466a24841e3db78b8d11fe37d0d43196ad8883558"
	firmwareJSON     = `{"version":"4f1c2ab","size":20,"checksum":"` + firmwareChecksum + `"}`
	wantManifest     = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:27fe6ecc247382a869051a7e27149f882dfe13554fed614253c6df6397860279","size":75},` +
		`"layers":[{"mediaType":"application/octet-stream","digest":"sha256:` + firmwareChecksum + `","size":20,"annotations":{"org.opencontainers.image.title":"firmware.bin"}},` +
		`{"mediaType":"application/json","digest":"sha256:81253a199e833c27f482538a7f636ae4880e69128844c30cfdf2fd7a545a9f8a","size":109,"annotations":{"org.opencontainers.image.title":"firmware.json"}}],` +
		`"annotations":{"org.opencontainers.image.revision":"4f1c2ab"}}`
)

func serve(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func options(t *testing.T, host, tag, content string) oci.Options {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "fw.bin"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return oci.Options{
		Firmware:  artifact.Firmware{Root: root, Artifact: "fw.bin", Version: "4f1c2ab"},
		Reference: host + "/acme/greenhouse:" + tag, PlainHTTP: true, Log: io.Discard,
	}
}

// pull reads a manifest with a client of a different make.
func pull(t *testing.T, reference string) (v1.Image, string) {
	t.Helper()
	ref, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	return img, string(raw)
}

func TestTheLayoutIsThatOfTheContract(t *testing.T) {
	t.Parallel()
	host := serve(t, nil)
	o := options(t, host, "latest", firmware)
	got, err := oci.Push(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	img, manifest := pull(t, o.Reference)
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	want := oci.Result{Reference: o.Reference, Digest: digest.String(), Size: 20, SHA256: firmwareChecksum}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(wantManifest, manifest); diff != "" {
		t.Error(diff)
	}
	if _, tagged := pull(t, host+"/acme/greenhouse:4f1c2ab"); tagged != manifest {
		t.Error("the tag of the version names something else")
	}
}

// delivered reads an artifact as the existing update server does (contract 6.1,
// 6.2): the tag is the version, and the first octet-stream layer the firmware.
func delivered(t *testing.T, host, repository, tag string) (version, content, checksum string, size int64) {
	t.Helper()
	get := func(path string) []byte {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/v2/"+repository+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(
			"Accept",
			"application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json",
		)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v", path, res.Status, err)
		}
		return body
	}
	var manifest struct {
		SchemaVersion int
		MediaType     string
		Config        struct{ MediaType, Digest string }
		Layers        []struct {
			MediaType, Digest string
			Size              int64
		}
	}
	if err := json.Unmarshal(get("/manifests/"+tag), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.SchemaVersion != 2 || manifest.MediaType != "application/vnd.oci.image.manifest.v1+json" {
		t.Fatalf("rejected manifest: %+v", manifest)
	}
	for _, layer := range manifest.Layers {
		if layer.MediaType != "application/octet-stream" {
			continue
		}
		bare := strings.TrimPrefix(layer.Digest, "sha256:")
		if _, err := hex.DecodeString(bare); err != nil {
			t.Fatal(err)
		}
		return tag, string(get("/blobs/" + layer.Digest)), bare, layer.Size
	}
	t.Fatal("no firmware layer")
	return "", "", "", 0
}

func TestTheUpdateServerReadsWhatWasPublished(t *testing.T) {
	t.Parallel()
	host := serve(t, nil)
	o := options(t, host, "4f1c2ab", firmware)
	if _, err := oci.Push(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	version, content, checksum, size := delivered(t, host, "acme/greenhouse", "4f1c2ab")
	if version != o.Version || content != firmware || checksum != firmwareChecksum || size != 20 {
		t.Errorf("got %q %q %q %d", version, content, checksum, size)
	}
	img, _ := pull(t, o.Reference)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	r, err := layers[1].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != firmwareJSON {
		t.Errorf("firmware.json is %s, %v", got, err)
	}
}

func TestTheTagOfAVersionNeverMoves(t *testing.T) {
	t.Parallel()
	host := serve(t, nil)
	var first oci.Result
	for _, content := range []string{"one", "one", "two"} {
		r, err := oci.Push(t.Context(), options(t, host, "latest", content))
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if content == "one" {
			first = r
		} else {
			want = "the tag 4f1c2ab names other bytes, " + first.Digest + ", since an earlier build, and is left alone: " +
				"to deliver it is to deliver those"
		}
		if r.Warning != want {
			t.Errorf("%s: %q", content, r.Warning)
		}
	}
	_, pinned, _, _ := delivered(t, host, "acme/greenhouse", "4f1c2ab")
	_, latest, _, _ := delivered(t, host, "acme/greenhouse", "latest")
	if pinned != "one" || latest != "two" {
		t.Errorf("4f1c2ab delivers %q, latest %q", pinned, latest)
	}
}

// TestATagOfADifferentApplicationIsNeverMoved, neither the one that is asked for nor that of the
// version. What was published without a word of its application may be.
func TestATagOfADifferentApplicationIsNeverMoved(t *testing.T) {
	t.Parallel()
	host := serve(t, nil)
	push := func(application, tag, content, version string) (oci.Result, error) {
		o := options(t, host, tag, content)
		o.Application, o.Version = application, version
		return oci.Push(t.Context(), o)
	}
	if _, err := push("", "latest", firmware, "1111111"); err != nil {
		t.Fatal(err)
	}
	first, err := push("greenhouse", "latest", firmware, "2222222")
	if err != nil {
		t.Fatal(err)
	}
	_, manifest := pull(t, host+"/acme/greenhouse:latest")
	if !strings.Contains(manifest, `"io.drogue.ajour.application":"greenhouse"`) {
		t.Error(manifest)
	}
	for _, tt := range []struct{ tag, version string }{{"latest", "3333333"}, {"mine", "2222222"}} {
		_, err := push("tank", tt.tag, "a newer firmware", tt.version)
		reason, message := publishtest.Reason(t, err)
		if reason != build.ReasonRegistryPushFailed || !strings.Contains(message, "of a different application") {
			t.Errorf("%s: %s", reason, message)
		}
	}
	for _, tag := range []string{"latest", "2222222"} {
		img, _ := pull(t, host+"/acme/greenhouse:"+tag)
		if digest, err := img.Digest(); err != nil || digest.String() != first.Digest {
			t.Errorf("%s was moved to %s: %v", tag, digest, err)
		}
	}
	if _, err := push("greenhouse", "latest", "a newer firmware", "4444444"); err != nil {
		t.Error(err)
	}
}

// TestTheSameBytesByAnEarlierManifestAreNoWarning: manifests did not name their application once.
func TestTheSameBytesByAnEarlierManifestAreNoWarning(t *testing.T) {
	t.Parallel()
	host := serve(t, nil)
	o := options(t, host, "latest", firmware)
	for _, application := range []string{"", "greenhouse"} {
		o.Application = application
		got, err := oci.Push(t.Context(), o)
		if err != nil || got.Warning != "" {
			t.Errorf("%+v %v", got, err)
		}
	}
}

func TestRepublishingUploadsNothing(t *testing.T) {
	t.Parallel()
	var writes atomic.Int64
	host := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost || r.Method == http.MethodPut {
				writes.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	})
	o := options(t, host, "latest", firmware)
	first, err := oci.Push(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	before := writes.Load()
	second, err := oci.Push(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" || before == 0 || writes.Load() != before {
		t.Errorf("%d writes, and %d the second time %s", before, writes.Load()-before, diff)
	}
}

func TestARegistryThatRefusesIsQuoted(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet || r.Method == http.MethodHead {
					next.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				fmt.Fprint(w, body)
			})
		}
	}
	problem := func(code, message string) string {
		body, err := json.Marshal(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   build.StepError
	}{
		{
			"the seed's example", 400, problem("UNKNOWN", "foo"),
			build.StepError{Reason: build.ReasonRegistryPushFailed, Message: "Failed pushing artifact to registry: foo"},
		},
		{
			"a missing right", 403, problem("DENIED", "requested access to the resource is denied"),
			build.StepError{Reason: build.ReasonRegistryAuthFailed, Message: "Failed pushing artifact to registry: requested access to the resource is denied: " +
				"check the credentials of the installation for HOST, in the Secret container-registry of its builds"},
		},
		{
			"a full registry", 507, problem("UNKNOWN", "no space left on device\n\x1b[31m"),
			build.StepError{
				Reason:  build.ReasonRegistryPushFailed,
				Message: "Failed pushing artifact to registry: no space left on device [31m (507)",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			host := serve(t, answer(tt.status, tt.body))
			_, err := oci.Push(t.Context(), options(t, host, "latest", firmware))
			var got *build.StepError
			if !errors.As(err, &got) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(
				tt.want,
				build.StepError{Reason: got.Reason, Message: strings.Replace(got.Message, host, "HOST", 1)},
			); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARegistryThatWantsCredentialsIsNamed(t *testing.T) {
	t.Parallel()
	host := serve(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
	})
	_, err := oci.Push(t.Context(), options(t, host, "latest", firmware))
	var got *build.StepError
	if !errors.As(err, &got) || got.Reason != build.ReasonRegistryAuthFailed {
		t.Errorf("got %v", err)
	}
}

// TestAFolderThatTheBuilderReplacedLeadsNowhere: what it started in is below what it can
// write to, and a link there could lead to the credentials of this very step.
func TestAFolderThatTheBuilderReplacedLeadsNowhere(t *testing.T) {
	t.Parallel()
	o := options(t, serve(t, nil), "latest", firmware)
	o.Credentials = dockerConfig(t, "127.0.0.1", "ci", "secret-password")
	folders := map[string]string{"source": o.Credentials, "relative": "../" + filepath.Base(o.Credentials)}
	for folder, target := range folders {
		if err := os.Symlink(target, filepath.Join(o.Root, folder)); err != nil {
			t.Fatal(err)
		}
		for _, below := range []string{folder, folder + "/."} {
			o.Folder, o.Artifact = below, "config.json"
			if _, err := oci.Push(t.Context(), o); err == nil {
				t.Errorf("the credentials were published by way of %s", below)
			}
			o.Folder, o.Artifact, o.Attachments = ".", "fw.bin", []string{below + "/config.json"}
			if _, err := oci.Push(t.Context(), o); err == nil {
				t.Errorf("the credentials were attached by way of %s", below)
			}
			o.Attachments = nil
		}
	}
}

func TestAHostileWorkspaceIsRefused(t *testing.T) {
	t.Parallel()
	host := serve(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s", r.Method, r.URL) })
	})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		prepare func(path string) error
		want    build.Reason
	}{
		{"no file", func(string) error { return nil }, build.ReasonArtifactNotFound},
		{"an empty file", func(p string) error { return os.WriteFile(p, nil, 0o600) }, build.ReasonArtifactInvalid},
		{"a folder", func(p string) error { return os.Mkdir(p, 0o700) }, build.ReasonArtifactInvalid},
		{"a FIFO", func(p string) error { return syscall.Mkfifo(p, 0o600) }, build.ReasonArtifactInvalid},
		{
			"an absolute link out of the folder",
			func(p string) error { return os.Symlink(secret, p) },
			build.ReasonArtifactInvalid,
		},
		{
			"a relative link out of the folder",
			func(p string) error { return os.Symlink("../../../../etc/passwd", p) },
			build.ReasonArtifactInvalid,
		},
		{"a link to a folder", func(p string) error { return os.Symlink(".", p) }, build.ReasonArtifactInvalid},
		{"a socket", func(p string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p, Net: "unix"})
			if err == nil {
				l.SetUnlinkOnClose(false)
				l.Close()
			}
			return err
		}, build.ReasonArtifactInvalid},
		{"a hard link to a file outside", func(p string) error { return os.Link(secret, p) }, build.ReasonArtifactInvalid},
		{"a sparse file of 100 GiB", func(p string) error {
			f, err := os.Create(p)
			if err != nil {
				return err
			}
			return errors.Join(f.Truncate(100<<30), f.Close())
		}, build.ReasonArtifactInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options(t, host, "latest", firmware)
			o.Artifact = "out.bin"
			if err := tt.prepare(filepath.Join(o.Root, "out.bin")); err != nil {
				t.Fatal(err)
			}
			_, err := oci.Push(t.Context(), o)
			var got *build.StepError
			if !errors.As(err, &got) || got.Reason != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
