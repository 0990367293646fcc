// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package builder

import (
	"errors"
	"slices"

	"github.com/drogue-iot/ajour/pkg/build"
)

// superseded returns the active builds of a target that have to make way for a
// newer one, the requested build included. A request that comes again may have
// another time than at first: what counts is the time that its run has.
func superseded(runs []build.Run, r build.Request) (ids []string) {
	newest := build.Run{ID: r.ID, Requested: r.Time}
	for _, run := range runs {
		if run.ID == r.ID {
			newest.Requested = run.Requested
		}
	}
	for _, run := range runs {
		if run.After(newest) {
			newest = run
		}
	}
	for _, run := range runs {
		if run.ID != newest.ID && run.Active() {
			ids = append(ids, run.ID)
		}
	}
	return ids
}

// publicationOf returns what a request to publish a build again means by now. Only what
// is found of that build counts, which is one of the same target: an event could name
// the workspace of somebody else.
func publicationOf(runs []build.Run, id string) (*build.Publication, error) {
	find := func(id string) int { return slices.IndexFunc(runs, func(r build.Run) bool { return r.ID == id }) }
	i := find(id)
	if i < 0 {
		return nil, errors.New("the build is not there any more: build again")
	}
	p, err := build.PublicationOf(runs[i])
	if err == nil && p.Claim != "" && find(p.Build) < 0 {
		return nil, errors.New("the workspace is gone with the build that it is of: build again")
	}
	return p, err
}

// newestOf returns the build that was made last of a description, the zero Run for none.
// One that published an earlier build again says nothing of the description.
func newestOf(runs []build.Run) (newest build.Run) {
	for _, run := range runs {
		if run.Trigger != build.TriggerPublish && (newest.ID == "" || run.After(newest)) {
			newest = run
		}
	}
	return newest
}

// decision is what a change of an object leads to: nothing, a build, or a
// rejection that tells the user what is wrong.
type decision struct {
	request   *build.Request
	rejection *build.Rejection
}

// decideChange compares the description of an object with that of its newest
// build. The id of the build that it asks for follows from the object, the
// description and the newest build: the same change that is seen twice leads to
// the same build, while going back to a former description leads to a new one.
//
// A description that was wrong and is as it was before is built again: the object says
// that it is wrong, and the state of the build before it is older.
func decideChange(o build.Object, t build.Target, runs []build.Run) decision {
	section, newest := o.Firmware(), newestOf(runs)
	d, err := build.Parse(section)
	var invalid *build.InvalidError
	switch {
	case errors.As(err, &invalid):
		return decision{rejection: &build.Rejection{
			ID: build.DerivedID("rejected", t.Hash(), string(section), newest.ID), Target: t,
			Reason: build.ReasonInvalidBuildSpec, Message: build.Clean(invalid.Error()),
		}}
	case err != nil: // nothing to build
		return decision{}
	}
	hash, last := d.Hash(), newest.ID
	record := build.RecordOf(o)
	switch {
	case record.Reason == build.ReasonInvalidBuildSpec && record.DescriptionHash == "":
		last = record.Build
	case !record.Started.IsZero() && record.Trigger != build.TriggerPublish && record.Run().After(newest):
		newest = record.Run() // somebody deleted the run
		last = newest.ID
	}
	if !d.BuildsOnChange() || hash == newest.DescriptionHash && last == newest.ID {
		return decision{}
	}
	return decision{request: &build.Request{
		ID: build.DerivedID("change", t.Hash(), hash, last), Target: t, Description: d, DescriptionHash: hash,
		Trigger: build.TriggerChange,
	}}
}
