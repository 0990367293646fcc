// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"go.etcd.io/bbolt"

	"github.com/drogue-iot/ajour/pkg/internal/boltfile"
)

var (
	bucketQueue = []byte("queue")
	bucketDead  = []byte("dead-letters")
)

// delivery is one event on its way to one subscriber.
type delivery struct {
	Trigger string            `json:"trigger"`
	Event   cloudevents.Event `json:"event"`
	// Hops counts how many replies led to this event.
	Hops int `json:"hops,omitempty"`

	id uint64
}

// store keeps deliveries until they are done.
type store struct{ db *bbolt.DB }

func openStore(path string) (*store, error) {
	db, err := boltfile.Open(path, bucketQueue, bucketDead)
	return &store{db}, err
}

// add stores deliveries; when it returns they are on disk.
func (s *store) add(list []*delivery) error {
	return s.db.Batch(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketQueue)
		for _, d := range list {
			id, err := b.NextSequence()
			if err != nil {
				return fmt.Errorf("store event: %w", err)
			}
			data, err := json.Marshal(d)
			if err != nil {
				return fmt.Errorf("store event: %w", err)
			}
			d.id = id
			if err := b.Put(key(id), data); err != nil {
				return fmt.Errorf("store event: %w", err)
			}
		}
		return nil
	})
}

// finish forgets a delivery, or keeps it as a dead letter with the reason in
// Knative's extensions.
func (s *store) finish(d *delivery, dead bool) error {
	return s.db.Batch(func(tx *bbolt.Tx) error {
		if dead {
			data, err := json.Marshal(d)
			if err != nil {
				return fmt.Errorf("store dead letter: %w", err)
			}
			if err := tx.Bucket(bucketDead).Put(key(d.id), data); err != nil {
				return fmt.Errorf("store dead letter: %w", err)
			}
		}
		return tx.Bucket(bucketQueue).Delete(key(d.id))
	})
}

// list returns the deliveries of a bucket in the order in which they came.
func (s *store) list(bucket []byte) (list []*delivery, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(k, v []byte) error {
			d := &delivery{id: binary.BigEndian.Uint64(k)}
			list = append(list, d)
			return json.Unmarshal(v, d)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read broker store: %w", err)
	}
	return list, nil
}

func key(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }
