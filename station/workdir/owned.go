package workdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// ErrOwned: a path belongs to the station, so nothing else is written there.
var ErrOwned = errors.New("this path belongs to the station: its own files and directories are never overwritten, also if they do not exist yet; name another one")

// ours are the names in a station directory that the station reads or writes. Names that begin
// with one of the prefixes are the registry with its companions, and files that are being written.
var (
	ours        = []string{"station.yaml", "profile.yaml", "profile-cose.yaml", "badges.yaml", "hsm", "pki", "certificates", "bays", "notices", "copies", "log", journal}
	ourPrefixes = []string{"registry.", temporaryPrefix}
)

// MayWrite refuses with ErrOwned, as an error of usage, an output whose path is one of the
// station's own, also through symbolic links and as a hard link. The path may not exist yet.
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

func (d Dir) owns(path string) (bool, error) {
	real, err := follow(path)
	if err != nil {
		return false, err
	}
	home, err := filepath.EvalSymlinks(string(d))
	if err != nil {
		return false, err
	}
	inside, err := filepath.Rel(home, real)
	if err != nil {
		return false, err
	}
	first, _, _ := strings.Cut(inside, string(filepath.Separator))
	if first == "." || slices.Contains(ours, first) || slices.ContainsFunc(ourPrefixes, func(p string) bool { return strings.HasPrefix(first, p) }) {
		return true, nil
	}
	return linked(home, real)
}

// maxLinks bounds the symbolic links of a path, as the kernel does (path_resolution(7)).
const maxLinks = 40

// follow gives the path that opening would make or change: it follows symbolic links, also to a
// file or a directory that does not exist.
func follow(path string) (string, error) {
	path, err := filepath.Abs(path)
	for range maxLinks {
		if err != nil || path == string(filepath.Separator) {
			return path, err
		}
		folder, err := follow(filepath.Dir(path))
		if err != nil {
			return "", err
		}
		path = filepath.Join(folder, filepath.Base(path))
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

// linked reports whether an existing file is a hard link to one of the station's own files.
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
	for _, name := range ourPaths(home) {
		if found, err = contains(name, info); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// ourPaths gives the files and directories of the station that exist.
func ourPaths(home string) (paths []string) {
	for _, name := range ours {
		paths = append(paths, filepath.Join(home, name))
	}
	for _, prefix := range ourPrefixes {
		more, err := filepath.Glob(filepath.Join(escape(home), prefix+"*"))
		if err == nil { // the pattern is right
			paths = append(paths, more...)
		}
	}
	return paths
}

// escape makes a pattern of filepath.Match from a path.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
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
