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

// artifact is an opened file of a build whose bytes were read once.
type artifact struct {
	path   string
	file   *os.File
	size   int64
	sha256 string
}

// open opens the firmware, and checks it against the size budget.
func (f Firmware) open() (*artifact, error) {
	limit, why := int64(maxArtifact), "can be delivered"
	if f.MaxSize > 0 && f.MaxSize < limit {
		limit, why = f.MaxSize, "artifact.maxSize allows"
	}
	return f.openFile(f.Artifact, limit, why)
}

// openFile opens a file that the builder left, without following a link out of the
// workspace and without waiting for the other end of a FIFO.
func (f Firmware) openFile(path string, limit int64, why string) (*artifact, error) {
	root, err := os.OpenRoot(f.Root)
	if err != nil {
		return nil, notFound(path, err)
	}
	defer root.Close()
	file, err := root.OpenFile(filepath.Join(filepath.FromSlash(f.Folder), filepath.FromSlash(path)), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, notFound(path, err)
	case err != nil:
		return nil, invalid(path, "it cannot be read inside the source folder", err)
	}
	a := &artifact{path: path, file: file}
	if err := a.check(root, limit, why); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return a, nil
}

func (a *artifact) check(root *os.Root, limit int64, why string) error {
	info, err := a.file.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("look at artifact: %w", err)
	case info.IsDir():
		return invalid(a.path, "it is a folder: name a file", nil)
	case !info.Mode().IsRegular():
		return invalid(a.path, "it is no regular file", nil)
	case info.Size() == 0:
		return invalid(a.path, "it is empty", nil)
	case info.Size() > limit:
		return invalid(a.path, fmt.Sprintf("it has %d bytes, %d more than the %d that %s", info.Size(), info.Size()-limit, limit, why), nil)
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
	a.sha256, a.size = sum, size
	return nil
}

// checkLinks refuses a file that has a name outside of the workspace, too. On a cluster
// that is a volume of its own, which links cannot leave; on a developer's machine they
// can. Compilers do link what they made to a second place inside.
func (a *artifact) checkLinks(root *os.Root, info fs.FileInfo) error {
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
	if inside != uint64(stat.Nlink) { //nolint:unconvert // of another size on other machines
		return invalid(a.path, "it is linked to from outside of the workspace", nil)
	}
	return nil
}

// hash reads all of the file, one byte past the limit at most.
func (a *artifact) hash(limit int64) (sum string, size int64, err error) {
	h := sha256.New()
	size, err = io.Copy(h, io.NewSectionReader(a.file, 0, limit+1))
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// reader returns a new reader of the bytes that were checked.
func (a *artifact) reader() io.Reader { return io.NewSectionReader(a.file, 0, a.size) }

// stillTheSame finds out, after a place refused the bytes, whether they are still
// those that were checked.
func (a *artifact) stillTheSame() error {
	if sum, _, err := a.hash(a.size); err == nil && sum != a.sha256 {
		return a.changed()
	}
	return nil
}

func (a *artifact) changed() error {
	return invalid(a.path, "it changed while it was read: something that the builder started still runs", nil)
}

func notFound(path string, err error) error {
	return &build.StepError{
		Reason:  build.ReasonArtifactNotFound,
		Message: fmt.Sprintf("The builder left no file %q: check artifact.path, which is relative to the folder that it builds in", path), Err: err,
	}
}

func invalid(path, why string, err error) error {
	return &build.StepError{Reason: build.ReasonArtifactInvalid, Message: fmt.Sprintf("Artifact %q cannot be published: %s", path, why), Err: err}
}
