// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/event"
)

// The Kafka protocol binding of CloudEvents (section 3.2) has attributes as headers with a prefix.
const (
	prefix      = "ce_"
	contentType = "content-type"
)

// relevant reports whether a record may concern a build description. It looks at one header, since
// most of the topic are changes of status.
func relevant(r *kgo.Record) bool {
	for _, h := range r.Headers {
		if h.Key == prefix+"subject" {
			return event.Change{Subject: string(h.Value)}.Relevant()
		}
	}
	return true // what it is, decode says
}

// decode reads a record as the event that it is, and the object that it is about. Names of devices
// stay as they are; the registry puts them into the source without escaping, which is no URI then
// (contract 3.2).
func decode(r *kgo.Record) (cloudevents.Event, build.ObjectRef, error) {
	ev := cloudevents.NewEvent()
	for _, h := range r.Headers {
		value := string(h.Value)
		name, ok := strings.CutPrefix(h.Key, prefix)
		switch {
		case h.Key == contentType:
			ev.SetDataContentType(value)
		case !ok:
		case !utf8.ValidString(value):
			return ev, build.ObjectRef{}, fmt.Errorf("header %s is no text", h.Key)
		default:
			if err := set(&ev, name, value); err != nil {
				return ev, build.ObjectRef{}, err
			}
		}
	}
	if ev.Type() != event.TypeApplicationChange && ev.Type() != event.TypeDeviceChange {
		return ev, build.ObjectRef{}, fmt.Errorf("the type %q is no change of the registry", ev.Type())
	}
	if len(r.Value) > 0 {
		ev.DataEncoded = r.Value
	}
	if err := ev.Validate(); err != nil {
		return ev, build.ObjectRef{}, fmt.Errorf("no event: %w", err)
	}
	c, err := event.DecodeChange(ev)
	return ev, c.Object, err
}

func set(ev *cloudevents.Event, name, value string) error {
	switch name {
	case "specversion":
		if value != cloudevents.VersionV1 {
			return fmt.Errorf("version %q of CloudEvents is not known", value)
		}
	case "id":
		ev.SetID(value)
	case "type":
		ev.SetType(value)
	case "source":
		scheme, path, ok := strings.Cut(value, ":")
		if !ok {
			return errors.New("the source is no URI")
		}
		ev.SetSource(scheme + ":" + (&url.URL{Path: path}).EscapedPath())
	case "subject":
		ev.SetSubject(value)
	case "time":
		at, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return fmt.Errorf("the time is none: %w", err)
		}
		ev.SetTime(at)
	case "dataschema", "datacontenttype":
	default:
		ev.SetExtension(name, value)
	}
	return nil
}
