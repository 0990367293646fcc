// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"

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
	// bucketAliases has the name of a device under each of its aliases, which its name is one of.
	bucketAliases = []byte("aliases")
	bucketOutbox  = []byte("outbox")
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
	app, name := d.Object.Application, d.Object.Name
	if err := t.deleteAliases(app, name); err != nil {
		return err
	}
	if err := t.putAliases(&d.Object); err != nil {
		return err
	}
	return save(t.Bucket(bucketDevices), deviceKey(app, name), d)
}

func (t transaction) deleteDevice(app, name string) error {
	if err := t.deleteAliases(app, name); err != nil {
		return err
	}
	return t.Bucket(bucketDevices).Delete(deviceKey(app, name))
}

func (t transaction) putAliases(o *object) error {
	for _, alias := range o.aliases() {
		if err := t.Bucket(bucketAliases).Put(deviceKey(o.Application, alias), []byte(o.Name)); err != nil {
			return fmt.Errorf("write alias: %w", err)
		}
	}
	return nil
}

// deleteAliases removes the names of a device as it is stored.
func (t transaction) deleteAliases(app, name string) error {
	old, err := t.device(app, name)
	if err != nil || old == nil {
		return err
	}
	b := t.Bucket(bucketAliases)
	for _, alias := range old.Object.aliases() {
		key := deviceKey(app, alias)
		if string(b.Get(key)) != name { // not of this device, or deleted already
			continue
		}
		if err := b.Delete(key); err != nil {
			return fmt.Errorf("delete alias: %w", err)
		}
	}
	return nil
}

// indexAliases writes the names of all devices anew: a version that did not may have had the store.
func (t transaction) indexAliases() error {
	if err := t.DeleteBucket(bucketAliases); err != nil {
		return fmt.Errorf("write aliases: %w", err)
	}
	if _, err := t.CreateBucket(bucketAliases); err != nil {
		return fmt.Errorf("write aliases: %w", err)
	}
	return t.Bucket(bucketDevices).ForEach(func(key, _ []byte) error {
		d, err := load[device](t.Bucket(bucketDevices), key)
		if err != nil {
			return err
		}
		return t.putAliases(&d.Object)
	})
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

// deviceKeys are the keys of the devices of an application, in the order of their names.
func (t transaction) deviceKeys(app string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		prefix := deviceKey(app, "")
		c := t.Bucket(bucketDevices).Cursor()
		for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix) && yield(key); key, _ = c.Next() {
		}
	}
}

// devices returns the devices of an application that are on a page, in the order of their names. Others
// are not decoded, as far as that can be.
func (t transaction) devices(app string, p *page) ([]*device, error) {
	var list []*device
	for key := range t.deviceKeys(app) {
		if p.full() {
			break
		}
		if p.skips() {
			continue
		}
		d, err := load[device](t.Bucket(bucketDevices), key)
		if err != nil {
			return nil, err
		}
		if p.take(d.Object.Labels) {
			list = append(list, d)
		}
	}
	return list, nil
}

// anyDevices reports whether an application has devices.
func (t transaction) anyDevices(app string) bool {
	for range t.deviceKeys(app) {
		return true
	}
	return false
}

// aliasTaken reports whether a second device has one of the names, or the device one of
// them twice: both break the same key of the database.
func (t transaction) aliasTaken(o *object) bool {
	mine := map[string]bool{}
	for _, alias := range o.aliases() {
		owner := t.Bucket(bucketAliases).Get(deviceKey(o.Application, alias))
		if mine[alias] || owner != nil && string(owner) != o.Name {
			return true
		}
		mine[alias] = true
	}
	return false
}
