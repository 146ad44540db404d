package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// A mark is a file outside of the database with the number of leases that the hub has given. It is written after a lease is committed and before a station
// is told of the lease. So a database that knows fewer leases was restored from an older copy, and the leases that it forgot are still used; a commit that
// does not succeed leaves no trace in the file.
type mark struct {
	path string
	lock *os.File

	mu     sync.Mutex
	leases int64
}

// ErrBusy: another process is the hub.
var ErrBusy = reason.New("hub-busy", "another process is this hub")

var errMark = errors.New("the file does not hold a number of leases")

func openMark(path string) (*mark, error) {
	m := &mark{path: path}
	var err error
	if m.lock, err = os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600); err != nil {
		return nil, reason.Usage(fmt.Errorf("mark: want a file in a directory that exists and belongs to the user of the hub: %w", err))
	}
	if err := unix.Flock(int(m.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrBusy, path), m.lock.Close())
	}
	text, err := workdir.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		if m.leases, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 62); err != nil {
			err = fmt.Errorf("%s: %w", path, errMark)
		}
	}
	if err != nil {
		return nil, errors.Join(err, m.lock.Close())
	}
	return m, nil
}

func (m *mark) close() error { return m.lock.Close() }

// raise stores a number that is greater than the one before. It is on the disk when raise returns.
func (m *mark) raise(leases int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if leases <= m.leases {
		return nil
	}
	if err := workdir.WriteFile(m.path, fmt.Appendf(nil, "%d\n", leases)); err != nil {
		return fmt.Errorf("writing the number of leases: %w", err)
	}
	m.leases = leases
	return nil
}

func (m *mark) value() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leases
}

// compareMark freezes the leases of a database that knows fewer of them than the mark.
func (s *Store) compareMark(ctx context.Context) error {
	var known int64
	if err := s.pool.QueryRow(ctx, `SELECT coalesce(max(number), 0) FROM lease`).Scan(&known); err != nil {
		return fmt.Errorf("%w: counting the leases: %w", ErrDatabase, err)
	}
	marked := s.mark.value()
	if known >= marked {
		return s.mark.raise(known)
	}
	var noted bool // by a start before this one; the number changes with the next lease
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM lease_freeze WHERE marked >= $1)`, marked).Scan(&noted); err != nil || noted {
		return err
	}
	return s.freeze(ctx, s.pool, fmt.Sprintf("the database knows %s, the file %s %d", reason.Count(known, "lease", "leases"), s.mark.path, marked), &marked)
}
