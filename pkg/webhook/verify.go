// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// minSecret is the length of the shortest secret in bytes: a shorter one could be guessed.
const minSecret = 16

// maxSkew is how old a signature that has a time may be, as Standard Webhooks recommend.
const maxSkew = 5 * time.Minute

// signingPrefix begins a signing token of GitLab; the key stands behind it in base64.
const signingPrefix = "whsec_"

// Signed reports whether a delivery has any of the headers that [Verify] reads.
func Signed(h http.Header) bool {
	for _, name := range []string{
		"X-Hub-Signature-256", "X-Hub-Signature", "X-Forgejo-Signature", "X-Gitea-Signature", "Webhook-Signature",
		"X-Gitlab-Token",
	} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

// Verify reports whether one of the secrets has signed a delivery. The first of these headers
// that it has decides:
//
//   - X-Hub-Signature-256 of GitHub, and X-Hub-Signature where that has SHA-256, as Bitbucket's
//     has: "sha256=" and the HMAC of the body in hexadecimal digits;
//   - X-Forgejo-Signature and X-Gitea-Signature: the same without the prefix;
//   - webhook-signature of GitLab with a signing token, as Standard Webhooks define it;
//   - X-Gitlab-Token: the secret itself.
//
// An HMAC by SHA-1, and a secret of fewer than 16 bytes, count for nothing.
func Verify(secrets []string, h http.Header, body []byte, now time.Time) bool {
	valid := false
	for _, secret := range secrets {
		if len(secret) >= minSecret && verify(secret, h, body, now) {
			valid = true
		}
	}
	return valid
}

func verify(secret string, h http.Header, body []byte, now time.Time) bool {
	hub := h.Get("X-Hub-Signature-256")
	if old := h.Get("X-Hub-Signature"); hub == "" && strings.HasPrefix(old, "sha256=") {
		hub = old
	}
	bare := cmp.Or(h.Get("X-Forgejo-Signature"), h.Get("X-Gitea-Signature"))
	standard, token := h.Get("Webhook-Signature"), h.Get("X-Gitlab-Token")
	switch {
	case hub != "":
		digits, ok := strings.CutPrefix(hub, "sha256=")
		return ok && signed([]byte(secret), digits, body)
	case bare != "":
		return signed([]byte(secret), bare, body)
	case standard != "":
		return signedByTime(secret, h, standard, body, now)
	default:
		return token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(secret)) == 1
	}
}

// signed reports whether hexadecimal digits are the HMAC of a body.
func signed(key []byte, digits string, body []byte) bool {
	mac, err := hex.DecodeString(digits)
	return err == nil && hmac.Equal(mac, sum(key, body))
}

// signedByTime checks a signature of Standard Webhooks: one or more of "v1," and base64, over id,
// time and body.
func signedByTime(secret string, h http.Header, signatures string, body []byte, now time.Time) bool {
	seconds, err := strconv.ParseInt(h.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > maxSkew {
		return false
	}
	key := []byte(secret)
	if text, ok := strings.CutPrefix(secret, signingPrefix); ok {
		if key, err = base64.StdEncoding.DecodeString(text); err != nil || len(key) < minSecret {
			return false
		}
	}
	want := sum(key, []byte(h.Get("Webhook-Id")), []byte("."), []byte(h.Get("Webhook-Timestamp")), []byte("."), body)
	for signature := range strings.FieldsSeq(signatures) {
		text, ok := strings.CutPrefix(signature, "v1,")
		if mac, err := base64.StdEncoding.DecodeString(text); ok && err == nil && hmac.Equal(mac, want) {
			return true
		}
	}
	return false
}

func sum(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}
