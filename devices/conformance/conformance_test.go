package conformance

import (
	"flag"
	"path"
	"path/filepath"
	"testing"

	"hallmark/devices"
	"hallmark/fixtures/prerequisite"
)

var (
	board  = flag.String("board", "", "run the suite on this board alone: "+grammar+"; an IMAGE is an absolute path")
	baud   = flag.Int("baud", 115200, "speed of a port: board")
	erase  = flag.String("erase", "", "a `program` that erases the store of a port: board, run before each check")
	zephyr = flag.Bool("zephyr", false, "the port: board runs the Zephyr module, in an image whose MCUmgr does not tell it (CONFIG_MCUMGR_GRP_OS_INFO=n)")
	seal   = flag.Bool("seal", false, "let the suite seal a port: board; it needs -erase")
)

// TestABoardConforms runs the suite on every board that `make firmware` builds, or on
// the board that -board names.
func TestABoardConforms(t *testing.T) {
	if *board != "" {
		t.Run(path.Base(*board), func(t *testing.T) { conforms(t, *board, false) })
		return
	}
	for _, one := range []struct {
		spec       string
		noCutTable bool
	}{{"posix", false}, {"qemu:an385", true}, {"qemu:an521", false}} { // the two machines have one core and one flash file
		t.Run(path.Base(one.spec), func(t *testing.T) {
			t.Parallel()
			conforms(t, one.spec, one.noCutTable)
		})
	}
}

// The images that `make firmware` builds by default have either write or update. This one has both, on each port.
func TestAnImageWithUpdateConforms(t *testing.T) {
	for _, one := range []struct{ spec, image string }{
		{"posix", "posix/hallmark-posix-update"}, {"qemu:an385", "qemu/mps2-an385-update.elf"}, {"qemu:an521", "qemu/mps2-an521-update.elf"},
	} {
		t.Run(one.spec, func(t *testing.T) {
			t.Parallel()
			open, err := parse(one.spec+":"+prerequisite.Firmware(t, filepath.Join(builds, one.image)), silicon{})
			if err != nil {
				t.Fatal(err)
			}
			boards := open(t)
			t.Run("takes updates", func(t *testing.T) {
				b := &environment{T: t, ctx: t.Context(), subject: boards.Open(t), options: devices.Options{Answer: answerTime}}
				if !b.identify().Can.Has(devices.CanUpdate) {
					t.Error("the image takes no updates")
				}
			})
			testChapters(t, boards, []chapter{{"update", boardToSeal, updateChecks}})
		})
	}
}

func conforms(t *testing.T, spec string, noCutTable bool) {
	open, err := parse(spec, silicon{baud: *baud, erase: *erase, seal: *seal, zephyr: *zephyr})
	if err != nil {
		t.Fatal(err)
	}
	boards := open(t)
	give := boards.Open
	boards.Open = func(t *testing.T) Subject {
		subject := give(t)
		subject.NoCutTable = noCutTable
		return subject
	}
	TestBoard(t, boards)
}
