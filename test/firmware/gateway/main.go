// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command gateway is the firmware of a small Linux/ARM gateway: it says which
// version it is, then reports once a minute that it is alive.
package main

import (
	"fmt"
	"os"
	"time"
)

// revision is set by the build. It has to be what the update server delivers as
// the version, or the device is updated in a loop.
var revision = "unknown"

func main() {
	fmt.Println(revision)
	if len(os.Args) > 1 && os.Args[1] == "--version" {
		return
	}
	for start := time.Now(); ; time.Sleep(time.Minute) {
		fmt.Println("alive for", time.Since(start).Round(time.Second))
	}
}
