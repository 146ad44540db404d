package workdir

import (
	"fmt"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// ErrDiskFull: less space is free than the configuration demands.
var ErrDiskFull = reason.New("disk-full", "too little free space for the registry; free some, or lower minimum_free_mib in station.yaml")

// FreeMiB returns the free space for ordinary users, in MiB.
func (d Dir) FreeMiB() (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(string(d), &fs); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", d, err)
	}
	return fs.Bavail * uint64(fs.Bsize) >> 20, nil
}

// HasSpace returns ErrDiskFull if fewer than minimum MiB are free. A Run must not begin if the
// registry could not record the Run.
func (d Dir) HasSpace(minimum int) error {
	free, err := d.FreeMiB()
	if err != nil {
		return err
	}
	if free < uint64(minimum) {
		return fmt.Errorf("%s: %d MiB free, want %d: %w", d, free, minimum, ErrDiskFull)
	}
	return nil
}
