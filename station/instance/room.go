package instance

import (
	"errors"

	"hallmark/station/workdir"
)

// boardOctets is what a board with one Run takes on the disk: entries of the audit log, rows,
// certificate. Measured with 100,000 boards.
const boardOctets = 7500

// lowRoom is the number of boards below which the room is low: a line makes them in some days.
const lowRoom = 10_000

// ErrLowRoom: the disk has room for few boards.
var ErrLowRoom = errors.New("the disk is nearly full for the record: make room before no Run can begin")

// Room gives the number of boards for which the disk has room above the floor, in MiB. The error is
// ErrLowRoom if these are few.
func Room(dir workdir.Dir, floor int) (boards uint64, err error) {
	free, err := dir.FreeMiB()
	if err != nil {
		return 0, err
	}
	if free > uint64(floor) {
		boards = (free - uint64(floor)) << 20 / boardOctets
	}
	return boards, roomError(boards)
}

func roomError(boards uint64) error {
	if boards < lowRoom {
		return ErrLowRoom
	}
	return nil
}
