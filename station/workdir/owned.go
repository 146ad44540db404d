package workdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// ErrOwned: a path lies in the station directory, so nothing else is written there.
var ErrOwned = errors.New("this path belongs to the station: in its directory only the station itself makes files, and its files are never overwritten; name a path outside of the directory")

// MayWrite refuses with ErrOwned, as an error of usage, an output whose path lies in the station
// directory, also through symbolic links, and a hard link to a file in it. The path need not exist.
func (d Dir) MayWrite(path string) error {
	owned, err := d.owns(path)
	if err == nil && owned {
		err = reason.Usage(ErrOwned)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// InFolder refuses a path for a new file whose directory is not there. A tool would say only what the kernel says.
func InFolder(path string) error {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return reason.Usage(fmt.Errorf("%s: the directory %s does not exist; make it, or name another path", path, folder))
	case errors.Is(err, unix.ENOTDIR) || err == nil && !info.IsDir():
		return reason.Usage(fmt.Errorf("%s: %s is no directory; name another path", path, folder))
	case err != nil:
		return reason.Usage(fmt.Errorf("%s: %w", path, err))
	}
	return nil
}

func (d Dir) owns(path string) (bool, error) {
	real, err := follow(path, func(string) error { return nil })
	if err != nil {
		return false, err
	}
	home, err := filepath.EvalSymlinks(string(d))
	if err != nil {
		return false, err
	}
	if inside, err := filepath.Rel(home, real); err != nil || filepath.IsLocal(inside) {
		return true, err
	}
	return linked(home, real)
}

// maxLinks bounds the symbolic links of a path, as the kernel does (path_resolution(7)).
const maxLinks = 40

// follow gives the path that opening would make or change: it follows symbolic links, also to a
// file or a directory that does not exist. visit sees each directory, each link and the file on the way, and may refuse it.
func follow(path string, visit func(path string) error) (string, error) {
	path, err := filepath.Abs(path)
	for range maxLinks {
		if err != nil || path == string(filepath.Separator) {
			return path, errors.Join(err, visit(string(filepath.Separator)))
		}
		folder, err := follow(filepath.Dir(path), visit)
		if err != nil {
			return "", err
		}
		path = filepath.Join(folder, filepath.Base(path))
		if err := visit(path); err != nil {
			return "", err
		}
		target, err := os.Readlink(path)
		if err != nil { // no link, or nothing there
			return path, nil
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(folder, target)
		}
		path = target
	}
	return "", unix.ELOOP
}

// linked reports whether an existing file is a hard link to a file of the station.
func linked(home, real string) (found bool, err error) {
	info, err := os.Stat(real)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	var status unix.Stat_t
	if err := unix.Stat(real, &status); err != nil || !info.Mode().IsRegular() || status.Nlink < 2 {
		return false, err
	}
	return contains(home, info)
}

// contains reports whether a file is this one, or lies below a directory.
func contains(path string, one os.FileInfo) (found bool, err error) {
	err = filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && os.SameFile(info, one) {
			found = true
			return fs.SkipAll
		}
		return err
	})
	return found, err
}
