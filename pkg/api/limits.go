// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Limits bound how much of the service one caller, and one application, may use. Each replica
// counts for itself. None is a limit that is 0.
type Limits struct {
	// Calls is how many calls of one caller are answered in a second, in the long run; five
	// times as many at once.
	Calls int
	// CallerBuilds and ApplicationBuilds are how many builds one caller may ask for, and how
	// many may be asked for of one application and its devices, in a minute.
	CallerBuilds, ApplicationBuilds int
}

// burst is how many seconds of calls may come at once.
const burst = 5

// limiters are token buckets by a key. Those that were used last are remembered: who was
// forgotten has a full bucket, which is what a bucket is after a while anyway.
type limiters struct {
	buckets *lru.Cache[string, *rate.Limiter]
	every   rate.Limit
	size    int
}

// maxLimiters is how many callers, or applications, are remembered.
const maxLimiters = 10_000

func newLimiters(every rate.Limit, size int) limiters {
	buckets, err := lru.New[string, *rate.Limiter](maxLimiters)
	if err != nil { // of a size that is not positive
		panic(err)
	}
	return limiters{buckets, every, size}
}

// take takes a token out of a bucket. If there is none, it returns how long it takes until there
// is one.
func (l limiters) take(key string, now time.Time) time.Duration {
	if l.size == 0 {
		return 0
	}
	bucket, ok := l.buckets.Get(key)
	if !ok {
		bucket = rate.NewLimiter(l.every, l.size)
		if first, there, _ := l.buckets.PeekOrAdd(key, bucket); there {
			bucket = first
		}
	}
	r := bucket.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// limits are all of them.
type limits struct{ calls, callerBuilds, applicationBuilds limiters }

func newLimits(l Limits) limits {
	perMinute := func(n int) limiters { return newLimiters(rate.Limit(float64(n)/time.Minute.Seconds()), n) }
	return limits{
		newLimiters(rate.Limit(l.Calls), l.Calls*burst), perMinute(l.CallerBuilds), perMinute(l.ApplicationBuilds),
	}
}

// admit takes one call of a caller.
func (h *handler) admit(c *call) error {
	if wait := h.limits.calls.take(c.principal.Subject, c.at); wait > 0 {
		return tooMany("You call too often", wait)
	}
	return nil
}

// admitBuild takes one build, which the caller may ask for.
func (h *handler) admitBuild(c *call) error {
	if wait := h.limits.callerBuilds.take(c.principal.Subject, c.at); wait > 0 {
		return tooMany("You ask for too many builds", wait)
	}
	if wait := h.limits.applicationBuilds.take(c.object.Application, c.at); wait > 0 {
		return tooMany("Too many builds of this application are asked for", wait)
	}
	return nil
}

func tooMany(what string, wait time.Duration) *Problem {
	p := problem(http.StatusTooManyRequests, "TooManyRequests", what+": try again a little later")
	p.retryAfter = wait
	return p
}

// maxBody bounds the body of a call.
const maxBody = 64 << 10

// bodyFits refuses a call with a large body.
func bodyFits(r *http.Request) error {
	if r.ContentLength > maxBody {
		return tooLargeBody()
	}
	return nil
}

func tooLargeBody() *Problem {
	return problem(
		http.StatusRequestEntityTooLarge, "PayloadTooLarge", "The body of the call is too large: use at most 64 KiB",
	)
}
