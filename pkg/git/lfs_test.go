// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/net/dns/dnsmessage"
	certutil "k8s.io/client-go/util/cert"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/git"
	"github.com/drogue-iot/ajour/pkg/git/egress"
	"github.com/drogue-iot/ajour/pkg/git/gittest"
)

// forgeHost has the address 127.0.0.1 for this process alone: what connects to it does so
// by the proxy that a fetch has, since nobody else can resolve it.
const forgeHost = "forge.test"

func TestMain(m *testing.M) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go answer(conn)
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	os.Exit(m.Run())
}

// answer answers questions for names: none exists but the one.
func answer(conn net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.Additionals = true, nil
		switch {
		case q.Name.String() != forgeHost+".":
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}
			m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
		}
		if reply, err := m.Pack(); err == nil {
			_, _ = conn.WriteTo(reply, from)
		}
	}
}

// lfs has objects for those who log in, and says that they are at a different URL.
type lfs struct {
	gittest.LFS

	settings string // of the repository, for git-lfs
}

func (l *lfs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != "ci" || password != "secret" {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	l.LFS.ServeHTTP(w, r)
}

// serveLFS serves a repository with a file in LFS at the host. It returns its URL, and a
// folder of credentials with the CA for it.
func serveLFS(t *testing.T, change func(*lfs)) (uri, folder string) {
	t.Helper()
	s, repo := gittest.Start(t)
	cert, key, err := certutil.GenerateSelfSignedCertKey(forgeHost, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l := &lfs{LFS: gittest.LFS{Handler: s}}
	srv := httptest.NewUnstartedServer(l)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	base := strings.Replace(srv.URL, "127.0.0.1", forgeHost, 1)
	l.Href = base
	if change != nil {
		change(l)
	}
	files := fstest.MapFS{
		".gitattributes": {
			Data: []byte("*.bin filter=lfs diff=lfs merge=lfs -text\n"),
			Mode: 0o644,
		},
		"blob.bin": {Data: l.Add([]byte("a large file")), Mode: 0o644},
	}
	if l.settings != "" {
		files[".lfsconfig"] = &fstest.MapFile{Data: []byte(l.settings), Mode: 0o644}
	}
	if _, err := repo.Commit(t.Context(), "main", files); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("ci", "secret")
	folder = t.TempDir()
	for name, data := range map[string]string{".git-credentials": u.String() + "\n", "ca.crt": string(cert)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return base + repo.Path(), folder
}

// TestFilesInLFSComeThroughTheProxy too, with the same credentials, CA and policy.
func TestFilesInLFSComeThroughTheProxy(t *testing.T) {
	t.Parallel()
	policy := egress.Policy{Schemes: []string{"https"}, Hosts: []string{forgeHost}, Addresses: []string{"127.0.0.0/8"}}
	for name, tt := range map[string]struct {
		href   string
		reason build.Reason
	}{
		"at the forge":             {"", ""},
		"at a host that is denied": {"https://elsewhere.test", build.ReasonInvalidBuildSpec},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uri, folder := serveLFS(t, func(l *lfs) {
				if tt.href != "" {
					l.Href = tt.href
				}
			})
			dir := filepath.Join(t.TempDir(), "source")
			_, err := git.Fetch(t.Context(), git.Options{
				URI:         uri,
				Revision:    "main",
				Path:        ".",
				Dir:         dir,
				Policy:      policy,
				Credentials: folder,
				TrustedCA:   filepath.Join(folder, "ca.crt"),
				Log:         io.Discard,
			})
			var step *build.StepError
			if tt.reason != "" {
				if !errors.As(err, &step) || step.Reason != tt.reason {
					t.Errorf("%v", err)
				}
				return
			}
			data, read := os.ReadFile(filepath.Join(dir, "blob.bin"))
			if err != nil || read != nil || string(data) != "a large file" {
				t.Errorf("%q %v %v", data, err, read)
			}
		})
	}
}

func TestAnObjectThatIsNotGivenIsExplained(t *testing.T) {
	t.Parallel()
	policy := egress.Policy{Schemes: []string{"https"}, Addresses: []string{"127.0.0.0/8"}}
	for status, want := range map[int]struct {
		reason build.Reason
		says   string
	}{
		http.StatusUnauthorized:        {build.ReasonSourceAuthFailed, "could not read Username"},
		http.StatusForbidden:           {build.ReasonSourceAuthFailed, "LFS: Authorization error"},
		http.StatusNotFound:            {build.ReasonSourceNotFound, "LFS: Repository or object not found"},
		http.StatusInternalServerError: {build.ReasonSourceUnavailable, "Server error"},
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			uri, folder := serveLFS(t, func(l *lfs) {
				next := l.Handler
				l.Href += "/broken"
				l.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasPrefix(r.URL.Path, "/broken") {
						w.WriteHeader(status)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			_, err := git.Fetch(t.Context(), git.Options{
				URI: uri, Revision: "main", Path: ".", Dir: filepath.Join(t.TempDir(), "source"), Policy: policy,
				Credentials: folder, TrustedCA: filepath.Join(folder, "ca.crt"), Log: io.Discard,
			})
			var step *build.StepError
			if !errors.As(err, &step) || step.Reason != want.reason || !strings.Contains(step.Message, want.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestARepositorySaysWhereItsLFSIs, and what of it is left out, as git does it.
func TestARepositorySaysWhereItsLFSIs(t *testing.T) {
	t.Parallel()
	policy := egress.Policy{Schemes: []string{"https"}, Hosts: []string{forgeHost}, Addresses: []string{"127.0.0.0/8"}}
	folder := t.TempDir() // a repository that has the object
	if out := inFolder(t, folder, "init", "--quiet", "--bare", "."); out != "" {
		t.Fatal(out)
	}
	secret := fmt.Sprintf("%x", sha256.Sum256([]byte("a large file")))
	objects := filepath.Join(folder, "lfs", "objects", secret[:2], secret[2:4])
	if err := os.MkdirAll(objects, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(objects, secret), []byte("a large file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		settings string // %s is the forge
		want     string // of the file; "" for a failure
	}{
		"elsewhere":            {"[lfs]\n\turl = %s/elsewhere/info/lfs\n", "a large file"},
		"left out":             {"[lfs]\n\turl = %s/broken/info/lfs\n\tfetchexclude = *\n", "version https://git-lfs"},
		"in a local folder":    {"[lfs]\n\turl = file://" + folder + "\n", ""},
		"in a path":            {"[lfs]\n\turl = " + folder + "\n", ""},
		"at a host we refuse":  {"[lfs]\n\turl = https://127.0.0.2:1/info/lfs\n", ""},
		"by a program of ours": {"[lfs]\n\tstandalonetransferagent = sh\n[lfs \"customtransfer.sh\"]\n\tpath = sh\n", "a large file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uri, folder := serveLFS(t, func(l *lfs) {
				l.settings = strings.ReplaceAll(tt.settings, "%s", l.Href)
				next := l.Handler
				l.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.HasPrefix(r.URL.Path, "/broken") {
						w.WriteHeader(http.StatusNotFound)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			dir := filepath.Join(t.TempDir(), "source")
			_, err := git.Fetch(t.Context(), git.Options{
				URI: uri, Revision: "main", Path: ".", Dir: dir, Policy: policy,
				Credentials: folder, TrustedCA: filepath.Join(folder, "ca.crt"), Log: t.Output(),
			})
			data, _ := os.ReadFile(filepath.Join(dir, "blob.bin"))
			var step *build.StepError
			if tt.want == "" && (!errors.As(err, &step) || step.Reason != build.ReasonInvalidBuildSpec) {
				t.Error(err)
			}
			if (err == nil) != (tt.want != "") || err == nil && !strings.HasPrefix(string(data), tt.want) ||
				err != nil && strings.Contains(string(data), "large") {
				t.Errorf("%q %v", data, err)
			}
		})
	}
}
