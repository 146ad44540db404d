package openocd

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/devices/probe"
	"hallmark/fixtures/jlink"
	"hallmark/fixtures/prerequisite"
)

// Where the test puts the control block and the two rings into the RAM of the model (SEGGER UM08001, RTT).
const (
	rttBlock   = 0x2000_1000
	rttUp      = rttBlock + 24 // descriptor of the ring from the board
	rttDown    = rttBlock + 48 // descriptor of the ring to the board
	rttUpRing  = 0x2000_2000
	rttDnRing  = 0x2000_3000
	rttRing    = 1024
	rttWritten = 12 // in a descriptor: where the next octet is written
	rttRead    = 16 // in a descriptor: where the next octet is read
)

// An rttBoard is the posix board, whose UART goes through rings in the RAM of the model. A real chip has both in one.
type rttBoard struct {
	t    *testing.T
	chip *jlink.NRF52840
	uart devices.Transport
	work sync.WaitGroup
	stop chan struct{}
}

func (b *rttBoard) word(address uint32) uint32 {
	var octets [4]byte
	if err := b.chip.Read(address, octets[:]); err != nil {
		b.t.Error(err)
	}
	return binary.LittleEndian.Uint32(octets[:])
}

func (b *rttBoard) put(address uint32, words ...uint32) {
	for i, word := range words {
		if err := b.chip.Write(address+4*uint32(i), binary.LittleEndian.AppendUint32(nil, word)); err != nil {
			b.t.Error(err)
		}
	}
}

// begin makes the control block, as a board does when it starts. The name comes last, because a debugger looks for it.
func (b *rttBoard) begin() {
	b.put(rttBlock+16, 1, 1)
	b.put(rttUp, 0, rttUpRing, rttRing, 0, 0, 0)
	b.put(rttDown, 0, rttDnRing, rttRing, 0, 0, 0)
	if err := b.chip.Write(rttBlock, []byte("SEGGER RTT\x00\x00\x00\x00\x00\x00")); err != nil {
		b.t.Error(err)
	}
	b.work.Go(b.up)
	b.work.Go(b.down)
}

func (b *rttBoard) stopped() bool {
	select {
	case <-b.stop:
		return true
	default:
		return false
	}
}

// up moves octets of the board's UART into the ring.
func (b *rttBoard) up() {
	octets := make([]byte, 256)
	for !b.stopped() {
		if err := b.uart.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			return
		}
		n, _ := b.uart.Read(octets) // an error is a deadline, or the end of the board
		for _, octet := range octets[:n] {
			at := b.word(rttUp + rttWritten)
			for (at+1)%rttRing == b.word(rttUp+rttRead) && !b.stopped() {
				time.Sleep(time.Millisecond)
			}
			if err := b.chip.Write(rttUpRing+at, []byte{octet}); err != nil {
				b.t.Error(err)
			}
			b.put(rttUp+rttWritten, (at+1)%rttRing)
		}
	}
}

// down moves octets of the ring to the board's UART.
func (b *rttBoard) down() {
	for !b.stopped() {
		at := b.word(rttDown + rttRead)
		if at == b.word(rttDown+rttWritten) {
			time.Sleep(time.Millisecond)
			continue
		}
		octet := make([]byte, 1)
		if err := b.chip.Read(rttDnRing+at, octet); err != nil {
			b.t.Error(err)
		}
		if _, err := b.uart.Write(octet); err != nil {
			return
		}
		b.put(rttDown+rttRead, (at+1)%rttRing)
	}
}

// rttPair starts the board behind an emulated probe.
func rttPair(t *testing.T) (*bay, *rttBoard, *Driver) {
	t.Helper()
	image := prerequisite.Firmware(t, filepath.Join("..", "..", "firmware", "build", emulated.ImageName(emulated.Posix, "")))
	posix, err := emulated.Start(t.Context(), emulated.Config{Kind: emulated.Posix, Image: image, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	chip := jlink.NewNRF52840()
	config := Config{Chip: nrf52840()}
	bay := connect(t, config, chip)
	board := &rttBoard{t: t, chip: chip, uart: posix.Transport(), stop: make(chan struct{})}
	t.Cleanup(func() {
		close(board.stop)
		board.work.Wait()
		closes(t, posix.Close)
	})
	return bay, board, New(config)
}

var rttPlace = RTT{Address: 0x2000_0000, Size: 0x2000}

func TestABoardWithoutUARTAnswersOverRTT(t *testing.T) {
	_, board, driver := rttPair(t)
	board.begin()
	channel, err := driver.OpenRTT(t.Context(), probe.Selection{Serial: serial, Network: true}, rttPlace)
	if err != nil {
		t.Fatal(err)
	}
	client := devices.NewClient(channel, devices.Options{Answer: 10 * time.Second, Timeout: 10 * time.Second, Retries: 3})
	identity, err := client.Identify(t.Context())
	if err != nil || identity.BoardType != "posix" {
		t.Fatalf("%+v, %v", identity, err)
	}
	if err := client.Echo(t.Context(), "over RTT"); err != nil {
		t.Error(err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := channel.Close(); err != nil {
		t.Errorf("a second close: %v", err)
	}
	if _, err := driver.Open(probe.Selection{Serial: serial, Network: true}).Info(t.Context()); err != nil {
		t.Errorf("the probe is not free again: %v", err)
	}
}

func TestABoardWithoutControlBlockIsNamed(t *testing.T) {
	_, _, driver := rttPair(t)
	_, err := driver.OpenRTT(t.Context(), probe.Selection{Serial: serial, Network: true}, rttPlace)
	if !errors.Is(err, probe.ErrMissingTarget) {
		t.Errorf("got %v", err)
	}
	if _, err := driver.OpenRTT(t.Context(), probe.Selection{Serial: serial, Network: true}, RTT{}); !errors.Is(err, probe.ErrCannot) {
		t.Errorf("nowhere: %v", err)
	}
}

func TestAProbeThatVanishesEndsTheChannel(t *testing.T) {
	bay, board, driver := rttPair(t)
	board.begin()
	channel, err := driver.OpenRTT(t.Context(), probe.Selection{Serial: serial, Network: true}, rttPlace)
	if err != nil {
		t.Fatal(err)
	}
	bay.jlink.Inject(jlink.Unplugged)
	octets := make([]byte, 256)
	for err == nil {
		_, err = channel.Read(octets)
	}
	if !errors.Is(err, probe.ErrLost) {
		t.Errorf("reading: %v", err)
	}
	closes(t, channel.Close)
}
