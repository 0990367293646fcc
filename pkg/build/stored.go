// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

// StoredRun is the form in which the state of a build is stored as JSON: with what [Run] shows to nobody. The
// description, which is stored elsewhere, is not in it.
type StoredRun struct {
	Run

	UID        string    `json:"uid"`
	UIDs       UIDs      `json:"uids"`
	Secret     bool      `json:"secret,omitempty"`
	Archived   bool      `json:"archived,omitempty"`
	Controller string    `json:"controller,omitempty"`
	Pending    bool      `json:"pending,omitempty"`
	Cancelling bool      `json:"cancelling,omitempty"`
	Lingering  bool      `json:"lingering,omitempty"`
	Publishes  string    `json:"publishes,omitempty"`
	Retained   *Retained `json:"retained,omitempty"`
	Log        *Log      `json:"log,omitempty"`
	Trace      string    `json:"trace,omitempty"`
	Rejected   string    `json:"rejected,omitempty"`
}

// Stored returns the form of a build that is stored.
func Stored(r Run) StoredRun {
	return StoredRun{
		Run: r, UID: r.UID, UIDs: r.UIDs, Secret: r.Secret, Archived: r.Archived, Controller: r.Controller,
		Pending: r.Pending, Cancelling: r.Cancelling, Lingering: r.Lingering, Publishes: r.Publishes,
		Retained: r.Retained, Log: r.Log, Trace: r.Trace, Rejected: r.Rejected,
	}
}

// Restored returns the build that was stored.
func (s StoredRun) Restored() Run {
	r := s.Run
	r.UID, r.UIDs, r.Secret, r.Archived, r.Controller = s.UID, s.UIDs, s.Secret, s.Archived, s.Controller
	r.Pending, r.Cancelling, r.Lingering, r.Publishes = s.Pending, s.Cancelling, s.Lingering, s.Publishes
	r.Retained, r.Log, r.Trace, r.Rejected = s.Retained, s.Log, s.Trace, s.Rejected
	return r
}
