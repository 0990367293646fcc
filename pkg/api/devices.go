// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"

	"github.com/drogue-iot/ajour/pkg/build"
)

const (
	// devicesFor is how long it is remembered which devices of an application have a
	// description: a list of devices can be large, and consoles ask several times a minute.
	devicesFor = 30 * time.Second
	// maxApplications bounds of how many applications that is remembered.
	maxApplications = 10_000
)

// devices remembers the devices with a description by the uid of their application. Whoever
// may read an application may read its devices (contract 1.11).
type devices = *lru.Cache[string, listed]

// listed are the devices that were found at a time.
type listed struct {
	at      time.Time
	devices []build.ObjectRef
}

func newDevices() devices { return newCache[listed]() }

// newCache returns what remembers something of applications, by their uids.
func newCache[V any]() *lru.Cache[string, V] {
	cache, err := lru.New[string, V](maxApplications)
	if err != nil { // of a size that is not positive
		panic(err)
	}
	return cache
}

// described returns the applications, and their devices, that have a description, in the order
// of their names. Devices of an application that cannot be listed are left out.
func (h *handler) described(c *call, applications []build.Listed) (list []build.ObjectRef) {
	ctx, cancel := context.WithTimeout(c.Context(), askWithin)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(8)
	var mu sync.Mutex
	for _, a := range applications {
		if a.Described {
			list = append(list, a.Object)
		}
	}
	for _, a := range applications {
		g.Go(func() error {
			found, err := h.devicesOf(ctx, c.principal.Token, a)
			if err != nil {
				h.Log.WarnContext(ctx, "devices cannot be listed", "application", a.Object.Application, "error", err)
			}
			mu.Lock()
			defer mu.Unlock()
			list = append(list, found...)
			return nil
		})
	}
	_ = g.Wait() // none of them fails
	slices.SortFunc(list, func(a, b build.ObjectRef) int {
		return cmp.Or(cmp.Compare(a.Application, b.Application), cmp.Compare(a.Device, b.Device))
	})
	return list
}

func (h *handler) devicesOf(ctx context.Context, token string, a build.Listed) ([]build.ObjectRef, error) {
	now := h.Clock()
	if known, ok := h.devices.Get(a.UID); ok && a.UID != "" && now.Sub(known.at) < devicesFor {
		return known.devices, nil
	}
	all, err := h.registry.DevicesAs(ctx, token, a.Object.Application)
	if err != nil {
		return nil, err
	}
	refs := []build.ObjectRef{}
	for _, d := range all {
		if d.Described {
			refs = append(refs, d.Object)
		}
	}
	h.devices.Add(a.UID, listed{now, refs})
	return refs, nil
}
