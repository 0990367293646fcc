// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// Command screenshots shows every page of the web console, in both themes and at the width of a desk and
// of a phone, with builds that it makes for that.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"testing/fstest"
	"time"

	"github.com/drogue-iot/ajour/pkg/git/gittest"
	"github.com/drogue-iot/ajour/test/console"
)

const limit = 10 * time.Minute

func main() {
	program := flag.String("ajour", "bin/ajour", "`path` of the program ajour")
	out := flag.String("out", ".cache/screenshots", "`folder` for the pictures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ctx, cancel := context.WithTimeout(ctx, limit)
	err := run(ctx, *program, *out)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, program, out string) error {
	dir, err := os.MkdirTemp("", "ajour-screenshots-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	repository, stop, err := serve(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	scripts := console.Scripts{Folder: "test/console", Program: program, Repository: repository}
	cmd, err := scripts.Command(ctx, "screenshots.js")
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, "SCREENSHOTS="+out)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	fmt.Println("The pictures are in", out)
	return nil
}

// serve serves a repository, for builds that bring their own command.
func serve(ctx context.Context, dir string) (url string, stop func(), err error) {
	server, err := gittest.New(ctx, dir)
	if err != nil {
		return "", nil, err
	}
	repo, err := server.Create(ctx, "greenhouse")
	if err != nil {
		return "", nil, err
	}
	if _, err := repo.Commit(ctx, "main", fstest.MapFS{"README": {Data: []byte("x"), Mode: 0o644}}); err != nil {
		return "", nil, err
	}
	srv := httptest.NewServer(http.Handler(server))
	return srv.URL + repo.Path(), srv.Close, nil
}
