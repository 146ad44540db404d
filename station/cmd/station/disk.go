package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

var errDiskFull = errors.New("too little free space for the registry; free some, or lower minimum_free_mib in station.yaml")

// freeMiB is the space that an ordinary user can still fill below path.
func freeMiB(path string) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", path, err)
	}
	return fs.Bavail * uint64(fs.Bsize) >> 20, nil
}

// roomOnDisk refuses to begin Runs that the registry could not record.
func (b *bench) roomOnDisk() error {
	free, err := freeMiB(string(b.state))
	if err != nil {
		return err
	}
	if free < uint64(b.config.DiskFloor) {
		return fmt.Errorf("%s: %d MiB free, want %d: %w", b.state, free, b.config.DiskFloor, errDiskFull)
	}
	return nil
}
