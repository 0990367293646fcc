// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// names reads the names of a list answer.
func names(t *testing.T, answer string) []string {
	t.Helper()
	_, body, _ := strings.Cut(answer, " ")
	var list []struct{ Metadata struct{ Name string } }
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	got := []string{}
	for _, o := range list {
		got = append(got, o.Metadata.Name)
	}
	return got
}

func TestContract19Selectors(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a"}}`)
	// The devices of the record: labels as far as its answers tell them.
	for name, labels := range map[string]string{
		"d1": `"a":"1","acme.io/tier":"gold"`, "d2": `"a":"2","b":"x"`, "D3": `"a":"1","k-1":"v","k_2":"v","k.3":"v"`, "d4": ``,
		"Z": `"a":"1","c":"True"`, "_x": `"a":"3"`, "a b": `"a":"a_b.c-d","1a":"x"`, "d10": `"a":"5","A":"1"`, "é": `"a":"7","my-co.io/x":"y"`,
	} {
		r.must(
			"201", "alice", "POST", apps+"/a/devices",
			fmt.Sprintf(`{"metadata":{"application":"a","name":%q,"labels":{%s}}}`, name, labels),
		)
	}
	all := []string{"D3", "Z", "_x", "a b", "d1", "d10", "d2", "d4", "é"}
	a1 := []string{"D3", "Z", "d1"}
	notA1 := []string{"_x", "a b", "d10", "d2", "é"}
	for selector, want := range map[string]any{
		"": all, "a": []string{"D3", "Z", "_x", "a b", "d1", "d10", "d2", "é"}, "!a": []string{"d4"}, "! a": []string{"d4"},
		"a=1": a1, "a = 1": a1, " a=1": a1, "a=1 ": a1, "a!=1": notA1, "a != 1": notA1, "b": []string{"d2"},
		"acme.io/tier": []string{"d1"}, "acme.io/tier=gold": []string{"d1"}, "k-1=v": []string{"D3"}, "k_2=v": []string{"D3"}, "k.3=v": []string{"D3"},
		"1a": []string{"a b"}, "A": []string{"d10"}, "a in (1,2)": []string{"D3", "Z", "d1", "d2"}, "a in (1 ,2)": []string{"D3", "Z", "d1", "d2"},
		"a in(1)": a1, "a  in  (1)": a1, "a in ()": []string{}, "a notin (1)": notA1, "a notin (1,2)": []string{"_x", "a b", "d10", "é"},
		"a=1,acme.io/tier": []string{"d1"}, "a in (1),c": []string{"Z"}, "c=True": []string{"Z"}, "c=true": []string{}, "a=a_b.c-d": []string{"a b"},
		"acme.io/tier in (gold, silver)": []string{"d1"}, "notin": []string{}, "in": []string{}, "in in (1)": []string{},
		"a==1": "==1", "a=": "=", "a=-1": "=-1", "a=é": "=é", "a=1 2": "2", "my-co.io/x": "/x", "my-co.io/x=y": "/x=y", "a=1,": ",", ",": ",",
		"!a=1": "=1", "a>1": ">1", "acme.io/": "/", "/x": "/x", "x/y/z": "/z", "a<>1": "<>1", "a'--": "'--", "%": "%", "9x/y": "/y", "x_y/z": "/z",
	} {
		got := r.do("alice", "GET", apps+"/a/devices?labels="+url.QueryEscape(selector), "")
		switch want := want.(type) {
		case []string:
			if diff := cmp.Diff(want, names(t, got)); diff != "" {
				t.Errorf("%q: %s", selector, diff)
			}
		case string:
			// The record has "acme.io/" as a whole in its message: the rest that
			// could not be read is asked, where it starts is a detail of the parser.
			if !strings.HasPrefix(
				got,
				`400 {"error":"InvalidRequest","message":"ParserError: Unparsable remaining content: '`,
			) ||
				!strings.Contains(got, want) {
				t.Errorf("%q: %s", selector, got)
			}
		}
	}
	for query, want := range map[string]any{
		"limit=2": all[:2], "limit=2&offset=1": all[1:3], "limit=0": []string{}, "offset=8": all[8:], "offset=99": []string{}, "Labels=x&foo=1": all,
		"limit=-1": "400 Query deserialize error", "limit=x": "400 Query deserialize error", "limit=": "400 Query deserialize error",
		"labels=a&labels=b": "400 Query deserialize error: duplicate field `labels`", "limit=9223372036854775808": database,
	} {
		got := r.do("alice", "GET", apps+"/a/devices?"+query, "")
		switch want := want.(type) {
		case []string:
			if diff := cmp.Diff(want, names(t, got)); diff != "" {
				t.Errorf("%s: %s", query, diff)
			}
		case string:
			if !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s", query, got)
			}
		}
	}
}

