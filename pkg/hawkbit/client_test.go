// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbit_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/drogue-iot/ajour/pkg/hawkbit"
)

// answers is a server that always says the same.
type answers struct {
	status int
	body   []byte
}

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status,
		Header:     http.Header{},
		Body:       io.NopCloser(bytes.NewReader(a.body)),
		Request:    r,
	}, nil
}

// FuzzAnswers: whatever a server says, the client comes back, with an error for what
// is no success.
func FuzzAnswers(f *testing.F) {
	f.Add(200, []byte(`{"content":[{"id":1,"name":"a","version":"1","type":"os"}]}`))
	f.Add(
		409,
		[]byte(
			`{"exceptionClass":"x","errorCode":"hawkbit.server.error.repo.entityAlreadyExists","message":"The given entity already exists in database"}`,
		),
	)
	f.Add(400, []byte(`<html>`))
	f.Add(404, []byte(nil))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 499 || status == http.StatusTooManyRequests { // others are retried, for long
			return
		}
		c, err := hawkbit.New(
			hawkbit.Config{URL: "https://hawkbit.example.org", HTTP: &http.Client{Transport: answers{status, body}}},
		)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = c.FindModule(t.Context(), "a", "1")
		_, errSet := c.CreateSet(t.Context(), "a", "1", 1)
		_, errActions := c.Actions(t.Context(), "x", 1)
		for _, err := range []error{err, errSet, errActions} {
			if status > 299 && !hawkbit.Is(err, status) {
				t.Errorf("%d: %v", status, err)
			}
		}
	})
}

func TestAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "hawkbit:8080", "ftp://h", "https://", "https://user:password@h", "https://h?x=1", "https://h%zz"} {
		if _, err := hawkbit.New(hawkbit.Config{URL: url}); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}
