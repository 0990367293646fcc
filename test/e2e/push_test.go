// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gcr "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/drogue-iot/ajour/test/devtest"
	"github.com/drogue-iot/ajour/test/servers"
)

const gitea = "http://gitea.ajour-test.svc.cluster.local"

// TestAPushIsBuilt: a real forge calls the webhook of the installation, and shows on the commit how
// its build ended. Secrets that come later than the services count without a restart.
func TestAPushIsBuilt(t *testing.T) {
	t.Parallel()
	token := startGitea(t)
	w, app := start(t), name(t)
	f := forge{t, token}
	f.call(http.MethodPost, "/user/repos", map[string]any{"name": app, "default_branch": "main"}, nil)
	uri := gitea + "/" + servers.User + "/" + app + ".git"
	path := w.create(app, "", devtest.Spec(
		uri, ":latest", images+"/shell:latest", []string{"cp main.c firmware.bin"}, func(b map[string]any) {
			b["source"] = map[string]any{"git": map[string]any{"uri": uri, "rev": "main", "project": "."}}
			b["triggers"] = []string{"push"}
		},
	))
	secret := hook(t, app)
	patch(t, "webhooks", app, secret.Secret)
	patch(t, "commit-status", "gitea.ajour-test.svc.cluster.local", token)
	f.awaitHook(app, secret.Secret)
	f.call(http.MethodPost, "/repos/"+servers.User+"/"+app+"/hooks", map[string]any{
		"type": "gitea", "active": true, "events": []string{"push"},
		"config": map[string]string{"url": secret.URL, "content_type": "json", "secret": secret.Secret},
	}, nil)
	commit := f.push(app, map[string]string{"main.c": "pushed"})
	o := w.await(path, "")
	b := o.Status.Build
	if b.Reason != "Succeeded" || b.Commit != commit || b.Cause != "push" {
		t.Fatalf("%+v", b)
	}
	firmware, _, err := devtest.Pull(b.Artifact.Reference)
	if diff := cmp.Diff("pushed", string(firmware)); diff != "" || err != nil {
		t.Error(err, diff)
	}
	ctx, stop := context.WithTimeout(t.Context(), within)
	defer stop()
	for {
		var list []struct{ Context, Status, Description string }
		f.call(http.MethodGet, "/repos/"+servers.User+"/"+app+"/commits/"+commit+"/statuses?sort=recentupdate", nil, &list)
		if len(list) > 0 && list[0].Context == "ajour/"+app && list[0].Status == "success" &&
			strings.HasPrefix(list[0].Description, "Build "+b.Build+" succeeded") {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%+v", list)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// startGitea runs the forge in the cluster, and returns a token of its user.
func startGitea(t *testing.T) (token string) {
	t.Helper()
	manifest, err := os.ReadFile("gitea/gitea.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const namespace = "--namespace=ajour-test"
	run := func(stdin string, args ...string) string {
		t.Helper()
		out, err := kubectl(t.Context(), stdin, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run(strings.ReplaceAll(string(manifest), "image: IMAGE", "image: "+giteaImage(t)), "apply", "--filename=-")
	t.Cleanup(func() {
		_, _ = kubectl(
			context.WithoutCancel(t.Context()),
			"",
			namespace,
			"delete",
			"deployment,service",
			"gitea",
			"--wait=false",
		)
	})
	if _, err := kubectl(t.Context(), "", namespace, "rollout", "status", "--timeout=2m", "deployment/gitea"); err != nil {
		pods, _ := kubectl(t.Context(), "", namespace, "describe", "pods", "--selector=app=gitea")
		log, _ := kubectl(t.Context(), "", namespace, "logs", "--selector=app=gitea", "--tail=50")
		t.Fatal(err, pods, log)
	}
	awaitService(t, gitea+"/api/v1/version")
	out := run(
		"", namespace, "exec", "deployment/gitea", "--", "gitea", "--config", "/data/app.ini", "admin", "user",
		"generate-access-token", "--username", servers.User, "--scopes", "write:repository,write:user", "--raw",
	)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// giteaImage pushes the image of the forge, which stands on the one with git.
func giteaImage(t *testing.T) string {
	t.Helper()
	program, err := servers.GiteaProgram()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "gitea.tar")
	if err := archive(file, program); err != nil {
		t.Fatal(err)
	}
	from, err := gcr.ParseReference(images+"/git:latest", gcr.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(from)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if img, err = mutate.AppendLayers(img, layer); err != nil {
		t.Fatal(err)
	}
	to, err := gcr.ParseReference(images+"/gitea:latest", gcr.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(to, img); err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return to.Context().Name() + "@" + digest.String()
}

// archive writes the program of the forge, and the files that it needs.
func archive(file, program string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	w := tar.NewWriter(out)
	add := func(path, name string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: "gitea/" + name, Mode: 0o755, Size: int64(len(data))}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	}
	if err := add(program, "gitea"); err != nil {
		return err
	}
	source := filepath.Join(filepath.Dir(program), "source")
	for _, dir := range []string{"templates", "options", "public"} {
		if err := filepath.WalkDir(filepath.Join(source, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			name, err := filepath.Rel(source, path)
			if err != nil {
				return err
			}
			return add(path, name)
		}); err != nil {
			return err
		}
	}
	return w.Close()
}

// described is what "ajour hook" prints.
type described struct{ URL, Secret string }

func hook(t *testing.T, app string) (d described) {
	t.Helper()
	out, err := exec.CommandContext(
		t.Context(), "../../bin/ajour", "hook", app, "--url="+api, "--output=json",
	).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// patch sets a key of a Secret of the services, as docs/push.md says.
func patch(t *testing.T, secret, key, value string) {
	t.Helper()
	data, err := json.Marshal(map[string]any{"stringData": map[string]string{key: value}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kubectl(
		t.Context(),
		"",
		"--namespace=ajour",
		"patch",
		"secret",
		secret,
		"--patch="+string(data),
	); err != nil {
		t.Fatal(err)
	}
}

// forge calls the API of Gitea.
type forge struct {
	t     *testing.T
	token string
}

func (f forge) call(method, path string, body, into any) {
	f.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		f.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(f.t.Context(), method, gitea+"/api/v1"+path, bytes.NewReader(data))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "token "+f.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		f.t.Fatalf("%s %s: %s %s %v", method, path, res.Status, text, err)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(text, into); err != nil {
		f.t.Fatal(err)
	}
}

// push commits files to the branch main, and returns the commit.
func (f forge) push(repository string, files map[string]string) string {
	f.t.Helper()
	dir := f.t.TempDir()
	git := func(args ...string) string {
		f.t.Helper()
		cmd := exec.CommandContext(f.t.Context(), "git", append([]string{
			"-c", "http.proxy=" + os.Getenv("HTTP_PROXY"), "-c", "init.defaultBranch=main", "-c", "user.name=a",
			"-c", "user.email=a@example.org", "-C", dir,
		}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			f.t.Fatalf("git %v: %v %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet")
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	git("add", "--all")
	git("commit", "--quiet", "--message=First")
	remote := strings.Replace(gitea, "://", "://"+servers.User+":"+f.token+"@", 1)
	git("push", "--quiet", remote+"/"+servers.User+"/"+repository+".git", "HEAD:main")
	return git("rev-parse", "HEAD")
}

// awaitHook waits until every replica of the api knows the secret of an application: the kubelet
// takes a minute.
func (f forge) awaitHook(app, secret string) {
	f.t.Helper()
	ctx, stop := context.WithTimeout(f.t.Context(), within)
	defer stop()
	for inARow := 0; inARow < 20; {
		req, err := http.NewRequestWithContext(
			ctx, http.MethodPost, api+devtest.Builds+"/hooks/"+app, strings.NewReader("{}"),
		)
		if err != nil {
			f.t.Fatal(err)
		}
		req.Header.Set("X-Gitlab-Event", "Test")
		req.Header.Set("X-Gitlab-Token", secret)
		req.Close = true // the next one may go to a different replica
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			f.t.Fatal(err)
		}
		res.Body.Close()
		if inARow++; res.StatusCode == http.StatusOK {
			continue
		}
		inARow = 0
		select {
		case <-ctx.Done():
			f.t.Fatalf("the secret of the webhook is not known: %s", res.Status)
		case <-time.After(time.Second):
		}
	}
}
