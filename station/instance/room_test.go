package instance

import (
	"errors"
	"testing"

	"hallmark/station/workdir"
)

func TestTheRoomForBoards(t *testing.T) {
	dir := workdir.Dir(t.TempDir())
	free, err := dir.FreeMiB()
	if err != nil {
		t.Fatal(err)
	}
	if boards, err := Room(dir, int(free)+1000); boards != 0 || !errors.Is(err, ErrLowRoom) {
		t.Errorf("above the floor is nothing: %d, %v", boards, err)
	}
	if err := roomError(lowRoom - 1); !errors.Is(err, ErrLowRoom) {
		t.Errorf("got %v", err)
	}
	if err := roomError(lowRoom); err != nil {
		t.Error(err)
	}
}
