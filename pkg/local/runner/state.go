// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"encoding/json"
	"fmt"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"go.etcd.io/bbolt"

	"github.com/drogue-iot/ajour/pkg/build"
)

// Observe reads a build from its PipelineRun and the TaskRuns of that. It reports false for a
// PipelineRun that is not one of a build.
type Observe func(*v1.PipelineRun, []*v1.TaskRun) (build.Run, bool)

// State receives the present state of builds.
type State interface {
	// Replace sets all of the state.
	Replace(runs []build.Run)
	// Set adds a build, or replaces it.
	Set(r build.Run)
	// Remove removes the build of a run by the name of the run.
	Remove(name string)
}

// stored is the form in which an observed build is stored: with what [build.Run] shows to nobody.
type stored struct {
	build.Run
	UID        string          `json:"uid"`
	UIDs       build.UIDs      `json:"uids"`
	Secret     bool            `json:"secret,omitempty"`
	Archived   bool            `json:"archived,omitempty"`
	Controller string          `json:"controller,omitempty"`
	Pending    bool            `json:"pending,omitempty"`
	Cancelling bool            `json:"cancelling,omitempty"`
	Publishes  string          `json:"publishes,omitempty"`
	Retained   *build.Retained `json:"retained,omitempty"`
	Log        *build.Log      `json:"log,omitempty"`
}

func storedOf(r build.Run) stored {
	return stored{
		Run: r, UID: r.UID, UIDs: r.UIDs, Secret: r.Secret, Pending: r.Pending, Cancelling: r.Cancelling,
		Archived: r.Archived, Controller: r.Controller, Publishes: r.Publishes, Retained: r.Retained, Log: r.Log,
	}
}

func (s stored) run() build.Run {
	r := s.Run
	r.UID, r.UIDs, r.Secret, r.Pending, r.Cancelling = s.UID, s.UIDs, s.Secret, s.Pending, s.Cancelling
	r.Archived, r.Controller, r.Publishes, r.Retained, r.Log = s.Archived, s.Controller, s.Publishes, s.Retained, s.Log
	return r
}

// change runs a transaction that concerns one PipelineRun, and has the state follow.
func (s *store) change(run string, f func(*bbolt.Tx) error) error {
	s.changes.Lock()
	defer s.changes.Unlock()
	var now build.Run
	var there bool
	err := s.db.Update(func(tx *bbolt.Tx) (err error) {
		if err := f(tx); err != nil {
			return err
		}
		now, there, err = s.project(tx, run)
		return err
	})
	switch {
	case err != nil:
		return err
	case there:
		s.state.Set(now)
	default:
		s.state.Remove(run)
	}
	return nil
}

// project stores what is observed of a run. It reports false if there is no such build.
func (s *store) project(tx *bbolt.Tx, name string) (r build.Run, there bool, err error) {
	builds := tx.Bucket(bucketBuilds)
	data := tx.Bucket(bucketPipelineRuns).Get([]byte(name))
	if data == nil {
		return r, false, builds.Delete([]byte(name))
	}
	pr, err := decode[v1.PipelineRun](name, data)
	if err != nil {
		return r, false, err
	}
	tasks, err := taskRunsOf(tx, name)
	if err != nil {
		return r, false, err
	}
	r, ours := s.observe(pr, tasks)
	if !ours {
		return r, false, nil
	}
	if data, err = json.Marshal(storedOf(r)); err != nil {
		return r, false, fmt.Errorf("write state of %s: %w", name, err)
	}
	return r, true, builds.Put([]byte(name), data)
}

// load tells the state all builds.
func (s *store) load() error {
	runs, err := s.builds()
	if err != nil {
		return err
	}
	s.state.Replace(runs)
	return nil
}

// builds reads what was observed of all runs. A store of a version that did not keep it is
// read in full once.
func (s *store) builds() (runs []build.Run, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
		if k, _ := tx.Bucket(bucketBuilds).Cursor().First(); k == nil {
			if err := tx.Bucket(bucketPipelineRuns).ForEach(func(k, _ []byte) error {
				_, _, err := s.project(tx, string(k))
				return err
			}); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketBuilds).ForEach(func(k, data []byte) error {
			var b stored
			if err := json.Unmarshal(data, &b); err != nil {
				return fmt.Errorf("read state of %s: %w", k, err)
			}
			runs = append(runs, b.run())
			return nil
		})
	})
	return runs, err
}
