// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"net/http"
	"strconv"
	"strings"
)

// page is the selection of a list: labels, offset and limit.
type page struct {
	selector      selector
	limit, offset int64
}

func parsePage(r *http.Request) (*page, error) {
	p := &page{limit: -1}
	query := r.URL.Query()
	for name, values := range query {
		if len(values) > 1 && (name == "labels" || name == "limit" || name == "offset") {
			return nil, errText("Query deserialize error: duplicate field `" + name + "`")
		}
	}
	for name, into := range map[string]*int64{"limit": &p.limit, "offset": &p.offset} {
		if !query.Has(name) {
			continue
		}
		n, err := strconv.ParseUint(query.Get(name), 10, 64)
		if err != nil {
			return nil, errText("Query deserialize error: invalid digit found in string")
		}
		if n > 1<<63-1 {
			return nil, &answer{
				http.StatusServiceUnavailable,
				"DatabaseError",
				"Database error: db error: ERROR: " + strings.ToUpper(name) + " must not be negative",
			}
		}
		*into = int64(n)
	}
	var err error
	p.selector, err = parseSelector(query.Get("labels"))
	return p, err
}

// everything returns the page that has all.
func everything() *page { return &page{limit: -1} }

// full reports that nothing more can be on the page.
func (p *page) full() bool { return p.limit == 0 }

// skips counts one more candidate and reports whether it is before the page, whatever its labels are.
// One whose labels matter is not counted.
func (p *page) skips() bool {
	if len(p.selector) > 0 || p.offset == 0 {
		return false
	}
	p.offset--
	return true
}

// take counts one more candidate and reports whether it is on the page.
func (p *page) take(labels map[string]string) bool {
	if !p.selector.matches(labels) || p.limit == 0 {
		return false
	}
	if p.offset > 0 {
		p.offset--
		return false
	}
	if p.limit > 0 {
		p.limit--
	}
	return true
}
