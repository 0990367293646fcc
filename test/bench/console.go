// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing/fstest"

	"github.com/drogue-iot/ajour/pkg/git/gittest"
	"github.com/drogue-iot/ajour/test/console"
)

const (
	// maxPage is how long a page of the console may take to its first data after its load, in
	// milliseconds, and maxLog how long a log of 16 MB to its last line.
	maxPage = 300
	maxLog  = 3000
	// maxChange is how long a change may take to an open page, in milliseconds.
	maxChange = 200
)

// console measures how long pages of the web console take, in a browser, with 10,000 devices and 200 builds.
func (b *bench) console(ctx context.Context) error {
	const name = "console"
	if b.skips(name) {
		return nil
	}
	root := filepath.Join(b.dir, "console-git")
	if err := os.Mkdir(root, 0o700); err != nil {
		return err
	}
	server, err := gittest.New(ctx, root)
	if err != nil {
		return err
	}
	repo, err := server.Create(ctx, "fw")
	if err != nil {
		return err
	}
	if _, err := repo.Commit(ctx, "main", fstest.MapFS{"README": {Data: []byte("x"), Mode: 0o644}}); err != nil {
		return err
	}
	srv := httptest.NewServer(server)
	defer srv.Close()
	scripts := console.Scripts{
		Folder: "test/console", Program: filepath.Join(b.dir, "ajour"), Repository: srv.URL + repo.Path(),
	}
	cmd, err := scripts.Command(ctx, "measure.js")
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("measure console: %w", err)
	}
	var took map[string]struct{ All, AfterLoad []float64 }
	if err := json.Unmarshal(out, &took); err != nil {
		return fmt.Errorf("measure console: %w: %s", err, out)
	}
	for _, row := range []struct {
		name  string
		took  []float64
		limit float64
	}{
		{"console: first data of /", took["overview"].AfterLoad, maxPage},
		{"console: 50 of 200 builds", took["builds"].AfterLoad, maxPage},
		{"console: 100 of 10,000 devices", took["devices"].AfterLoad, maxPage},
		{"console: trigger to its row", took["changes"].All, maxChange},
		{"console: devices, with its files", took["devices"].All, maxPage},
		{"console: log of 16 MB", took["log"].All, maxLog},
	} {
		slices.Sort(row.took)
		median := row.took[len(row.took)/2]
		fmt.Fprintf(
			b.out, "%-34s %5d %7.0f ms %10s %7.2f  %.0f ms\n", row.name, len(row.took), median, "", median/row.limit, row.limit,
		)
	}
	return nil
}
