// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/drogue-iot/ajour/pkg/build"
)

// TestAControllerIsOneThatHawkbitCanServe: it takes more than it can serve (HBW-76), and counts
// characters, not bytes.
func TestAControllerIsOneThatHawkbitCanServe(t *testing.T) {
	t.Parallel()
	valid := map[string]bool{
		"sensor-7": true, "sensor:7@é_(x)!": true, strings.Repeat("é", 256): true, strings.Repeat("a", 257): false,
	}
	for _, c := range "/\\%<>;?#{}[]|^`\" \t" {
		valid["a"+string(c)+"b"] = false
	}
	for controller, want := range valid {
		text, err := json.Marshal(controller)
		if err != nil {
			t.Fatal(err)
		}
		_, err = build.Parse(json.RawMessage(fmt.Sprintf(`{"hawkbit":{"controller":%s,"build":{"image":"b",
			"artifact":{"path":"f"},"source":{"git":{"uri":"https://h/r","project":".","rev":"main"}}}}}`, text)))
		if (err == nil) != want {
			t.Errorf("%q: %v", controller, err)
		}
		if err != nil && !strings.Contains(err.Error(), "spec.firmware.hawkbit.controller") {
			t.Errorf("%q is not named: %v", controller, err)
		}
	}
}
