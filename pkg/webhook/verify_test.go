// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/webhook"
)

const secret = "MFPQ5XOSKJKQ2UYVXCRC4GTIVB"

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func sum(h func() hash.Hash, key []byte, text string) []byte {
	mac := hmac.New(h, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func digits(secret, body string) string {
	return hex.EncodeToString(sum(sha256.New, []byte(secret), body))
}

// standard signs as Standard Webhooks do.
func standard(key []byte, at time.Time, body string) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	return header(
		"Webhook-Id", "id", "Webhook-Timestamp", stamp,
		"Webhook-Signature", "v1a,x v1,"+base64.StdEncoding.EncodeToString(sum(sha256.New, key, "id."+stamp+"."+body)),
	)
}

// TestASignatureIsThatOfTheSecret: each way in which a forge signs, and ways that are none.
func TestASignatureIsThatOfTheSecret(t *testing.T) {
	t.Parallel()
	const body = `{"ref":"refs/heads/main"}`
	key := []byte("a key of 24 bytes, or so")
	token := "whsec_" + base64.StdEncoding.EncodeToString(key)
	right := digits(secret, body)
	sha := "sha1=" + hex.EncodeToString(sum(sha1.New, []byte(secret), body))
	for name, tt := range map[string]struct {
		secrets []string
		header  http.Header
		want    bool
	}{
		"GitHub":                            {[]string{secret}, header("X-Hub-Signature-256", "sha256="+right, "X-Hub-Signature", sha), true},
		"Gitea":                             {[]string{secret}, header("X-Gitea-Signature", right), true},
		"Forgejo":                           {[]string{secret}, header("X-Forgejo-Signature", right), true},
		"Bitbucket":                         {[]string{secret}, header("X-Hub-Signature", "sha256="+right), true},
		"GitLab with a secret token":        {[]string{secret}, header("X-Gitlab-Token", secret), true},
		"GitLab with a signing token":       {[]string{token}, standard(key, now, body), true},
		"GitLab with a signing token as is": {[]string{secret}, standard([]byte(secret), now, body), true},
		"the previous secret":               {[]string{"a new one that is long", secret}, header("X-Gitlab-Token", secret), true},

		"no header":                      {[]string{secret}, header(), false},
		"no secret":                      {nil, header("X-Gitlab-Token", ""), false},
		"an empty secret":                {[]string{""}, header("X-Hub-Signature-256", "sha256="+digits("", body)), false},
		"a short secret":                 {[]string{"short"}, header("X-Gitlab-Token", "short"), false},
		"a wrong secret":                 {[]string{secret}, header("X-Hub-Signature-256", "sha256="+digits("x"+secret, body)), false},
		"a wrong token":                  {[]string{secret}, header("X-Gitlab-Token", secret+"x"), false},
		"a wrong one before a right one": {[]string{secret}, header("X-Hub-Signature-256", "sha256=00", "X-Gitea-Signature", right), false},
		"one that is cut off":            {[]string{secret}, header("X-Hub-Signature-256", "sha256="+right[:32]), false},
		"one without its prefix":         {[]string{secret}, header("X-Hub-Signature-256", right), false},
		"SHA-1 alone":                    {[]string{secret}, header("X-Hub-Signature", sha), false},
		"SHA-1 under the name of SHA-256": {
			[]string{secret}, header("X-Hub-Signature-256", strings.Replace(sha, "sha1", "sha256", 1)), false,
		},
		"an old one":               {[]string{token}, standard(key, now.Add(-6*time.Minute), body), false},
		"one of the future":        {[]string{token}, standard(key, now.Add(6*time.Minute), body), false},
		"one of a different body":  {[]string{token}, standard(key, now, body+" "), false},
		"a key that is no base64":  {[]string{"whsec_ is no base64!"}, standard([]byte("whsec_ is no base64!"), now, body), false},
		"a signing token as token": {[]string{token}, header("Webhook-Signature", "v1,", "X-Gitlab-Token", token), false},
	} {
		if got := webhook.Verify(tt.secrets, tt.header, []byte(body), now); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestSecretsAreReadAsTheyAre: each time anew, one in a line, and of no file but that of the
// application.
func TestSecretsAreReadAsTheyAre(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "webhooks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f := webhook.Folder(dir)
	for _, step := range []struct {
		content, application string
		want                 []string
	}{
		{"", "greenhouse", nil},
		{"first\n", "greenhouse", []string{"first"}},
		{"second\r\nfirst\n\n", "greenhouse", []string{"second", "first"}},
		{"first", "other", nil},
		{"first", "../webhooks/greenhouse", nil},
		{"first", "..", nil},
	} {
		if step.content != "" {
			if err := os.WriteFile(filepath.Join(dir, "greenhouse"), []byte(step.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := f.Secrets(step.application)
		if diff := cmp.Diff(step.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", step.application, err, diff)
		}
	}
	if got, err := webhook.Folder("").Secrets("greenhouse"); len(got) > 0 || err != nil {
		t.Error(got, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Secrets("folder"); err == nil {
		t.Error("what cannot be read is no error")
	}
}
