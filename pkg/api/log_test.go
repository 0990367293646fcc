// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/api"
	"github.com/drogue-iot/ajour/pkg/build"
)

// logged is a build that failed, and what its steps printed.
func logged() *world {
	w := newWorld()
	w.runs = manyRuns()
	w.runs[2].Steps = []build.Step{
		{Name: "fetch-source", State: build.StepSucceeded}, {Name: "build-firmware", State: build.StepFailed, ExitCode: 2},
	}
	w.output = [][2]string{
		{"fetch-source", "at 4f1c2ab\n"}, {"build-firmware", "[1/2] a\r[2/2] b\r\n<b>\xff\n\nend"},
	}
	return w
}

func logPath(w *world) string { return api.Prefixes[0] + "/builds/" + w.runs[2].ID + "/log" }

func TestALogAsText(t *testing.T) {
	t.Parallel()
	w := logged()
	for query, want := range map[string]string{
		"":                              "== fetch-source\nat 4f1c2ab\n== build-firmware\n" + w.output[1][1],
		"?step=fetch-source":            "at 4f1c2ab\n",
		"?step=build-firmware&offset=8": "[2/2] b\r\n<b>\xff\n\nend",
		"?step=fetch-source&offset=99":  "",
	} {
		res := w.call(t, "read", http.MethodGet, logPath(w)+query)
		if got := body(t, res); got != strings.TrimSuffix(want, "\n") && got != want || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %q", query, res.Status, got)
		}
	}
	res := w.call(t, "read", http.MethodGet, logPath(w)+"?download=1")
	if got := res.Header.Get("Content-Disposition"); got != "attachment; filename=app-00000002.log" {
		t.Error(got)
	}
}

func TestALogAsLines(t *testing.T) {
	t.Parallel()
	w := logged()
	const end = `{"end":true,"step":"build-firmware","state":"Failed","exitCode":2,"phase":"Failed"}`
	for query, want := range map[string][]string{
		"?step=build-firmware": {
			`{"step":"build-firmware","n":1,"o":0,"line":"[1/2] a","cr":true}`,
			`{"step":"build-firmware","n":1,"o":8,"line":"[2/2] b"}`,
			`{"step":"build-firmware","n":2,"o":17,"line":"<b>\ufffd"}`,
			`{"step":"build-firmware","n":3,"o":22,"line":""}`,
			`{"step":"build-firmware","n":4,"o":23,"line":"end"}`, end,
		},
		"?step=build-firmware&offset=18": {
			`{"step":"build-firmware","n":3,"o":22,"line":""}`, `{"step":"build-firmware","n":4,"o":23,"line":"end"}`, end,
		},
		"?tail=9": {
			`{"step":"fetch-source","line":"at 4f1c2ab"}`, `{"step":"build-firmware","line":"[1/2] a","cr":true}`,
			`{"step":"build-firmware","line":"[2/2] b"}`, `{"step":"build-firmware","line":"<b>\ufffd"}`,
			`{"step":"build-firmware","line":""}`, `{"step":"build-firmware","line":"end"}`,
			`{"end":true,"step":"fetch-source","state":"Succeeded","phase":"Failed"}`, end,
		},
	} {
		res := w.call(t, "read", http.MethodGet, logPath(w)+query, "Accept", "application/x-ndjson")
		got := strings.Split(strings.TrimSpace(body(t, res)), "\n")
		if diff := cmp.Diff(want, got); diff != "" || res.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Error(query, diff)
		}
	}
	w.output = [][2]string{{"build-firmware", "2026-11-25T10:01:12.1Z a\n2026-11-25T10:01:13Z b\rc\nfailed to read\n"}}
	res := w.call(
		t, "read", http.MethodGet, logPath(w)+"?step=build-firmware&timestamps=true", "Accept", "application/x-ndjson",
	)
	want := []string{
		`{"step":"build-firmware","n":1,"o":0,"t":"2026-11-25T10:01:12.1Z","line":"a"}`,
		`{"step":"build-firmware","n":2,"o":2,"t":"2026-11-25T10:01:13Z","line":"b","cr":true}`,
		`{"step":"build-firmware","n":2,"o":4,"t":"2026-11-25T10:01:13Z","line":"c"}`,
		`{"step":"build-firmware","n":3,"o":6,"line":"failed to read"}`, end,
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(body(t, res)), "\n")); diff != "" {
		t.Error(diff)
	}
}

// shortened is output of which a part is left out.
type shortened struct {
	io.Reader

	left build.LeftOut
}

// LeftOut implements build.Shortened.
func (s shortened) LeftOut() *build.LeftOut { return &s.left }

