// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/tekton"
)

// TestTheLineThatAPersonWouldQuote: the outputs are those of the tools, cut to what matters.
func TestTheLineThatAPersonWouldQuote(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ log, want string }{
		"nothing":       {"", ""},
		"any lines":     {"one\ntwo\n\n", "two"},
		"a last resort": {"make: *** [Makefile:3: all] Error 2\n", "make: *** [Makefile:3: all] Error 2"},
		"gcc": {
			"cc -c main.c\nmain.c: In function 'main':\nmain.c:3:1: error: 'x' undeclared (first use in this function)\n" +
				"    3 |     x = 1;\n      |     ^\nmake: *** [Makefile:3: main.o] Error 1\n",
			"main.c:3:1: error: 'x' undeclared (first use in this function)",
		},
		"gcc, in colours": {
			"\x1b[01m\x1b[Kmain.c:3:1:\x1b[m\x1b[K \x1b[01;31m\x1b[Kerror: \x1b[m\x1b[Kexpected ';' before '}' token\n" +
				"\x1b[01;31m\x1b[Kcompilation terminated.\x1b[m\x1b[K\n",
			"main.c:3:1: error: expected ';' before '}' token",
		},
		"gcc, a header": {
			"main.c:1:10: fatal error: nosuch.h: No such file or directory\n    1 | #include <nosuch.h>\ncompilation terminated.\n" +
				"make: *** [Makefile:2: main.o] Error 1",
			"main.c:1:10: fatal error: nosuch.h: No such file or directory",
		},
		"gcc, a warning before": {
			"a.c:1:1: warning: unused variable 'y' [-Wunused-variable]\na.c:9:2: error: unknown type name 'foo'\n",
			"a.c:9:2: error: unknown type name 'foo'",
		},
		"an assembler": {
			"start.s: Assembler messages:\nstart.s:4: Error: bad instruction `mvo r0,#1'\nmake: *** [start.o] Error 1\n",
			"start.s:4: Error: bad instruction `mvo r0,#1'",
		},
		"a linker without a symbol": {
			"/usr/bin/ld: main.o: in function `main':\nmain.c:(.text+0xa): undefined reference to `missing'\n" +
				"collect2: error: ld returned 1 exit status\nmake: *** [fw.elf] Error 1\n",
			"main.c:(.text+0xa): undefined reference to `missing'",
		},
		"a linker without room": {
			"/opt/arm-none-eabi/bin/ld: fw.elf section `.text' will not fit in region `FLASH'\n" +
				"/opt/arm-none-eabi/bin/ld: region `FLASH' overflowed by 1204 bytes\ncollect2: error: ld returned 1 exit status\n",
			"/opt/arm-none-eabi/bin/ld: region `FLASH' overflowed by 1204 bytes",
		},
		"lld": {
			"ld.lld: error: undefined symbol: missing\n>>> referenced by main.c\nclang: error: linker command failed with exit code 1\n",
			"ld.lld: error: undefined symbol: missing",
		},
		"a linker without a library": {
			"/usr/bin/ld: cannot find -lfoo: No such file or directory\ncollect2: error: ld returned 1 exit status",
			"/usr/bin/ld: cannot find -lfoo: No such file or directory",
		},
		"cargo": {
			"   Compiling fw v0.1.0 (/workspace/source)\nerror[E0425]: cannot find value `x` in this scope\n --> src/main.rs:2:5\n" +
				"  |\n2 |     x\n  |     ^ not found in this scope\n\nFor more information about this error, try `rustc --explain E0425`.\n" +
				"error: could not compile `fw` (bin \"fw\") due to 1 previous error\n",
			"error[E0425]: cannot find value `x` in this scope (src/main.rs:2:5)",
		},
		"cargo, in colours": {
			"\x1b[0m\x1b[1m\x1b[38;5;9merror\x1b[0m\x1b[0m\x1b[1m: expected `;`, found `}`\x1b[0m\n" +
				"\x1b[0m \x1b[0m\x1b[0m\x1b[1m\x1b[38;5;12m--> \x1b[0m\x1b[0msrc/main.rs:2:6\x1b[0m\n" +
				"\x1b[1m\x1b[31merror\x1b[0m: could not compile `fw`",
			"error: expected `;`, found `}` (src/main.rs:2:6)",
		},
		"cargo, a linker": {
			"error: linking with `cc` failed: exit status: 1\n  |\n  = note: rust-lld: error: undefined symbol: main\n" +
				"error: could not compile `fw` (bin \"fw\") due to 1 previous error\n",
			"= note: rust-lld: error: undefined symbol: main",
		},
		"cargo, a dependency": {
			"    Updating crates.io index\nerror: no matching package named `nosuch` found\nlocation searched: crates.io index\n",
			"error: no matching package named `nosuch` found",
		},
		"go": {
			"# example.org/fw\n./main.go:7:2: undefined: foo\n./main.go:9:2: too many errors\nexit status 1\n",
			"./main.go:7:2: undefined: foo",
		},
		"javac": {
			"Main.java:3: error: ';' expected\n    int x = 1\n             ^\n1 error\n",
			"Main.java:3: error: ';' expected",
		},
		"cmake": {
			"-- Detecting C compiler ABI info - done\nCMake Error at CMakeLists.txt:5 (find_package):\n" +
				"  By not providing \"FindNoSuch.cmake\" in CMAKE_MODULE_PATH this project has\n  asked CMake to find a package\n\n" +
				"-- Configuring incomplete, errors occurred!\nSee also \"/b/CMakeFiles/CMakeOutput.log\".\n",
			`CMake Error at CMakeLists.txt:5 (find_package): By not providing "FindNoSuch.cmake" in CMAKE_MODULE_PATH this project has ` +
				`asked CMake to find a package`,
		},
		"ninja": {
			"[1/2] Building C object main.c.obj\nFAILED: main.c.obj\n/usr/bin/cc -o main.c.obj -c main.c\n" +
				"../main.c:2:3: error: implicit declaration of function 'foo'\nninja: build stopped: subcommand failed.\n",
			"../main.c:2:3: error: implicit declaration of function 'foo'",
		},
		"west": {
			"-- west build: building application\n[3/150] Generating include\n" +
				"/workdir/app/src/main.c:12:9: error: 'LED0_NODE' undeclared here (not in a function)\nninja: build stopped: subcommand failed.\n" +
				"FATAL ERROR: command exited with status 1: /usr/bin/cmake --build /workdir/build\n",
			"/workdir/app/src/main.c:12:9: error: 'LED0_NODE' undeclared here (not in a function)",
		},
		"Zephyr's devicetree": {
			"devicetree error: /soc/uart@1000: unknown node label\nCMake Error at cmake/modules/dts.cmake:295 (message):\n  gen_defines.py failed\n",
			"devicetree error: /soc/uart@1000: unknown node label",
		},
		"ESP-IDF": {
			"Executing action: all\n../main/main.c:7:5: error: too few arguments to function 'esp_wifi_init'\n" +
				"ninja: build stopped: subcommand failed.\nninja failed with exit code 1, output of the command is in the /b/log/idf_py_stderr\n",
			"../main/main.c:7:5: error: too few arguments to function 'esp_wifi_init'",
		},
		"PlatformIO": {
			"Compiling .pio/build/uno/src/main.cpp.o\nsrc/main.cpp:4:3: error: 'digitalWrit' was not declared in this scope\n" +
				"*** [.pio/build/uno/src/main.cpp.o] Error 1\n========= [FAILED] Took 0.50 seconds =========\n",
			"src/main.cpp:4:3: error: 'digitalWrit' was not declared in this scope",
		},
		"PlatformIO, a board": {
			"Processing uno (platform: atmelavr)\n-----------\nError: Unknown board ID 'unno'\n",
			"Error: Unknown board ID 'unno'",
		},
		"Python": {
			"Traceback (most recent call last):\n  File \"/workspace/tools/gen.py\", line 12, in <module>\n    main()\n" +
				"  File \"/workspace/tools/gen.py\", line 8, in main\n    raise ValueError(\"no board\")\nValueError: no board\n",
			"ValueError: no board (/workspace/tools/gen.py:8)",
		},
		"a progress bar": {
			"Downloading  10 %\rDownloading 100 %\rmain.c:1:1: error: boom\r\nmake: *** Error 1\r\n",
			"main.c:1:1: error: boom",
		},
		"a shell": {"+ west build\nbuild.sh: 3: west: not found\n", "build.sh: 3: west: not found"},
		"a disk":  {"cp: error writing 'fw.bin': No space left on device\nBye\n", "cp: error writing 'fw.bin': No space left on device"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tekton.Excerpt(tt.log); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestTheLineOfRecordedOutputs: testdata/outputs has what tools printed when they failed, in colours
// and without, and outputs.tsv the line of each that an engineer chose before it was compared.
func TestTheLineOfRecordedOutputs(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("testdata/outputs.tsv")
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := filepath.Glob("testdata/outputs/*.log")
	if err != nil {
		t.Fatal(err)
	}
	got, rows := strings.Builder{}, 0
	for line := range strings.Lines(string(table)) {
		name, _, _ := strings.Cut(line, "\t")
		log, err := os.ReadFile("testdata/outputs/" + name + ".log")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%s\t%s\n", name, tekton.Excerpt(string(log)))
		rows++
	}
	if diff := cmp.Diff(string(table), got.String()); diff != "" || rows != len(recorded) {
		t.Errorf("%d rows for %d outputs: %s", rows, len(recorded), diff)
	}
}

// FuzzExcerpt finds a line that is short, and does nothing to a terminal.
func FuzzExcerpt(f *testing.F) {
	f.Add("\x1b]0;title\x07error: \x1b[31mred\x1b[0m\r\x1b")
	f.Add("error: " + strings.Repeat("é", 400))
	f.Fuzz(func(t *testing.T, log string) {
		got := tekton.Excerpt(log)
		if len(got) > 303 || !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\n\r\x00") {
			t.Errorf("%q", got)
		}
	})
}
