package emulated

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"debug/elf"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"hallmark/devices/smp"
)

// firmwares are the images the tests of this file run on.
var firmwares = []Config{
	{Kind: QEMU, Machine: "mps2-an385"},
	{Kind: QEMU, Machine: "mps2-an521"},
	{Kind: Posix},
}

// onEachFirmware runs a test on a new board of each kind.
func onEachFirmware(t *testing.T, test func(*testing.T, *talker, Config)) {
	for _, cfg := range firmwares {
		t.Run(strings.TrimSuffix(cfg.Kind.String()+" "+cfg.Machine, " "), func(t *testing.T) {
			cfg.Image = image(t, cfg.Kind, cfg.Machine)
			cfg.Dir = t.TempDir()
			test(t, &talker{Board: start(t, cfg)}, cfg)
		})
	}
}

// talker asks a board over its line, once for each request.
type talker struct {
	*Board
	sequence uint8
}

func (b *talker) ask(request smp.Request, response smp.Body) error {
	b.sequence++
	message, err := smp.AppendRequest(nil, b.sequence, request)
	if err != nil {
		return err
	}
	if _, err := b.Line().Write(smp.AppendFrame(nil, message)); err != nil {
		return err
	}
	if err := b.Line().SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	return b.await(response)
}

func (b *talker) await(response smp.Body) error {
	var answer []byte
	var damage error
	in := smp.NewDecoder(4096, func(m []byte) { answer = bytes.Clone(m) }, func([]byte) {}, func(err error) { damage = err })
	for answer == nil && damage == nil {
		var octets [512]byte
		n, err := b.Line().Read(octets[:])
		if err != nil {
			return err
		}
		if _, err := in.Write(octets[:n]); err != nil {
			return err
		}
	}
	if damage != nil {
		return damage
	}
	_, err := smp.Parse(answer, response)
	return err
}

func (b *talker) hello(t *testing.T) smp.HelloResponse {
	t.Helper()
	var hello smp.HelloResponse
	if err := b.ask(&smp.Hello{}, &hello); err != nil {
		t.Fatalf("hello: %v (stderr: %s)", err, b.Stderr())
	}
	return hello
}

func (b *talker) write(slot uint8, der []byte) error {
	const piece = 256
	for at := 0; at < len(der); at += piece {
		end := min(at+piece, len(der))
		request := smp.WriteSlot{Slot: slot, Offset: uint32(at), Data: der[at:end], Commit: end == len(der)}
		if at == 0 {
			sum := sha256.Sum256(der)
			request.Total, request.Hash = uint32(len(der)), sum[:]
		}
		if err := b.ask(&request, &smp.WriteSlotResponse{}); err != nil {
			return fmt.Errorf("writing at %d: %w", at, err)
		}
	}
	return nil
}

func (b *talker) read(slot uint8) ([]byte, error) {
	var der []byte
	for {
		var got smp.ReadSlotResponse
		if err := b.ask(&smp.ReadSlot{Slot: slot, Offset: uint32(len(der))}, &got); err != nil {
			return nil, fmt.Errorf("reading at %d: %w", len(der), err)
		}
		if der = append(der, got.Data...); len(der) >= int(got.Total) || len(got.Data) == 0 {
			return der, nil
		}
	}
}

// anchor is a self-signed CA certificate.
func anchor(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Anchor"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestHelloComesFromTheFusesAndTheImage(t *testing.T) {
	onEachFirmware(t, func(t *testing.T, b *talker, cfg Config) {
		hello := b.hello(t)
		fuses, err := os.ReadFile(filepath.Join(cfg.Dir, fusesFile))
		if err != nil {
			t.Fatal(err)
		}
		id, err := hkdf.Key(sha256.New, fuses[:32], nil, "UUID", 16)
		if err != nil {
			t.Fatal(err)
		}
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // PROTOCOL.md section 5
		if !bytes.Equal(hello.ID, id) {
			t.Errorf("BoardID is %x, the HUK gives %x", hello.ID, id)
		}
		if !bytes.Equal(hello.HardwareID, fuses[32:]) {
			t.Errorf("hardware id is %x, the fuses hold %x", hello.HardwareID, fuses[32:])
		}
		if cfg.Kind == QEMU {
			checkImage(t, hello, cfg)
		}
	})
}

func checkImage(t *testing.T, hello smp.HelloResponse, cfg Config) {
	t.Helper()
	if want := imageHash(t, cfg.Image); !bytes.Equal(hello.FirmwareHash, want) {
		t.Errorf("firmware hash is %x, the image's is %x", hello.FirmwareHash, want)
	}
	if hello.BoardType != cfg.Machine {
		t.Errorf("board type is %q", hello.BoardType)
	}
}

