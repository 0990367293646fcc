// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"io"
)

// File is one that a build has published. It may be an io.Seeker.
type File struct {
	io.ReadCloser

	// Name is that of an attachment, as the description names it.
	Name string
	// Size is in bytes, SHA256 the bare hexadecimal checksum.
	Size   int64
	SHA256 string
}

// ErrNoAccess says that an installation may not read what it has published.
var ErrNoAccess = errors.New("no access to the registry of artifacts")
