// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package artifact_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/drogue-iot/ajour/pkg/publish/artifact"
)

// openIn names the workspace that the test program opens the firmware of, in place of testing.
const openIn = "ARTIFACT_TEST_OPEN_IN"

func TestMain(m *testing.M) {
	if root := os.Getenv(openIn); root != "" {
		_, err := artifact.Firmware{Root: root, Artifact: "fw.bin"}.Open()
		fmt.Println(err)
		return
	}
	os.Exit(m.Run())
}

// TestAFileThatOthersMayNotReadIsNamed: the builder may be a different user than the steps
// that publish.
func TestAFileThatOthersMayNotReadIsNamed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for path := root; path != filepath.Clean(os.TempDir()) && path != "/"; path = filepath.Dir(path) {
		_ = os.Chmod(path, 0o755)
	}
	if err := os.WriteFile(filepath.Join(root, "fw.bin"), []byte("firmware"), 0o000); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env, cmd.Dir = []string{openIn + "=" + root}, "/"
	if os.Getuid() == 0 { // who may read everything
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	}
	out, err := cmd.CombinedOutput()
	const want = `Artifact "fw.bin" cannot be published: its mode, or that of a folder above it, keeps others from ` +
		"reading it: let the build change that with chmod"
	if err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("%v %s", err, out)
	}
}

// TestWhatIsNoFileOfTheWorkspaceIsNamed by what it is.
func TestWhatIsNoFileOfTheWorkspaceIsNamed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "real.bin"), []byte("firmware"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "real.bin"), filepath.Join(root, "link.bin")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ root, path, want string }{
		{root, "link.bin", "it is a link with an absolute path: make that relative, or copy the file"},
		{"/dev", "null", "it is no regular file"},
	} {
		_, err := artifact.Firmware{Root: tt.root, Artifact: tt.path}.Open()
		if want := fmt.Sprintf("Artifact %q cannot be published: %s", tt.path, tt.want); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