// TestTheEndOfALogSaysWhatIsLeftOut of each step, and a build what is there of it.
func TestTheEndOfALogSaysWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	w := logged()
	w.wrap = func(step string, output io.Reader) io.Reader {
		if step == "build-firmware" {
			return shortened{output, build.LeftOut{16000, 900000}}
		}
		return output
	}
	w.runs[2].Log = &build.Log{Bytes: 17000}
	w.runs[2].Committed = time.Date(2026, 11, 20, 9, 30, 0, 0, time.FixedZone("", 3600))
	res := w.call(t, "read", http.MethodGet, logPath(w), "Accept", "application/x-ndjson")
	got := strings.Split(strings.TrimSpace(body(t, res)), "\n")
	want := []string{
		`{"end":true,"step":"fetch-source","state":"Succeeded","phase":"Failed"}`,
		`{"end":true,"step":"build-firmware","state":"Failed","exitCode":2,"truncated":[16000,900000],"phase":"Failed"}`,
	}
	if diff := cmp.Diff(want, got[len(got)-2:]); diff != "" {
		t.Error(diff)
	}
	res = w.call(t, "read", http.MethodGet, strings.TrimSuffix(logPath(w), "/log"))
	if text := body(t, res); !strings.Contains(text, `"log":{"bytes":17000,"gone":false}`) ||
		!strings.Contains(text, `"committed":"2026-11-20T08:30:00Z"`) {
		t.Error(text)
	}
}

// TestShortLinesAreSentAtOnce, with their times, though nothing may come after them for long.
func TestShortLinesAreSentAtOnce(t *testing.T) {
	t.Parallel()
	for query, output := range map[string]string{
		"?step=build-firmware&timestamps=true": "2026-11-25T10:01:12Z a\n2026-11-25T10:01:13Z b\n",
		"?step=build-firmware":                 "a\nb\n",
	} {
		w := logged()
		w.output = [][2]string{{"build-firmware", output}}
		rest, end := io.Pipe()
		stop := time.AfterFunc(10*time.Second, func() { _ = end.Close() }).Stop
		w.wrap = func(_ string, output io.Reader) io.Reader { return io.MultiReader(output, rest) }
		res := w.call(t, "read", http.MethodGet, logPath(w)+query, "Accept", "application/x-ndjson")
		lines := bufio.NewScanner(res.Body)
		for _, want := range []string{`"line":"a"}`, `"line":"b"}`} {
			if !lines.Scan() || !strings.HasSuffix(lines.Text(), want) {
				t.Errorf("%s: %q instead of %s", query, lines.Text(), want)
			}
		}
		if !stop() {
			t.Errorf("%s: the lines were sent at the end of the log", query)
		}
		_ = end.Close()
	}
}

func TestLogsThatAreRefused(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"?step=compile":       "The build has no step \"compile\": use one of fetch-source, build-firmware",
		"?offset=5":           "The parameter offset is for one step: set step, and no tail",
		"?tail=-1":            "The parameter tail is not a number: use 0 or more",
		"?follow=yes":         "The parameter follow is neither true nor false",
		"?lines=5":            `The parameter "lines" is not known: use step, offset, tail, timestamps, follow, download`,
		"?timestamps=perhaps": "The parameter timestamps is neither true nor false",
		"?step=fetch-source&offset=5&timestamps=true": "The parameter offset counts bytes without times: " +
			"ask for application/x-ndjson",
	} {
		w := logged()
		res := w.call(t, "read", http.MethodGet, logPath(w)+query)
		var p api.Problem
		if err := json.Unmarshal([]byte(body(t, res)), &p); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusBadRequest || p.Detail != want {
			t.Errorf("%s: %s %s", query, res.Status, p.Detail)
		}
	}
	w := logged()
	w.fail["log"] = build.ErrLogGone
	if res := w.call(t, "read", http.MethodGet, logPath(w)); res.StatusCode != http.StatusGone {
		t.Error(res.Status)
	}
	w.fail["log"] = errors.New("away")
	if res := w.call(t, "read", http.MethodGet, logPath(w)); res.StatusCode != http.StatusServiceUnavailable {
		t.Error(res.Status)
	}
}

func FuzzPieces(f *testing.F) {
	f.Add([]byte("a\nb\r\nc\rd"))
	f.Add([]byte("\r\r\n\n"))
	f.Add([]byte(strings.Repeat("x", 70<<10) + "\ny"))
	f.Fuzz(func(t *testing.T, output []byte) {
		text, number, next := string(output), 1, int64(0)
		var rebuilt strings.Builder
		err := api.Pieces(strings.NewReader(text), false, func(line int, offset int64, piece string, lone, cut bool) {
			if line < number || offset < next || offset > int64(len(text)) {
				t.Errorf("line %d at %d after line %d at %d", line, offset, number, next)
			}
			number, next = line, offset+1
			if cut {
				beyond := text[offset+int64(len(piece)):]
				piece += beyond[:strings.IndexAny(beyond+"\n", "\r\n")]
			}
			if rebuilt.WriteString(piece); lone {
				rebuilt.WriteByte('\r')
			} else {
				rebuilt.WriteByte('\n')
			}
		})
		want := strings.ReplaceAll(text, "\r\n", "\n")
		if want = strings.TrimSuffix(want, "\n"); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		if got := strings.TrimSuffix(rebuilt.String(), "\n"); got != want && got != want+"\n" {
			t.Errorf("%q became %q", want, got)
		}
	})
}
