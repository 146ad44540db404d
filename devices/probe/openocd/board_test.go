package openocd

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/devices/probe"
	"hallmark/fixtures/jlink"
)

// The whole line on one real board: blank, flashed by the probe, alive on its UART, read back, locked, erased.
func TestABlankBoardGetsItsFirmwareFromTheProbe(t *testing.T) {
	board, image := blankBoard(t), provisioning(t)
	bay := connect(t, Config{Chip: an385()}, jlink.NewQEMU(board, true))

	info, err := bay.Info(t.Context())
	if err != nil || info.Serial != serial || info.Millivolts != 3300 || info.Target != "Cortex-M3 r2p1 0x2ba01477" {
		t.Fatalf("got %+v, %v", info, err)
	}
	var reports []int
	err = bay.Flash(t.Context(), image, func(done, total int) { reports = append(reports, 100*done/total) })
	if err != nil || !slices.IsSorted(reports) || len(reports) < 10 || reports[0] != 0 || reports[len(reports)-1] != 100 {
		t.Fatalf("progress %v, %v", reports, err)
	}
	first := identify(t, board)
	for _, segment := range image.Segments {
		got, err := bay.ReadMemory(t.Context(), segment.Address, len(segment.Data))
		if err != nil || !bytes.Equal(got, segment.Data) {
			t.Errorf("memory at %#x differs, %v", segment.Address, err)
		}
	}
	if second := identify(t, board); second.ID != first.ID || second.Boot != first.Boot {
		t.Errorf("the board restarted while its memory was read: %+v, %+v", first, second)
	}
	lockAndRecover(t, bay)
	if err := bay.Flash(t.Context(), image, nil); err != nil {
		t.Errorf("after a recover: %v", err)
	}
	if again := identify(t, board); again.ID != first.ID || again.Boot == first.Boot {
		t.Errorf("after a new flash: %+v, before %+v", again, first)
	}
}

func identify(t *testing.T, board *emulated.Board) devices.Identity {
	t.Helper()
	client := devices.NewClient(board.Transport(), devices.Options{Answer: 5 * time.Second, Timeout: 5 * time.Second, Retries: 5})
	defer func() { closes(t, client.Detach) }()
	identity, err := client.Identify(t.Context())
	if err != nil {
		t.Fatalf("%v; stderr: %s", err, board.Stderr())
	}
	return identity
}

// lockAndRecover locks the chip, and unlocks it by erasing it.
func lockAndRecover(t *testing.T, bay *bay) {
	t.Helper()
	stateIs(t, bay, probe.Open)
	if err := bay.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	stateIs(t, bay, probe.Locked)
	_, err := bay.ReadMemory(t.Context(), 0, 16)
	if !errors.Is(err, probe.ErrLocked) {
		t.Errorf("reading a locked chip: %v", err)
	}
	image, err := probe.ParseImage("fw.bin", []byte("image"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := bay.Flash(t.Context(), image, nil); !errors.Is(err, probe.ErrLocked) || errors.Is(err, probe.ErrNeedsFlash) {
		t.Errorf("flashing a locked chip: %v", err)
	}
	stateIs(t, bay, probe.Locked) // no call has unlocked it
	if err := bay.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	stateIs(t, bay, probe.Open)
	if got, err := bay.ReadMemory(t.Context(), 0, 16); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{0xff}, 16)) {
		t.Errorf("after a recover: %x, %v", got, err)
	}
}

func stateIs(t *testing.T, bay *bay, want probe.LockState) {
	t.Helper()
	if got, err := bay.LockState(t.Context()); err != nil || got != want {
		t.Fatalf("the lock is %v, %v; want %v", got, err, want)
	}
}

func TestAnNRF52840IsProgrammedLockedAndRecovered(t *testing.T) {
	chip := jlink.NewNRF52840()
	bay := connect(t, Config{Chip: nrf52840()}, chip)
	info, err := bay.Info(t.Context())
	if err != nil || info.Part != 0x52840 || info.Target != "Cortex-M4 r0p1 0x2ba01477" {
		t.Fatalf("got %+v, %v", info, err)
	}
	image := segments(probe.Segment{Address: 0x1000, Data: pattern(17_000)}, probe.Segment{Address: 0x1000 + 17_010, Data: pattern(333)}, probe.Segment{Address: 0x8_0000, Data: pattern(5)})
	if err := bay.Flash(t.Context(), image, nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range image.Segments {
		if !bytes.Equal(chip.Contents(int(s.Address), len(s.Data)), s.Data) {
			t.Errorf("the flash at %#x differs", s.Address)
		}
	}
	if err := bay.Reset(t.Context(), probe.Halt); err != nil || !chip.Halted() {
		t.Errorf("halted %t, %v", chip.Halted(), err)
	}
	if err := bay.Reset(t.Context(), probe.Run); err != nil || chip.Halted() {
		t.Errorf("halted %t, %v", chip.Halted(), err)
	}
	lockAndRecover(t, bay)
}

func segments(all ...probe.Segment) *probe.Image { return &probe.Image{Name: "fw.bin", Segments: all} }

func pattern(n int) []byte {
	octets := make([]byte, n)
	for i := range octets {
		octets[i] = byte(i*7 + i>>8)
	}
	return octets
}