// imageHash is SHA-256 over what the image's file puts into the board's flash.
func imageHash(t *testing.T, path string) []byte {
	t.Helper()
	image, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	var flash []byte
	var base uint64
	for _, p := range image.Progs {
		if p.Type != elf.PT_LOAD || p.Filesz == 0 {
			continue
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err != nil {
			t.Fatal(err)
		}
		if flash == nil {
			base = p.Paddr
		}
		flash = append(flash[:p.Paddr-base], data...)
	}
	sum := sha256.Sum256(flash)
	return sum[:]
}

func TestEachStartDrawsANewBootID(t *testing.T) {
	onEachFirmware(t, func(t *testing.T, b *talker, _ Config) {
		first := b.hello(t)
		restarts := []struct {
			name string
			do   func() error
		}{
			{"a pull at the reset line", func() error { return b.Reset(t.Context()) }},
			{"a reset request", func() error { return b.ask(&smp.OSReset{}, &smp.Empty{}) }},
			{"a power cut", func() error { return errors.Join(b.PowerCut(), b.PowerOn(t.Context())) }},
			{"another pull at the reset line", func() error { return b.Reset(t.Context()) }},
		}
		seen := map[string]bool{string(first.Boot): true}
		for _, restart := range restarts {
			if err := restart.do(); err != nil {
				t.Fatalf("%s: %v", restart.name, err)
			}
			again := b.hello(t)
			if seen[string(again.Boot)] {
				t.Errorf("after %s the boot id is an old one", restart.name)
			}
			if !bytes.Equal(again.ID, first.ID) {
				t.Errorf("after %s the BoardID is %x, was %x", restart.name, again.ID, first.ID)
			}
			seen[string(again.Boot)] = true
		}
	})
}

func TestFlashSurvivesPowerCutsAndResets(t *testing.T) {
	onEachFirmware(t, func(t *testing.T, b *talker, cfg Config) {
		want := anchor(t)
		if err := b.write(0, want); err != nil {
			t.Fatal(err)
		}
		check := func(after string, err error) {
			t.Helper()
			got, readErr := b.read(0)
			if err := errors.Join(err, readErr); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("after %s the slot holds %d octets, want %d: %v", after, len(got), len(want), err)
			}
		}
		check("a power cut", errors.Join(b.PowerCut(), b.PowerOn(t.Context())))
		check("a reset", b.Reset(t.Context()))
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b.Board = start(t, cfg)
		check("a new start", nil)
	})
}

func TestTheHUKIsGoneFromMemoryOnceItWasUsed(t *testing.T) {
	regions := map[string][]uint64{"mps2-an385": {0, 0x2000_0000}, "mps2-an521": {0x1000_0000, 0x3800_0000}}
	onEachFirmware(t, func(t *testing.T, b *talker, cfg Config) {
		if cfg.Kind != QEMU {
			t.Log("a process's memory is the system's to protect")
			return
		}
		b.hello(t)
		fuses, err := os.ReadFile(filepath.Join(cfg.Dir, fusesFile))
		if err != nil {
			t.Fatal(err)
		}
		var memory []byte
		for _, from := range regions[cfg.Machine] {
			memory = append(memory, b.dump(t, from, 4<<20)...)
		}
		if !bytes.Contains(memory, fuses[32:]) {
			t.Fatal("the dump lacks the hardware id, so it proves nothing")
		}
		if bytes.Contains(memory, fuses[:32]) || bytes.Contains(memory, fuses[:16]) || bytes.Contains(memory, fuses[16:32]) {
			t.Fatal("the HUK is still in the board's memory")
		}
	})
}

// dump is what a probe would read.
func (b *talker) dump(t *testing.T, from, size uint64) []byte {
	t.Helper()
	file := filepath.Join(b.dir.path, "dump.bin")
	_, err := b.power.monitor.execute(t.Context(), "pmemsave", map[string]any{"val": from, "size": size, "filename": file})
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return memory
}

func TestManyBoardsRunAtOnce(t *testing.T) {
	const boards = 8
	for _, cfg := range firmwares {
		t.Run(cfg.Kind.String()+cfg.Machine, func(t *testing.T) {
			cfg.Image = image(t, cfg.Kind, cfg.Machine)
			var all errgroup.Group
			for range boards {
				cfg.Dir = t.TempDir()
				all.Go(func() error { return echoOnce(t.Context(), cfg) })
			}
			if err := all.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func echoOnce(ctx context.Context, cfg Config) error {
	board, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer board.Close()
	b := &talker{Board: board}
	want := strings.Repeat("0123456789", 50)
	for range 4 {
		var got smp.EchoResponse
		if err := b.ask(&smp.Echo{Text: want}, &got); err != nil {
			return err
		}
		if got.Text != want {
			return fmt.Errorf("echo gave %q", got.Text)
		}
	}
	return nil
}

func TestAnImageThatIsNoFirmwareShowsQEMUsLastWords(t *testing.T) {
	image(t, QEMU, "mps2-an385") // where this is built, QEMU is installed
	cfg := Config{Kind: QEMU, Machine: "mps2-an385", Image: filepath.Join(t.TempDir(), "zero, or nothing.elf"), Dir: t.TempDir()}
	if err := os.WriteFile(cfg.Image, make([]byte, 64), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Start(t.Context(), cfg)
	if err == nil { // the CPU locks up a moment later
		defer b.Close()
		_, err = b.Line().Read(make([]byte, 1))
	}
	if !errors.Is(err, ErrDied) || !strings.Contains(err.Error(), "Lockup") {
		t.Fatalf("got %v, want %v with QEMU's explanation", err, ErrDied)
	}
}
