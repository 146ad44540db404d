package conformance

import (
	"flag"
	"path"
	"testing"
)

var (
	board  = flag.String("board", "", "run the suite on this board alone: "+grammar+"; an IMAGE is an absolute path")
	baud   = flag.Int("baud", 115200, "speed of a port: board")
	erase  = flag.String("erase", "", "a `program` that erases the store of a port: board, run before each check")
	zephyr = flag.Bool("zephyr", false, "the port: board runs the Zephyr module")
	seal   = flag.Bool("seal", false, "let the suite seal a port: board; it needs -erase")
)

// TestABoardConforms runs the suite on every board that `make firmware` builds, or on
// the board that -board names.
func TestABoardConforms(t *testing.T) {
	specs := []string{"posix", "qemu:an385", "qemu:an521"}
	if *board != "" {
		specs = []string{*board}
	}
	for _, spec := range specs {
		t.Run(path.Base(spec), func(t *testing.T) {
			boards, err := parse(spec, silicon{baud: *baud, erase: *erase, seal: *seal, zephyr: *zephyr})
			if err != nil {
				t.Fatal(err)
			}
			TestBoard(t, boards(t))
		})
	}
}
