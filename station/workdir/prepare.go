package workdir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	ErrOtherJournal  = errors.New("this is no journal of `station init` of this version; name a new directory, or move the file away if no key on a token is to be adopted")
	ErrOtherRegistry = errors.New("the `station init` that was stopped here has not made this registry, so nothing is removed; move registry.db and what belongs to it to a safe place, or name a new directory")
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
	return Dir(path), made, Dir(path).usable(Exists(Dir(path).In(journal))) // Begin looks again, with the journal
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

// usable refuses a directory that holds anything of somebody else, or a finished station. begun says whether an `init` that was
// stopped may have left something.
func (d Dir) usable(begun bool) error {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return reason.Usage(fmt.Errorf("%s: want a directory that is new or empty: %w", d, err))
	}
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

// Rows of the journal of `init`.
const (
	journalHead = `{"act":"init"}` + "\n"     // the first line, before `init` makes anything
	registryRow = `{"act":"registry"}` + "\n" // before `init` makes the registry
)

// Begin opens the journal of `init` for one process, and removes what a stopped `init` left beside the journal. Only the line that
// `init` writes first gives it the right: anybody may have put an empty file there.
func (d Dir) Begin() (*os.File, error) {
	file, err := OpenJournal(d.In(journal), os.O_CREATE)
	if err != nil {
		return nil, reason.Usage(fmt.Errorf("%s: %w: %w", d, ErrNoDirectory, err))
	}
	if err := d.begin(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (d Dir) begin(file *os.File) error {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, MaxFile))
	if err != nil {
		return fmt.Errorf("reading the journal of init: %w", err)
	}
	begun := bytes.HasPrefix(text, []byte(journalHead))
	if !begun && !strings.HasPrefix(journalHead, string(text)) { // a power cut can tear the first line
		return reason.Usage(fmt.Errorf("%s: %w", file.Name(), ErrOtherJournal))
	}
	if err := d.usable(begun); err != nil { // another `init` may have finished since the first look
		if len(text) == 0 {
			err = errors.Join(err, os.Remove(file.Name()))
		}
		return err
	}
	if begun {
		if Exists(d.Registry()) && !bytes.Contains(text, []byte(registryRow)) {
			return reason.Usage(fmt.Errorf("%s: %w", d.Registry(), ErrOtherRegistry))
		}
		return errors.Join(d.Clear(), SyncFolder(string(d)))
	}
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("beginning the journal of init: %w", err)
	}
	if _, err := file.WriteString(journalHead); err != nil {
		return fmt.Errorf("beginning the journal of init: %w", err)
	}
	return errors.Join(file.Sync(), SyncFolder(string(d)))
}

// BeginRegistry notes in the journal of `init` that a registry in this directory is its own from now on.
func BeginRegistry(journal *os.File) error {
	if _, err := journal.WriteString("\n" + registryRow); err != nil {
		return fmt.Errorf("writing the journal of init: %w", err)
	}
	return journal.Sync()
}

// EndFinished removes the journal beside a finished station: an `init` that was killed behind its last step left it. The journal
// of an `init` that still runs stays.
func (d Dir) EndFinished() error {
	if !Exists(d.In(journal)) || !Exists(d.Config()) {
		return nil
	}
	file, err := OpenJournal(d.In(journal), 0)
	if errors.Is(err, ErrJournalInUse) || errors.Is(err, fs.ErrNotExist) {
		return nil // its own process removes it, or has done so
	} else if err != nil {
		return err
	}
	return errors.Join(d.End(), file.Close())
}

// OpenJournal opens the journal of an act that may go on after a stop, for one process. flags say whether it may be made. The journal
// names keys that the act adopts, and gives the right to remove what the act has made, so it must be this user's own: with another one, somebody who
// prepared the directory would choose the keys.
func OpenJournal(path string, flags int) (*os.File, error) {
	file, err := openRegular(path, flags|os.O_RDWR|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	var status unix.Stat_t
	err = unix.Fstat(int(file.Fd()), &status)
	if err == nil && (int(status.Uid) != os.Geteuid() || status.Mode&0o022 != 0) {
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
