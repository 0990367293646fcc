// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"
)

// application is a stored application with what REST does not show of it.
type application struct {
	Object   object
	Revision uint64
	Owner    string
	// Members maps user ids to roles; "" is anonymous.
	Members map[string]string
	// MemberNames maps the ids of members to the names that are shown (N19).
	MemberNames map[string]string
}

// device is a stored device.
type device struct {
	Object   object
	Revision uint64
}

var (
	bucketApplications = []byte("applications")
	bucketDevices      = []byte("devices")
	bucketOutbox       = []byte("outbox")
)

// transaction is one request's view of the store.
type transaction struct{ *bbolt.Tx }

// deviceKey keeps the devices of an application together, in bytewise order of
// their names: neither name can hold a NUL.
func deviceKey(app, name string) []byte { return []byte(app + "\x00" + name) }

func load[T any](b *bbolt.Bucket, key []byte) (*T, error) {
	data := b.Get(key)
	if data == nil {
		return nil, nil //nolint:nilnil // absence is an ordinary answer of a store
	}
	v := new(T)
	if err := json.Unmarshal(data, v); err != nil {
		return nil, fmt.Errorf("read %q: %w", key, err)
	}
	return v, nil
}

func save(b *bbolt.Bucket, key []byte, v any) error {
	data, err := marshal(v)
	if err != nil {
		return fmt.Errorf("write %q: %w", key, err)
	}
	return b.Put(key, data)
}

func (t transaction) application(name string) (*application, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // as load
	}
	return load[application](t.Bucket(bucketApplications), []byte(name))
}

func (t transaction) putApplication(a *application) error {
	return save(t.Bucket(bucketApplications), []byte(a.Object.Name), a)
}

func (t transaction) deleteApplication(name string) error {
	return t.Bucket(bucketApplications).Delete([]byte(name))
}

func (t transaction) device(app, name string) (*device, error) {
	return load[device](t.Bucket(bucketDevices), deviceKey(app, name))
}

func (t transaction) putDevice(d *device) error {
	return save(t.Bucket(bucketDevices), deviceKey(d.Object.Application, d.Object.Name), d)
}

func (t transaction) deleteDevice(app, name string) error {
	return t.Bucket(bucketDevices).Delete(deviceKey(app, name))
}

// applications calls each in the order of names.
func (t transaction) applications(each func(*application) error) error {
	return t.Bucket(bucketApplications).ForEach(func(key, _ []byte) error {
		a, err := t.application(string(key))
		if err != nil {
			return err
		}
		return each(a)
	})
}

// devices returns the devices of an application in the order of their names.
func (t transaction) devices(app string) ([]*device, error) {
	var list []*device
	prefix := string(deviceKey(app, ""))
	c := t.Bucket(bucketDevices).Cursor()
	key, _ := c.Seek([]byte(prefix))
	for ; len(key) > len(prefix) && strings.HasPrefix(string(key), prefix); key, _ = c.Next() {
		d, err := load[device](t.Bucket(bucketDevices), key)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// aliasTaken reports whether a second device has one of the names, or the device one of
// them twice: both break the same key of the database.
func (t transaction) aliasTaken(o *object) (bool, error) {
	others, err := t.devices(o.Application)
	if err != nil {
		return false, err
	}
	mine := map[string]bool{}
	for _, alias := range o.aliases() {
		if mine[alias] {
			return true, nil
		}
		mine[alias] = true
	}
	for _, other := range others {
		if other.Object.Name == o.Name {
			continue
		}
		for _, alias := range other.Object.aliases() {
			if mine[alias] {
				return true, nil
			}
		}
	}
	return false, nil
}
