package reason

import (
	"fmt"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// EndCrashesBySignal makes a crash end the program with SIGABRT. A Go panic would otherwise
// end with exit code 2, which is ExitReject, so a crash of the station would condemn a board.
// It also forbids core dumps, because a core could hold a PIN or a key.
func EndCrashesBySignal() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbidding core dumps: %w", err)
	}
	debug.SetTraceback("crash")
	return nil
}