// TestN19MembersAreReadAsTheyWereWritten by their names, so that a list that is read, changed
// and written back loses nobody.
func TestN19MembersAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"own"}}`)
	const list = `"members":{"":{"role":"reader"},"bob":{"role":"manager"}}}`
	r.must("204", "alice", "PUT", members+"/own/members", "{"+list)
	version := r.get(apps + "/own").Metadata.ResourceVersion
	read := r.do("alice", "GET", members+"/own/members", "")
	if want := `200 {"resourceVersion":"` + version + `",` + list; read != want {
		t.Errorf("got %s, want %s", read, want)
	}
	r.must("204", "alice", "PUT", members+"/own/members", strings.TrimPrefix(read, "200 "))
	r.must("204", "bob", "PUT", apps+"/own", `{"metadata":{"name":"own"}}`)
	for _, user := range []string{"alice", "eve", ""} {
		r.must(
			`409 {"error":"OptimisticLockFailed","message":"Lock failed"}`, user, "PUT", members+"/own/members",
			`{"resourceVersion":"x","members":{}}`,
		)
	}
}

func TestContract111WhoMayDoWhat(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"own"}}`)
	r.must("201", "alice", "POST", apps+"/own/devices", `{"metadata":{"application":"own","name":"d"}}`)
	r.must(
		"204", "alice", "PUT", members+"/own/members",
		`{"members":{"ada":{"role":"admin"},"mia":{"role":"manager"},"rob":{"role":"reader"}}}`,
	)
	app, dev, list := apps+"/own", apps+"/own/devices/d", apps+"/own/devices"
	putApp, putDev := `{"metadata":{"name":"own"}}`, `{"metadata":{"application":"own","name":"d"}}`
	type call struct{ method, path, body string }
	calls := []call{
		{"GET", app, ""},
		{"GET", dev, ""},
		{"GET", list, ""},
		{"PUT", app, putApp},
		{"PUT", dev, putDev},
		{"POST", list, putDev},
		{"GET", members + "/own/members", ""},
	}
	const yes = "2"
	for user, want := range map[string][]string{
		"alice": {yes, yes, yes, yes, yes, conflict, yes},
		"root":  {yes, yes, yes, yes, yes, conflict, yes},
		"ada":   {yes, yes, yes, yes, yes, conflict, yes},
		"mia":   {yes, yes, yes, yes, yes, conflict, notFound},
		"rob":   {yes, yes, yes, noRight, notFound, reference, notFound},
		"eve":   {noRight, notFound, notFound, noRight, notFound, reference, notFound},
		"":      {noRight, notFound, notFound, noRight, notFound, reference, notFound},
		"bad":   {forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden},
	} {
		for i, c := range calls {
			r.must(want[i], user, c.method, c.path, c.body)
		}
	}
	for user, want := range map[string]string{"mia": noRight, "rob": noRight, "eve": noRight, "": noRight} {
		r.must(want, user, "DELETE", app, "")
	}
	r.must("404", "eve", "GET", apps+"/nosuch", "")
	r.must("404", "rob", "GET", list+"/nosuch", "")
	r.must(conflict, "eve", "POST", apps, putApp) // N11: proves existence
	r.must(
		`400 {"error":"BadRequest","message":"Bad request: Username nobody does not exist"}`, "alice", "PUT",
		members+"/own/members", `{"members":{"nobody":{"role":"reader"}}}`,
	)
	r.must(
		"400 Json deserialize error: unknown variant `Reader`", "alice", "PUT", members+"/own/members",
		`{"members":{"bob":{"role":"Reader"}}}`,
	)
	r.must(
		`409 {"error":"OptimisticLockFailed"`,
		"alice",
		"PUT",
		members+"/own/members",
		`{"resourceVersion":"x","members":{}}`,
	)
	r.must("204", "ada", "DELETE", app, "")
}

