// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package trace_test

import (
	"testing"

	"github.com/drogue-iot/ajour/pkg/internal/trace"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestAContextIsCarried(t *testing.T) {
	t.Parallel()
	ctx := trace.With(t.Context(), parent)
	if got := trace.Parent(ctx); got != parent {
		t.Errorf("the context is %q", got)
	}
	// Without an exporter there are no spans, and it is carried all the same.
	ctx, end := trace.Start(ctx, trace.Internal, "a span", "name", "value")
	end(nil)
	if got := trace.ParentIn(trace.Carrier(ctx)); got != parent {
		t.Errorf("the context is %q", got)
	}
}

func FuzzWhatIsNoContextIsLeftOut(f *testing.F) {
	for _, seed := range []string{
		"", parent, "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nx",
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "{}", `{"traceparent":"x"}`, `{"traceparent":1}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, given := range []string{text, trace.ParentIn(text)} {
			got := trace.Parent(trace.With(t.Context(), given))
			if got != "" && len(got) != len(parent) {
				t.Errorf("%q becomes %q", given, got)
			}
		}
	})
}
