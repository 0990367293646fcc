// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// instance is the name of the Drogue instance in events, the chart's default.
const instance = "drogue"

// change is one row of the outbox: one path of one object.
type change struct {
	Application string
	Device      string
	Path        string
	Revision    uint64
	UID         string
}

// emit puts one row per path into the outbox, in the same transaction as the
// change itself.
func (t transaction) emit(changes ...change) ([]uint64, error) {
	var rows []uint64
	b := t.Bucket(bucketOutbox)
	for _, c := range changes {
		seq, err := b.NextSequence()
		if err != nil {
			return nil, fmt.Errorf("write outbox: %w", err)
		}
		if err := save(b, rowKey(seq), c); err != nil {
			return nil, err
		}
		rows = append(rows, seq)
	}
	return rows, nil
}

func rowKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// event is the CloudEvent of a row. Each sending has a new id and time, so that
// an id cannot be used to find duplicates (contract 3.2). Kafka carries the
// names in source as they are; over HTTP source has to be a URI.
func (c change) event() (cloudevents.Event, error) {
	ev := cloudevents.NewEvent()
	key, kind := instance+"/"+c.Application, "application"
	segments := []string{instance, c.Application}
	if c.Device != "" {
		key, kind = key+"/"+c.Device, "device"
		segments = append(segments, c.Device)
		ev.SetExtension("device", c.Device)
	}
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	ev.SetID(uuid.NewString())
	ev.SetTime(time.Now())
	ev.SetType("io.drogue.registry.change." + kind)
	ev.SetSource("drogue:/" + strings.Join(segments, "/"))
	ev.SetSubject(c.Path)
	ev.SetExtension("partitionkey", key)
	ev.SetExtension("instance", instance)
	ev.SetExtension("application", c.Application)
	data := map[string]any{"revision": c.Revision, "uid": c.UID}
	if err := ev.SetData(cloudevents.ApplicationJSON, data); err != nil {
		return ev, fmt.Errorf("encode change event: %w", err)
	}
	return ev, nil
}

// send delivers rows in order and removes each that the sink took. The first
// failure ends it: the rest stays in the outbox (contract 3.6).
func (s *Server) send(ctx context.Context, rows []uint64) error {
	for _, seq := range rows {
		var c *change
		err := s.db.View(func(tx *bbolt.Tx) (err error) {
			c, err = load[change](tx.Bucket(bucketOutbox), rowKey(seq))
			return err
		})
		if err != nil {
			return err
		}
		if c == nil { // the other sender was faster
			continue
		}
		ev, err := c.event()
		if err != nil {
			return err
		}
		if s.options.Publish != nil {
			if err := s.options.Publish(ctx, ev); err != nil {
				return fmt.Errorf("publish change event: %w", err)
			}
		}
		if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketOutbox).Delete(rowKey(seq)) }); err != nil {
			return fmt.Errorf("clear outbox: %w", err)
		}
	}
	return nil
}

// Run sends what is left in the outbox, at once and then periodically, until
// the context ends.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(s.options.Resend)
	defer tick.Stop()
	for {
		var rows []uint64
		err := s.db.View(func(tx *bbolt.Tx) error {
			return tx.Bucket(bucketOutbox).ForEach(func(key, value []byte) error {
				if !json.Valid(value) {
					return fmt.Errorf("outbox row %x is damaged", key)
				}
				rows = append(rows, binary.BigEndian.Uint64(key))
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("read outbox: %w", err)
		}
		if err := s.send(ctx, rows); err != nil && ctx.Err() == nil {
			s.options.Log.WarnContext(ctx, "change events are not taken", "rows", len(rows), "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