func TestX9AnOwnerlessApplicationIsEverybodys(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.must("201", "", "POST", apps, `{"metadata":{"name":"free"}}`)
	r.must("200", "eve", "GET", apps+"/free", "")
	r.must("204", "", "PUT", apps+"/free", `{"metadata":{"name":"free","labels":{"a":"b"}}}`)
	for user, want := range map[string][]string{"": {}, "eve": {}, "root": {"free"}} {
		if diff := cmp.Diff(want, names(t, r.do(user, "GET", apps, ""))); diff != "" {
			t.Errorf("%q: %s", user, diff)
		}
	}
}

func TestContract19SharedApplicationsAreCountedThenDropped(t *testing.T) {
	t.Parallel()
	r := serve(t)
	for i, m := range []string{`"":{"role":"reader"}`, `"dave":{"role":"reader"}`, `"dave":{"role":"reader"}`} {
		r.must("201", "alice", "POST", apps, fmt.Sprintf(`{"metadata":{"name":"a%d"}}`, i))
		r.must("204", "alice", "PUT", fmt.Sprintf("%s/a%d/members", members, i), `{"members":{`+m+`}}`)
	}
	for query, want := range map[string][]string{"": {"a1", "a2"}, "?limit=1": {}, "?limit=2": {"a1"}, "?limit=2&offset=1": {"a1", "a2"}} {
		if diff := cmp.Diff(want, names(t, r.do("dave", "GET", apps+query, ""))); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	if diff := cmp.Diff([]string{"a0"}, names(t, r.do("", "GET", apps, ""))); diff != "" {
		t.Error(diff)
	}
	r.must("200", "", "GET", apps+"/a0", "")
	r.must(noRight, "eve", "GET", apps+"/a0", "")
}

func TestContract21Credentials(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a"}}`)
	const pat = "Basic YWxpY2U6cGF0" // alice:pat
	two := `403 {"error":"Forbidden","message":"Invalid request: More than one way of authentication provided"}`
	for _, tt := range []struct{ header, query, want string }{
		{"Bearer alice", "", "200 [{"},
		{pat, "", "200 [{"},
		{"", "?token=alice", "200 [{"},
		{"", "?username=alice&api_key=pat", "200 [{"},
		{"", "", "200 []"},
		{"bearer alice", "", "200 []"},
		{"basic YWxpY2U6cGF0", "", "200 []"},
		{"Token x", "", "200 []"},
		{"Bearer ", "", "200 []"},
		{"Basic !!!", "", "200 []"},
		{"Basic YWxpY2U=", "", "200 []"},
		{"", "?username=alice", "200 []"},
		{"", "?api_key=pat", "200 []"},
		{"Bearer  alice", "", forbidden},
		{"Bearer bad", "", forbidden},
		{"Basic YWxpY2U6eA==", "", forbidden},
		{"", "?token=bad", forbidden},
		{"Bearer alice", "?token=alice", two},
		{pat, "?token=alice", two},
	} {
		r.must(tt.want, tt.header, "GET", apps+tt.query, "")
	}
}

func TestMethodsAndLimits(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a"}}`)
	for path, calls := range map[string]map[string]string{
		apps: {"HEAD": "POST, GET", "PUT": "POST, GET", "DELETE": "POST, GET", "OPTIONS": "POST, GET"},
		apps + "/a": {
			"HEAD":    "GET, PUT, DELETE",
			"POST":    "GET, PUT, DELETE",
			"PATCH":   "GET, PUT, DELETE",
			"OPTIONS": "GET, PUT, DELETE",
		},
	} {
		for method, allow := range calls {
			req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != allow {
				t.Errorf("%s %s: %s %q", method, path, res.Status, res.Header.Get("Allow"))
			}
		}
	}
	body := func(size int) string {
		head, tail := `{"metadata":{"name":"a"},"spec":{"x":"`, `"}}`
		return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	}
	r.must("204", "alice", "PUT", apps+"/a", body(65536))
	r.must(
		"413 JSON payload (65537 bytes) is larger than allowed (limit: 65536 bytes).", "alice", "PUT", apps+"/a",
		body(65537),
	)
	// N2: what was taken may be too large to be written back.
	_, back, _ := strings.Cut(r.do("alice", "GET", apps+"/a", ""), " ")
	r.must("413", "alice", "PUT", apps+"/a", back)
}

func TestX10TheChangeStaysWhenItsEventCannotBeSent(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.setBroken(true)
	r.must(
		`502 {"error":"EventSenderError","message":"Failed to send the event"}`, "alice", "POST", apps,
		`{"metadata":{"name":"a"},"spec":{"x":1}}`,
	)
	r.must("502", "alice", "PUT", apps+"/a", `{"metadata":{"name":"a"},"spec":{"x":2,"y":1}}`)
	r.must(
		"204", "alice", "PUT", apps+"/a", `{"metadata":{"name":"a"},"spec":{"x":2,"y":1}}`,
	) // REG-10: nothing left to send
	r.wantEvents()

	// The process dies here. What it owes is sent by its successor.
	if err := r.reg.Close(); err != nil {
		t.Fatal(err)
	}
	r.setBroken(false)
	r.open()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.reg.Run(ctx) }()
	var got []string
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); len(got) < 3 && time.Now().Before(deadline); <-tick.C {
		got = append(got, r.take()...)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"a . 0", "a .spec.x 1", "a .spec.y 1"}, got); diff != "" {
		t.Error(diff)
	}
	if got := string(r.get(apps + "/a").Spec["x"]); got != "2" {
		t.Errorf("x = %s", got)
	}
}

