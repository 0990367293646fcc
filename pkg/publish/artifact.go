// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/drogue-iot/ajour/pkg/build"
)

// maxArtifact is the largest firmware that the update server can deliver: it
// keeps sizes in 32 bits (contract 6.2).
const maxArtifact = 1<<32 - 1

// artifact is an opened firmware file whose bytes were read once.
type artifact struct {
	file   *os.File
	size   int64
	sha256 string
}

// openArtifact opens the file that the builder left, without following a link
// out of the folder and without waiting for the other end of a FIFO.
func openArtifact(folder, path string) (*artifact, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, notFound(path, err)
	}
	defer root.Close()
	file, err := root.OpenFile(filepath.Clean(filepath.FromSlash(path)), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, notFound(path, err)
	case err != nil:
		return nil, invalid(path, "it cannot be read inside the source folder", err)
	}
	a := &artifact{file: file}
	if err := a.check(path); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return a, nil
}

func (a *artifact) check(path string) error {
	info, err := a.file.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("look at artifact: %w", err)
	case info.IsDir():
		return invalid(path, "it is a folder: name a file", nil)
	case !info.Mode().IsRegular():
		return invalid(path, "it is no regular file", nil)
	case info.Size() == 0:
		return invalid(path, "it is empty", nil)
	case info.Size() > maxArtifact:
		return invalid(path, fmt.Sprintf("it has %d bytes, and no more than %d can be delivered", info.Size(), int64(maxArtifact)), nil)
	}
	sum := sha256.New()
	if a.size, err = io.Copy(sum, io.LimitReader(a.file, maxArtifact+1)); err != nil {
		return fmt.Errorf("read artifact: %w", err)
	}
	if a.size != info.Size() {
		return invalid(path, "it changed while it was read", nil)
	}
	a.sha256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// reader returns a new reader of the bytes that were checked.
func (a *artifact) reader() io.Reader { return io.NewSectionReader(a.file, 0, a.size) }

func notFound(path string, err error) error {
	return &build.StepError{
		Reason:  build.ReasonArtifactNotFound,
		Message: fmt.Sprintf("The builder left no file %q: check artifact.path, which is relative to the folder that it builds in", path), Err: err,
	}
}

func invalid(path, why string, err error) error {
	return &build.StepError{Reason: build.ReasonArtifactInvalid, Message: fmt.Sprintf("Artifact %q cannot be published: %s", path, why), Err: err}
}
