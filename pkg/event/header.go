// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"net/url"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// Device names may hold anything, and header values may not. The HTTP binding of
// CloudEvents (section 3.1.3.2) therefore percent-encodes attribute values; the
// Go SDK does neither that nor its reverse, so it is done here.

// escapeAttributes returns a copy whose subject and extensions fit into headers.
func escapeAttributes(ev cloudevents.Event) cloudevents.Event {
	ev = ev.Clone()
	ev.SetSubject(escape(ev.Subject()))
	for name, value := range ev.Extensions() {
		if s, ok := value.(string); ok {
			ev.SetExtension(name, escape(s))
		}
	}
	return ev
}

// unescapeAttributes is the reverse of escapeAttributes.
func unescapeAttributes(ev *cloudevents.Event) {
	ev.SetSubject(unescape(ev.Subject()))
	for name, value := range ev.Extensions() {
		if s, ok := value.(string); ok {
			ev.SetExtension(name, unescape(s))
		}
	}
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescape leaves text alone that is not correctly encoded, as the specification wants.
func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}
