// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/internal/proxy"
)

func TestSettingsSayWhichProxyAURLGoesThrough(t *testing.T) {
	t.Parallel()
	s := proxy.Settings{HTTPS: "http://a:1", HTTP: "http://b:2", No: "inside.test,10.0.0.0/8"}
	for u, want := range map[string]string{
		"https://outside.test/x": "http://a:1", "ssh://outside.test:22": "http://a:1", "http://outside.test": "http://b:2",
		"https://git.inside.test": "", "http://10.1.2.3": "", "https://127.0.0.1": "", "https://localhost:5000": "",
		"https://not-inside.test": "http://a:1",
	} {
		parsed, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.For(parsed)
		text := ""
		if got != nil {
			text = got.String()
		}
		if err != nil || text != want {
			t.Errorf("%s: %v %q", u, err, text)
		}
	}
}

func TestSettingsThatAreNoProxyAreRefused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "http://h", "http://u:p@h:3128/", "https://h:3128"} {
		if err := (proxy.Settings{HTTPS: address, HTTP: address}).Validate(); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"h:3128", "socks5://h:1080", "http://", "http://hunter2@h/path", "http://hunter2%", ":"} {
		for _, s := range []proxy.Settings{{HTTPS: address}, {HTTP: address}} {
			if err := s.Validate(); err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	s := proxy.Settings{HTTPS: "http://a", No: "b"}
	if diff := cmp.Diff([]string{"AJOUR_HTTPS_PROXY=http://a", "AJOUR_NO_PROXY=b"}, s.ForSteps()); diff != "" {
		t.Error(diff)
	}
	want := []string{"HTTPS_PROXY=http://a", "https_proxy=http://a", "NO_PROXY=b", "no_proxy=b"}
	if diff := cmp.Diff(want, s.ForBuilders()); diff != "" {
		t.Error(diff)
	}
}

// answers is a proxy that gives one answer to each connection, and what comes after it.
func answers(t *testing.T, answer string) (*url.URL, <-chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	asked := make(chan string, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		asked <- r.Method + " " + r.RequestURI + " " + r.Header.Get("Proxy-Authorization")
		_, _ = io.WriteString(conn, answer)
		<-t.Context().Done()
		_ = conn.Close()
	}()
	return &url.URL{Scheme: "http", User: url.UserPassword("ci", "p"), Host: ln.Addr().String()}, asked
}

// TestAServerThatSpeaksFirst: what comes with the answer of the proxy belongs to the server.
func TestAServerThatSpeaksFirst(t *testing.T) {
	t.Parallel()
	p, asked := answers(t, "HTTP/1.1 200 OK\r\n\r\nSSH-2.0-x\r\n")
	conn, err := proxy.Dial(t.Context(), p, "git.test:22")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := <-asked; got != "CONNECT git.test:22 Basic Y2k6cA==" {
		t.Error(got)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || line != "SSH-2.0-x\r\n" {
		t.Errorf("%v %q", err, line)
	}
}

func TestAProxyThatDoesNotConnect(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"403 Forbidden":                     "the proxy of this installation answers 403 Forbidden for git.test:22",
		"407 Proxy Authentication Required": "the proxy of this installation answers 407 Proxy Authentication Required: put its address with user and password into the Secret proxy",
		"502 Bad Gateway":                   "the proxy of this installation answers 502 Bad Gateway for git.test:22",
	} {
		p, _ := answers(t, "HTTP/1.1 "+answer+"\r\nContent-Length: 0\r\n\r\n")
		if _, err := proxy.Dial(t.Context(), p, "git.test:22"); err == nil || err.Error() != want {
			t.Errorf("%v", err)
		}
	}
	p, _ := answers(t, "garbage\r\n\r\n")
	if _, err := proxy.Dial(t.Context(), p, "git.test:22"); err == nil {
		t.Error("garbage is an answer")
	}
	silent, _ := answers(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := proxy.Dial(ctx, silent, "git.test:22"); !errors.Is(ctx.Err(), context.DeadlineExceeded) || err == nil {
		t.Errorf("a silent proxy: %v", err)
	}
}
