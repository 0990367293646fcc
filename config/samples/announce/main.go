// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command announce is a sample: it says in a chat, or by mail, that a build has begun or ended. It
// takes the events that its Trigger lets through, and believes those that the services have signed.
//
// CHAT_URL is an incoming webhook of Slack, or of what takes the same (Mattermost, Rocket.Chat,
// Discord with /slack behind it). MAIL_SERVER is HOST:PORT of an SMTP server, MAIL_FROM and MAIL_TO are
// addresses, and MAIL_USER and MAIL_PASSWORD log in by STARTTLS.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	h, err := handler(os.Getenv, log)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	srv := http.Server{Addr: ":" + cmp.Or(os.Getenv("PORT"), "8080"), Handler: h, ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintln(os.Stderr, srv.ListenAndServe())
	os.Exit(1)
}

// handler returns what takes the events.
func handler(getenv func(string) string, log *slog.Logger) (http.Handler, error) {
	keys, err := event.NewKeys(getenv("EVENT_KEY"), getenv("EVENT_KEY_PREVIOUS"))
	if err != nil {
		return nil, err
	}
	say := chat(getenv("CHAT_URL"))
	if server := getenv("MAIL_SERVER"); server != "" {
		say = mail(server, getenv("MAIL_USER"), getenv("MAIL_PASSWORD"), getenv("MAIL_FROM"), getenv("MAIL_TO"))
	}
	o := event.Options{Log: log, Keys: keys, Clock: time.Now}
	return event.Subscriber(o, func(ctx context.Context, ev cloudevents.Event) error {
		r, err := event.DecodeBuild(ev)
		if err != nil {
			return err
		}
		return say(ctx, text(r)) // an error has the event delivered once more
	}), nil
}

// text says how a build stands, in one line.
func text(r build.Run) string {
	s := r.Object.String() + ": build " + r.ID
	switch {
	case r.Phase == build.Succeeded && r.Artifact != nil && r.Artifact.Reference != "":
		s += " succeeded, " + r.Artifact.Reference
	case r.Phase.Final():
		s += fmt.Sprintf(" %s: %s %s", strings.ToLower(string(r.Phase)), r.Reason, r.Message)
	default:
		s += " has begun"
	}
	return build.Clean(s) // names of devices may hold anything
}

type sayer func(ctx context.Context, line string) error

// chat posts a line as Slack wants it.
func chat(url string) sayer {
	client := &http.Client{Timeout: 10 * time.Second}
	// In Slack's format these three begin links and mentions.
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	return func(ctx context.Context, line string) error {
		body, err := json.Marshal(map[string]string{"text": escape.Replace(line)})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("chat cannot be reached") // the error has the URL, which is a secret
		}
		defer res.Body.Close()
		if res.StatusCode/100 != 2 {
			return fmt.Errorf("chat answers %s", res.Status)
		}
		return nil
	}
}

// mail sends a line as the subject of a mail.
func mail(server, user, password, from, to string) sayer {
	host, _, _ := net.SplitHostPort(server)
	var auth smtp.Auth
	if user != "" {
		auth = smtp.PlainAuth("", user, password, host)
	}
	return func(_ context.Context, line string) error {
		message := "From: " + from + "\r\nTo: " + to + "\r\nSubject: " + mime.QEncoding.Encode("utf-8", line) +
			"\r\nDate: " + time.Now().Format(time.RFC1123Z) +
			"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + line + "\r\n"
		return smtp.SendMail(server, auth, from, strings.Split(to, ","), []byte(message))
	}
}
