package workdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// journal is the file in a directory in which `init` has begun a station and not finished it.
const journal = "init.unfinished"

// maxPath is the longest path of a station directory, in octets. SQLite opens no file whose path has more than
// 512 octets (MAX_PATHNAME of os_unix.c), and the registry has companions with longer names.
const maxPath = 440

// Errors of a directory in which no station can be made.
var (
	ErrPathTooLong   = fmt.Errorf("the path has more than %d octets, and the registry's database opens no longer one; name a shorter path", maxPath)
	ErrNoDirectory   = errors.New("no station can be made here; name a directory that you may write")
	ErrDanglingLink  = errors.New("this is a link that leads nowhere; make the directory that it names, or name another one")
	ErrOthersJournal = errors.New("this belongs to another user, or others may write it, and it names the keys that would be adopted; go on as the user who began, or name a new directory")
	ErrJournalInUse  = errors.New("another process does this, or has just ended it; wait for it, and look at what it made")
)

// Prepare proves that a station can be made in a directory: the directory is new, or holds nothing but lost+found
// or what a stopped `init` left. It follows a link and never replaces it. It returns the real path of the
// directory, and whether Prepare has made it.
func (d Dir) Prepare() (real Dir, made bool, err error) {
	if len(d) > maxPath {
		return "", false, reason.Usage(fmt.Errorf("%s: %w", d, ErrPathTooLong))
	}
	if _, err := os.Stat(string(d)); errors.Is(err, fs.ErrNotExist) {
		if made, err = d.make(); err != nil {
			return "", made, err
		}
	}
	path, err := filepath.EvalSymlinks(string(d))
	if err != nil {
		return "", made, reason.Usage(fmt.Errorf("%s: %w: %w", d, ErrNoDirectory, err))
	}
	if len(path) > maxPath {
		return "", made, reason.Usage(fmt.Errorf("%s: %w", path, ErrPathTooLong))
	}
	return Dir(path), made, Dir(path).usable()
}

func (d Dir) make() (made bool, err error) {
	if info, err := os.Lstat(string(d)); err == nil && info.Mode()&os.ModeSymlink != 0 {
		return false, reason.Usage(fmt.Errorf("%s: %w", d, ErrDanglingLink))
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return false, reason.Usage(fmt.Errorf("%w: %w", ErrNoDirectory, err))
	}
	return true, nil
}

// usable refuses a directory that holds anything of somebody else, or a finished station.
func (d Dir) usable() error {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return reason.Usage(fmt.Errorf("%s: want a directory that is new or empty: %w", d, err))
	}
	begun := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == journal })
	for _, entry := range entries {
		// mkfs makes lost+found in each ext file system.
		if name := entry.Name(); name == "lost+found" || name == journal || begun && name != "station.yaml" && isOurs(name) {
			continue
		}
		return reason.Usage(fmt.Errorf("%s: %w", d, ErrNotEmpty))
	}
	return nil
}

// ours are the names in a station directory that the station reads or writes. Names that begin
// with one of the prefixes are the registry with its companions, and files that are being written.
var (
	ours        = []string{"station.yaml", "profile.yaml", "profile-cose.yaml", "badges.yaml", "hsm", "pki", "certificates", "bays", "notices", "copies", "log", journal}
	ourPrefixes = []string{"registry.", temporaryPrefix}
)

func isOurs(name string) bool {
	return slices.Contains(ours, name) || slices.ContainsFunc(ourPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// Begin opens the journal of `init` for one process, and removes what a stopped `init` left beside the journal.
func (d Dir) Begin() (*os.File, error) {
	file, err := OpenJournal(d.In(journal), os.O_CREATE)
	if err != nil {
		return nil, reason.Usage(fmt.Errorf("%s: %w: %w", d, ErrNoDirectory, err))
	}
	if err := d.usable(); err != nil { // another `init` may have finished since the first look
		if info, bad := file.Stat(); bad == nil && info.Size() == 0 { // it names no keys
			err = errors.Join(err, os.Remove(file.Name()))
		}
		return nil, errors.Join(err, file.Close())
	}
	if err := errors.Join(d.Clear(), file.Sync(), SyncFolder(string(d))); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// OpenJournal opens the journal of an act that may go on after a stop, for one process. flags say whether it may be made. The journal
// names keys that the act adopts, so a journal with content must be this user's own: with another one, somebody who
// prepared the directory would choose the keys.
func OpenJournal(path string, flags int) (*os.File, error) {
	file, err := openRegular(path, flags|os.O_RDWR|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	var status unix.Stat_t
	err = unix.Fstat(int(file.Fd()), &status)
	if err == nil && status.Size > 0 && (int(status.Uid) != os.Geteuid() || status.Mode&0o022 != 0) {
		err = fmt.Errorf("%s: %w", path, ErrOthersJournal)
	}
	if err == nil {
		err = claim(file, path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// claim locks an open journal. A journal that another process has removed since it was opened belongs to an act that has ended.
func claim(journal *os.File, path string) error {
	err := unix.Flock(int(journal.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%s: %w", path, ErrJournalInUse)
	} else if err != nil {
		return fmt.Errorf("locking %s: %w", path, err)
	}
	mine, err := journal.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(mine, now) {
		return fmt.Errorf("%s: %w", path, ErrJournalInUse)
	}
	return nil
}

// Clear removes everything that belongs to a station, except the journal of `init`.
func (d Dir) Clear() error {
	entries, err := os.ReadDir(string(d))
	for _, entry := range entries {
		if name := entry.Name(); name != journal && isOurs(name) {
			err = errors.Join(err, os.RemoveAll(d.In(name)))
		}
	}
	return err
}

// End removes the journal of `init`.
func (d Dir) End() error { return os.Remove(d.In(journal)) }
