// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/drogue-iot/ajour/pkg/git/egress"
)

// sshSetup is what [SSH] needs to know. It lies in a file of the fetch's own
// folder, whose path is all that git passes on.
type sshSetup struct {
	Policy egress.Policy `json:"policy"`
	// KnownHosts is a file in the format of sshd(8), SSH_KNOWN_HOSTS.
	KnownHosts string `json:"knownHosts"`
	// Keys are the files of private keys by host, "" for that of all others.
	Keys map[string]string `json:"keys"`
}

// deniedPrefix marks a connection that the policy does not allow in the output.
const deniedPrefix = "ajour: not allowed: "

// sshCommand is what git runs in place of ssh: a shell reads it, so the arguments of
// our own are quoted. What comes from a repository is added by git as arguments.
func sshCommand(self []string, setup string) string {
	quoted := make([]string, 0, len(self)+1)
	for _, w := range append(append([]string{}, self...), setup) {
		quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(quoted, " ")
}

// sshHost is the form of what git gives to ssh as its destination. It is compiled when
// git does so, not at each start.
var sshHost = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`^(?:([A-Za-z0-9_][A-Za-z0-9_.-]*)@)?([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[?[0-9a-fA-F:]+\]?)$`,
	)
})

// SSH is the program that git runs in place of ssh, as
// "SETUP [-o OPTION]... [-p PORT] [USER@]HOST COMMAND". It looks the host up, checks it
// against the policy, and runs ssh for the address that it found. It returns the
// exit code, 255 as ssh does when there was no connection.
func SSH(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd, err := sshClient(ctx, args)
	if err != nil {
		prefix := "ssh: "
		if denied := (*egress.DeniedError)(nil); errors.As(err, &denied) {
			prefix = deniedPrefix
		}
		fmt.Fprintln(stderr, prefix+err.Error())
		return exitNoConnection
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	var exit *exec.ExitError
	switch err := cmd.Run(); {
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1)
	case err != nil:
		fmt.Fprintln(stderr, "ssh:", err)
		return exitNoConnection
	}
	return 0
}

const exitNoConnection = 255

func sshClient(ctx context.Context, args []string) (*exec.Cmd, error) {
	if len(args) == 0 {
		return nil, errors.New("no setup")
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return nil, err
	}
	var setup sshSetup
	if err := json.Unmarshal(data, &setup); err != nil {
		return nil, fmt.Errorf("read setup: %w", err)
	}
	port, args := "22", args[1:]
	for len(args) > 1 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-p":
			port = args[1]
		case "-o": // git asks to send the version of its protocol
		default:
			return nil, fmt.Errorf("unexpected option %q", args[0])
		}
		args = args[2:]
	}
	if len(args) != 2 {
		return nil, errors.New("expects a host and a command")
	}
	m := sshHost().FindStringSubmatch(args[0])
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || m == nil {
		return nil, &egress.DeniedError{Message: "the address of a repository is no valid one for ssh"}
	}
	user, host := m[1], strings.Trim(m[2], "[]")
	if user == "" {
		user = "git"
	}
	if err := setup.Policy.CheckScheme("ssh"); err != nil { // that of a submodule need not be that of the repository
		return nil, err
	}
	address, at, err := setup.Policy.Reachable(ctx, host, port)
	if err != nil {
		return nil, err
	}
	options := append(setup.options(host, port), "-l", user, "-p", at, "-o", "HostName="+address, "--", host, args[1])
	return exec.CommandContext(ctx, "ssh", options...), nil //nolint:gosec // checked above, no shell
}

// options hold whatever the configuration of the machine says, which is not read.
func (s sshSetup) options(host, port string) []string {
	alias := host
	if port != "22" {
		alias = "[" + host + "]:" + port
	}
	o := []string{"-F", "none", "-T"}
	for _, option := range []string{
		"BatchMode=yes", "StrictHostKeyChecking=yes", "HostKeyAlias=" + alias,
		"UserKnownHostsFile=" + sshPath(s.KnownHosts), "GlobalKnownHostsFile=/dev/null",
		"CheckHostIP=no", "IdentityAgent=none", "IdentitiesOnly=yes", "PreferredAuthentications=publickey",
		"ForwardAgent=no", "ClearAllForwardings=yes",
		"PermitLocalCommand=no", "SendEnv=GIT_PROTOCOL", "ConnectTimeout=10", "ServerAliveInterval=15",
		"ServerAliveCountMax=4",
		"LogLevel=ERROR",
	} {
		o = append(o, "-o", option)
	}
	key, ok := s.Keys[strings.ToLower(host)]
	if !ok {
		key, ok = s.Keys[""]
	}
	if !ok {
		key = "none"
	}
	return append(o, "-o", "IdentityFile="+sshPath(key))
}

// sshPath quotes a path for ssh_config(5), which takes blanks, quotes and "%" for more
// than that.
func sshPath(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(path) + `"`
}

// Names in a folder of credentials: see [Options].
const (
	fileCredentials = ".git-credentials"
	fileKnownHosts  = "known_hosts"
	fileKey         = "ssh-privatekey"
)

// setUpSSH copies keys to where ssh accepts them, for its own user alone, and
// returns the path of the setup.
func setUpSSH(credentials, home string, p egress.Policy) (string, error) {
	setup := sshSetup{Policy: p, KnownHosts: os.DevNull, Keys: map[string]string{}}
	if credentials != "" {
		if hosts := filepath.Join(credentials, fileKnownHosts); exists(hosts) {
			setup.KnownHosts = hosts
		}
		keys, err := filepath.Glob(filepath.Join(credentials, fileKey+"*"))
		if err != nil {
			return "", err
		}
		for _, key := range keys {
			name := filepath.Base(key)
			host, ok := strings.CutPrefix(name, fileKey+".")
			if !ok && name != fileKey {
				continue
			}
			if !ok {
				host = ""
			}
			file, err := copyPrivate(key, filepath.Join(home, name), true)
			if err != nil {
				return "", err
			}
			setup.Keys[strings.ToLower(host)] = file
		}
	}
	data, err := json.Marshal(setup)
	if err != nil {
		return "", err
	}
	file := filepath.Join(home, "ssh.json")
	return file, os.WriteFile(file, data, 0o600)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// copyPrivate copies a file for this user alone. A key without a newline at its
// end is none to ssh, and is what a careless "kubectl create secret" makes.
func copyPrivate(from, to string, newline bool) (string, error) {
	data, err := os.ReadFile(from) //nolint:gosec // a name that the installation chose
	if err != nil {
		return "", fmt.Errorf("read git credentials: %w", err)
	}
	if newline && len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	if err := os.WriteFile(to, data, 0o600); err != nil { //nolint:gosec // in a folder of our own
		return "", fmt.Errorf("copy git credentials: %w", err)
	}
	return to, nil
}
