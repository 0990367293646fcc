// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drogue-iot/ajour/pkg/git/egress"
)

// TestSSHUnderstandsThePaths asks ssh what it makes of the options.
func TestSSHUnderstandsThePaths(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"/plain", "/a b", "/a'b", `/a"b`, `/a\b`, "/100%h", "/~x"} {
		setup := sshSetup{KnownHosts: dir + "/known_hosts", Keys: map[string]string{"": dir + "/key"}}
		out, err := exec.CommandContext(
			t.Context(),
			"ssh",
			append(setup.options("h", "22"), "-G", "--", "h")...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v %s", dir, err, out)
		}
		for _, line := range []string{"\nuserknownhostsfile " + dir + "/known_hosts\n", "\nidentityfile " + dir + "/key\n"} {
			// What is left of an escaped percent sign is shown as it is stored.
			if !strings.Contains(strings.ReplaceAll(string(out), "%%", "%"), line) {
				t.Errorf("%q is not in\n%s", line, out)
			}
		}
	}
}

// FuzzSSH: whatever git passes on of a repository's address, ssh gets one host and one
// command behind the end of its options, or is not run.
func FuzzSSH(f *testing.F) {
	for _, args := range []string{
		"git@127.0.0.1\ngit-upload-pack 'a.git'", "-p\n22\n127.0.0.1\ngit-upload-pack 'a.git'", "-o\nSendEnv=GIT_PROTOCOL\n-p\n2222\nme@127.0.0.1\nx",
		"-oProxyCommand=x\nx", "127.0.0.1", "", "-p\n-1\n127.0.0.1\nx", "-l\nroot\n127.0.0.1\nx", "a@-b\nx", "[::1]\nx", "-p\n22\n-v\nx",
	} {
		f.Add(args)
	}
	setup := filepath.Join(f.TempDir(), "ssh.json")
	data, err := json.Marshal(
		sshSetup{
			Policy: egress.Policy{
				Schemes:   []string{"ssh"},
				Hosts:     []string{"127.0.0.1"},
				Addresses: []string{"127.0.0.0/8"},
			},
			KnownHosts: "/known",
		},
	)
	if err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(setup, data, 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, args string) {
		fields := strings.Split(args, "\n")
		cmd, err := sshClient(t.Context(), append([]string{setup}, fields...))
		if err != nil {
			return
		}
		end := slices.Index(cmd.Args, "--")
		if got := cmd.Args[end+1:]; end < 0 || len(got) != 2 || got[0] != "127.0.0.1" || got[1] != fields[len(fields)-1] {
			t.Fatalf("%q becomes %q", fields, cmd.Args)
		}
		// Of what was given, the options hold a user and a port alone.
		options := slices.Clone(cmd.Args[1:end])
		user, port := slices.Index(options, "-l"), slices.Index(options, "-p")
		if strings.HasPrefix(options[user+1], "-") || strings.Trim(options[port+1], "0123456789") != "" {
			t.Fatalf("%q becomes %q", fields, cmd.Args)
		}
	})
}
