// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package artifact

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

// MaxSize is the largest firmware that the update server can deliver: it
// keeps sizes in 32 bits (contract 6.2).
const MaxSize = 1<<32 - 1

// Firmware says which file a build left, and what it is.
type Firmware struct {
	// Root is the workspace. It is one that the builder cannot replace, such as a mount:
	// a link in its place would lead anywhere.
	Root string
	// Folder is that which the build started in, below Root; Artifact is the path of the
	// firmware below that.
	Folder, Artifact string
	// MaxSize is the largest size in bytes that the description allows, 0 for any.
	MaxSize int64
	// Version is the REVISION that the builder was given.
	Version string
}

// File is an open file of a build whose bytes were read once.
type File struct {
	// Path is that of the description, relative to the folder that the build started in.
	Path string
	// Size is in bytes; SHA256 is in hexadecimal digits.
	Size   int64
	SHA256 string

	file *os.File
}

// Open opens the firmware, and checks it against the size budget. The errors are
// [*build.StepError] with the reason ArtifactNotFound or ArtifactInvalid.
func (f Firmware) Open() (*File, error) {
	limit, why := int64(MaxSize), "can be delivered"
	if f.MaxSize > 0 && f.MaxSize < limit {
		limit, why = f.MaxSize, "artifact.maxSize allows"
	}
	return f.OpenFile(f.Artifact, limit, why)
}

// OpenFile opens a file that the builder left, without following a link out of the
// workspace and without waiting for the other end of a FIFO. The limit is in bytes; why
// ends the sentence that refuses a larger file. The errors are those of [Firmware.Open].
func (f Firmware) OpenFile(path string, limit int64, why string) (*File, error) {
	root, err := os.OpenRoot(f.Root)
	if err != nil {
		return nil, notFound(path, err)
	}
	defer root.Close()
	file, err := root.OpenFile(
		filepath.Join(filepath.FromSlash(f.Folder), filepath.FromSlash(path)), os.O_RDONLY|syscall.O_NONBLOCK, 0,
	)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, notFound(path, err)
	case errors.Is(err, fs.ErrPermission):
		return nil, invalid(path, "its mode, or that of a folder above it, keeps others from reading it: let the build "+
			"change that with chmod", err)
	case err != nil && absoluteLink(root, f.Folder, path):
		return nil, invalid(path, "it is a link with an absolute path: make that relative, or copy the file", err)
	case err != nil:
		return nil, invalid(path, "it cannot be read inside the source folder", err)
	}
	a := &File{Path: path, file: file}
	if err := a.check(root, limit, why); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return a, nil
}

func absoluteLink(root *os.Root, folder, path string) bool {
	to, err := root.Readlink(filepath.Join(filepath.FromSlash(folder), filepath.FromSlash(path)))
	return err == nil && filepath.IsAbs(to)
}

func (a *File) check(root *os.Root, limit int64, why string) error {
	info, err := a.file.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("look at artifact: %w", err)
	case info.IsDir():
		return invalid(a.Path, "it is a folder: name a file", nil)
	case !info.Mode().IsRegular():
		return invalid(a.Path, "it is no regular file", nil)
	case info.Size() == 0:
		return invalid(a.Path, "it is empty", nil)
	case info.Size() > limit:
		return invalid(
			a.Path,
			fmt.Sprintf("it has %d bytes, %d more than the %d that %s", info.Size(), info.Size()-limit, limit, why),
			nil,
		)
	}
	if err := a.checkLinks(root, info); err != nil {
		return err
	}
	sum, size, err := a.hash(limit)
	if err != nil {
		return fmt.Errorf("read artifact: %w", err)
	}
	if size != info.Size() {
		return a.changed()
	}
	a.SHA256, a.Size = sum, size
	return nil
}

// checkLinks refuses a file that has a name outside of the workspace, too. On a cluster
// that is a volume of its own, which links cannot leave; on a developer's machine they
// can. Compilers do link what they made to a second place inside.
func (a *File) checkLinks(root *os.Root, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Nlink == 1 {
		return nil
	}
	var inside uint64
	err := fs.WalkDir(root.FS(), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what cannot be looked at is not counted
		}
		if other, err := d.Info(); err == nil && os.SameFile(info, other) {
			inside++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for links of artifact: %w", err)
	}
	if inside != uint64(stat.Nlink) { //nolint:unconvert // of a different size on other machines
		return invalid(a.Path, "it is linked to from outside of the workspace", nil)
	}
	return nil
}

// hash reads all of the file, one byte past the limit at most.
func (a *File) hash(limit int64) (sum string, size int64, err error) {
	h := sha256.New()
	size, err = io.Copy(h, io.NewSectionReader(a.file, 0, limit+1))
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// Close closes the file.
func (a *File) Close() error { return a.file.Close() }

// Reader returns a new reader of the bytes that were checked.
func (a *File) Reader() io.Reader { return io.NewSectionReader(a.file, 0, a.Size) }

// Unchanged returns an error if the bytes are no longer those that were checked. It is
// for the moment after a registry refused them.
func (a *File) Unchanged() error {
	if sum, _, err := a.hash(a.Size); err == nil && sum != a.SHA256 {
		return a.changed()
	}
	return nil
}

func (a *File) changed() error {
	return invalid(a.Path, "it changed while it was read: something that the builder started still runs", nil)
}

func notFound(path string, err error) error {
	return &build.StepError{
		Reason: build.ReasonArtifactNotFound,
		Message: fmt.Sprintf(
			"The builder left no file %q: check artifact.path, which is relative to the folder that it builds in",
			path,
		),
		Err: err,
	}
}

func invalid(path, why string, err error) error {
	return &build.StepError{
		Reason:  build.ReasonArtifactInvalid,
		Message: fmt.Sprintf("Artifact %q cannot be published: %s", path, why),
		Err:     err,
	}
}
