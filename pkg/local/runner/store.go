// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

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

	resourcePipelineRuns = v1.Resource("pipelineruns")
)

// store keeps objects by name, as JSON.
type store struct{ db *bbolt.DB }

func openStore(path string) (*store, error) {
	db, err := boltfile.Open(path, bucketPipelineRuns, bucketTaskRuns)
	return &store{db}, err
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
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if b.Get([]byte(obj.GetName())) != nil {
			return apierrors.NewAlreadyExists(resourcePipelineRuns, obj.GetName())
		}
		return write[T, P](b, obj)
	})
}

// update changes an object in one transaction and returns what it became.
func update[T any, P object[T]](s *store, bucket []byte, name string, change func(P) error) (P, error) {
	var obj P
	err := s.db.Update(func(tx *bbolt.Tx) (err error) {
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

// list returns the objects that a label selector finds, in the order of names.
func list[T any, P object[T]](s *store, bucket []byte, selector string) ([]T, error) {
	sel, err := labels.Parse(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	var items []T
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		return b.ForEach(func(k, _ []byte) error {
			obj, err := read[T, P](b, string(k))
			if err == nil && sel.Matches(labels.Set(obj.GetLabels())) {
				items = append(items, *obj)
			}
			return err
		})
	})
	return items, err
}

func (s *store) remove(bucket []byte, name string) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Delete([]byte(name)) })
}

// removeTaskRuns deletes the TaskRuns of a PipelineRun.
func (s *store) removeTaskRuns(pipelineRun string) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketTaskRuns)
		var names [][]byte
		err := b.ForEach(func(k, _ []byte) error {
			tr, err := read[v1.TaskRun](b, string(k))
			if err == nil && tr.Labels[labelPipelineRun] == pipelineRun {
				names = append(names, k)
			}
			return err
		})
		for _, name := range names {
			err = errors.Join(err, b.Delete(name))
		}
		return err
	})
}
