// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/build"
)

// TestEveryMemberOfABuildIsStored but the description: a new one, too.
func TestEveryMemberOfABuildIsStored(t *testing.T) {
	t.Parallel()
	var want build.Run
	fill(t, reflect.ValueOf(&want).Elem())
	want.Description = build.Description{}
	data, err := json.Marshal(build.Stored(want))
	if err != nil {
		t.Fatal(err)
	}
	var s build.StoredRun
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, s.Restored()); diff != "" {
		t.Error(diff)
	}
}

// fill gives every member a value that is not zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 11, 28, 10, 1, 2, 3, time.UTC)))
	case v.Type() == reflect.TypeFor[build.Description]():
	case v.Kind() == reflect.String:
		v.SetString("text")
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(1)
	case v.CanFloat():
		v.SetFloat(1)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("no value for a %s", v.Type())
	}
}
