// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/drogue-iot/ajour/pkg/build"
)

// extSignature is the extension attribute that carries the signature.
const extSignature = "signature"

// minKey is the length of the shortest key in bytes: that of the hash (RFC 2104, section 3).
const minKey = sha256.Size

// Keys sign our events and verify them. Any pod of a cluster may post to a broker; only our
// services have a key. The first key signs, all of them verify: during a rotation the new
// and the previous key are valid side by side.
type Keys struct{ keys [][]byte }

// NewKeys returns keys. Empty ones are left out; at least one of 32 bytes is needed.
func NewKeys(keys ...string) (Keys, error) {
	var k Keys
	for _, key := range keys {
		switch {
		case key == "":
		case len(key) < minKey:
			return k, fmt.Errorf(
				"event key has %d bytes, fewer than %d: make one with \"openssl rand -hex 32\"", len(key), minKey,
			)
		default:
			k.keys = append(k.keys, []byte(key))
		}
	}
	if len(k.keys) == 0 {
		return k, fmt.Errorf("event key is empty: make one with \"openssl rand -hex 32\"")
	}
	return k, nil
}

// sign sets the signature of an event.
func (k Keys) sign(ev *cloudevents.Event) {
	ev.SetExtension(extSignature, base64.RawURLEncoding.EncodeToString(digest(k.keys[0], *ev)))
}

// verify reports why an event of ours is not believed, "" if it is.
func (k Keys) verify(ev cloudevents.Event, now time.Time) (why string) {
	text, _ := ev.Extensions()[extSignature].(string)
	if text == "" {
		return "unsigned"
	}
	signature, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return "signature"
	}
	for _, key := range k.keys {
		if hmac.Equal(signature, digest(key, ev)) {
			if build.Future(ev.Time(), now) {
				return "future"
			}
			return ""
		}
	}
	return "signature"
}

// digest authenticates type, source, id, time and data. Each is preceded by its length, so
// that no two events have the same input. Other attributes serve the routing only.
func digest(key []byte, ev cloudevents.Event) []byte {
	mac := hmac.New(sha256.New, key)
	at := []byte(ev.Time().UTC().Format(time.RFC3339Nano))
	parts := [][]byte{[]byte("ajour.event.v1"), []byte(ev.Type()), []byte(ev.Source()), []byte(ev.ID()), at, ev.Data()}
	for _, part := range parts {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// Options configure a [Subscriber].
type Options struct {
	Log *slog.Logger
	// Keys verify our own events.
	Keys  Keys
	Clock func() time.Time
	// Dropped counts an event that is not believed, by its type and by why: "unsigned",
	// "signature", "future" or "malformed", or "unreadable" where it is believed and its object
	// cannot be read. May be nil.
	Dropped func(ctx context.Context, kind, why string)
}

// Subscriber is a [Handler] that believes an event of ours only if one of our services has
// signed it. Any other is dropped, counted and acknowledged: anybody may have sent it, and
// redelivery would not change it. Events of Drogue and Tekton carry no signature; handle has
// to take them for hints.
func Subscriber(o Options, handle func(context.Context, cloudevents.Event) error) http.Handler {
	return Handler(o.Log, func(ctx context.Context, ev cloudevents.Event) error {
		if isOwn(ev) {
			if why := o.Keys.verify(ev, o.Clock()); why != "" {
				o.drop(ctx, ev, why)
				return nil
			}
		}
		err := handle(ctx, ev)
		if errors.Is(err, ErrMalformed) {
			o.drop(ctx, ev, "malformed")
		}
		return err
	})
}

// drop counts and logs an event. Types that are not known count as one: a sender could make
// up any number of them.
func (o Options) drop(ctx context.Context, ev cloudevents.Event, why string) {
	kind := ev.Type()
	switch kind {
	case TypeRequested, TypeRepublish, TypeCancelled, TypeRejected, TypeStarted, TypeFinished, TypePushed,
		TypeApplicationChange, TypeDeviceChange:
	default:
		kind = "other"
	}
	if o.Dropped != nil {
		o.Dropped(ctx, kind, why)
	}
	o.Log.WarnContext(ctx, "event dropped", "type", kind, "why", why, "event", ev.ID())
}

// Sender publishes events.
type Sender interface {
	Send(ctx context.Context, ev cloudevents.Event) error
}

// Signed returns a sender that signs our events before it hands them to the next. An event
// that has a signature already, or is not ours, is sent as it is.
func (k Keys) Signed(next Sender) Sender { return signedSender{k, next} }

type signedSender struct {
	keys Keys
	next Sender
}

func (s signedSender) Send(ctx context.Context, ev cloudevents.Event) error {
	if isOwn(ev) && ev.Extensions()[extSignature] == nil {
		ev = ev.Clone()
		s.keys.sign(&ev)
	}
	return s.next.Send(ctx, ev)
}
