// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package status

import "sync"

// locks is a mutex per name. The zero value is ready to use.
type locks struct {
	mu    sync.Mutex
	names map[string]*entry
}

type entry struct {
	sync.Mutex
	waiting int
}

// lock waits for the name and returns what frees it.
func (l *locks) lock(name string) (unlock func()) {
	l.mu.Lock()
	if l.names == nil {
		l.names = map[string]*entry{}
	}
	e := l.names[name]
	if e == nil {
		e = &entry{}
		l.names[name] = e
	}
	e.waiting++
	l.mu.Unlock()
	e.Lock()
	return func() {
		e.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if e.waiting--; e.waiting == 0 {
			delete(l.names, name)
		}
	}
}
