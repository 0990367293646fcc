// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"go.etcd.io/bbolt"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/drogue-iot/ajour/pkg/internal/boltfile"
)

var (
	bucketPipelineRuns = []byte("pipelineruns")
	bucketTaskRuns     = []byte("taskruns")
	// bucketBuilds has what is observed of each PipelineRun, so that a start need not read
	// all of them.
	bucketBuilds = []byte("builds")

	resourcePipelineRuns = v1.Resource("pipelineruns")
)

// store keeps objects by name, as JSON, and the state of builds up to date with them.
type store struct {
	db      *bbolt.DB
	observe Observe
	state   State
	// changes is held while a transaction commits and the state follows.
	changes sync.Mutex
}

func openStore(path string, observe Observe, state State) (*store, error) {
	db, err := boltfile.Open(path, bucketPipelineRuns, bucketTaskRuns, bucketBuilds)
	if err != nil {
		return nil, err
	}
	s := &store{db: db, observe: observe, state: state}
	return s, s.load()
}

// object is a PipelineRun or a TaskRun.
type object[T any] interface {
	*T
	metav1.Object
}

// get returns an object, or the API server's NotFound.
func get[T any, P object[T]](s *store, bucket []byte, name string) (P, error) {
	var obj P
	err := s.db.View(func(tx *bbolt.Tx) (err error) {
		obj, err = read[T, P](tx.Bucket(bucket), name)
		return err
	})
	return obj, err
}

func read[T any, P object[T]](b *bbolt.Bucket, name string) (P, error) {
	data := b.Get([]byte(name))
	if data == nil {
		return nil, apierrors.NewNotFound(resourcePipelineRuns, name)
	}
	return decode[T, P](name, data)
}

func decode[T any, P object[T]](name string, data []byte) (P, error) {
	obj := P(new(T))
	if err := json.Unmarshal(data, obj); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return obj, nil
}

// write stores an object under a new resource version.
func write[T any, P object[T]](b *bbolt.Bucket, obj P) error {
	version, err := b.NextSequence()
	if err != nil {
		return fmt.Errorf("write %s: %w", obj.GetName(), err)
	}
	obj.SetResourceVersion(strconv.FormatUint(version, 10))
	data, err := json.Marshal(obj)
	if err != nil {
		return fmt.Errorf("write %s: %w", obj.GetName(), err)
	}
	return b.Put([]byte(obj.GetName()), data)
}

// create stores a new object, or returns the API server's AlreadyExists.
func create[T any, P object[T]](s *store, bucket []byte, obj P) error {
	return s.change(runOf(obj), func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if b.Get([]byte(obj.GetName())) != nil {
			return apierrors.NewAlreadyExists(resourcePipelineRuns, obj.GetName())
		}
		return write[T, P](b, obj)
	})
}

// update changes an object in one transaction and returns what it became.
func update[T any, P object[T]](s *store, bucket []byte, run, name string, change func(P) error) (P, error) {
	var obj P
	err := s.change(run, func(tx *bbolt.Tx) (err error) {
		b := tx.Bucket(bucket)
		if obj, err = read[T, P](b, name); err != nil {
			return err
		}
		if err := change(obj); err != nil {
			return err
		}
		return write[T, P](b, obj)
	})
	return obj, err
}

// updateRun is update for a PipelineRun.
func (s *store) updateRun(name string, change func(*v1.PipelineRun) error) (*v1.PipelineRun, error) {
	return update(s, bucketPipelineRuns, name, name, change)
}

// runOf returns the name of the PipelineRun that an object is, or belongs to.
func runOf(obj metav1.Object) string {
	if run, ok := obj.GetLabels()[labelPipelineRun]; ok {
		return run
	}
	return obj.GetName()
}

// list returns the objects that a label selector finds, in the order of names.
func list[T any, P object[T]](s *store, bucket []byte, selector string) ([]T, error) {
	sel, err := labels.Parse(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	var items []T
	err = s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(k, data []byte) error {
			obj, err := decode[T, P](string(k), data)
			if err == nil && sel.Matches(labels.Set(obj.GetLabels())) {
				items = append(items, *obj)
			}
			return err
		})
	})
	return items, err
}

// taskRuns returns the TaskRuns of a PipelineRun. Their names begin with its name.
func (s *store) taskRuns(run string) (found []*v1.TaskRun, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		found, err = taskRunsOf(tx, run)
		return err
	})
	return found, err
}

func taskRunsOf(tx *bbolt.Tx, run string) (found []*v1.TaskRun, err error) {
	prefix := []byte(run + "-")
	c := tx.Bucket(bucketTaskRuns).Cursor()
	for k, data := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, data = c.Next() {
		tr, err := decode[v1.TaskRun](string(k), data)
		if err != nil {
			return nil, err
		}
		found = append(found, tr)
	}
	return found, nil
}

// remove deletes a PipelineRun with its TaskRuns.
func (s *store) remove(run string) error {
	return s.change(run, func(tx *bbolt.Tx) error {
		if err := removeTaskRuns(tx, run); err != nil {
			return err
		}
		return tx.Bucket(bucketPipelineRuns).Delete([]byte(run))
	})
}

// removeTaskRuns deletes the TaskRuns of a PipelineRun.
func (s *store) removeTaskRuns(run string) error {
	return s.change(run, func(tx *bbolt.Tx) error { return removeTaskRuns(tx, run) })
}

func removeTaskRuns(tx *bbolt.Tx, run string) error {
	found, err := taskRunsOf(tx, run)
	if err != nil {
		return err
	}
	for _, tr := range found {
		if err := tx.Bucket(bucketTaskRuns).Delete([]byte(tr.Name)); err != nil {
			return err
		}
	}
	return nil
}