func FuzzPost(f *testing.F) {
	f.Add(`{"metadata":{"name":"a","labels":{"x":"y"}},"spec":{"n":[1e2,-0,{"b":null}]}}`)
	f.Add(`{"metadata":{"application":"a"}}`)
	f.Fuzz(func(t *testing.T, body string) {
		r := serve(t)
		if got := r.do("alice", "POST", apps, body); !strings.HasPrefix(got, "201") {
			if strings.HasPrefix(got, "500") {
				t.Errorf("%q: %s", body, got)
			}
			return
		}
		listed := names(t, r.do("alice", "GET", apps, ""))
		if len(listed) != 1 {
			t.Fatalf("%q: %v", body, listed)
		}
		_, object, _ := strings.Cut(r.do("alice", "GET", apps+"/"+listed[0], ""), " ")
		if len(object) > 65536 {
			return
		}
		r.take()
		r.must("204", "alice", "PUT", apps+"/"+listed[0], object)
		r.wantEvents() // what was read can be written back without a change
	})
}

func FuzzSelector(f *testing.F) {
	f.Add("a in (1, 2),!b,acme.io/tier=gold,c!=x,d notin ()")
	f.Add("a==1")
	f.Fuzz(func(t *testing.T, selector string) {
		r := serve(t)
		r.must("201", "alice", "POST", apps, `{"metadata":{"name":"a","labels":{"a":"1"}}}`)
		got := r.do("alice", "GET", apps+"?labels="+url.QueryEscape(selector), "")
		if !strings.HasPrefix(got, "200 [") &&
			!strings.HasPrefix(got, `400 {"error":"InvalidRequest","message":"ParserError: `) {
			t.Errorf("%q: %s", selector, got)
		}
	})
}
