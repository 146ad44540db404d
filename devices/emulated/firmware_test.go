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
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"hallmark/devices"
)

// firmwares are the images for the tests of this file.
var firmwares = []Config{
	{Kind: QEMU, Machine: "mps2-an385"},
	{Kind: QEMU, Machine: "mps2-an521"},
	{Kind: Posix},
}

func (c Config) name() string { return strings.TrimSuffix(c.Kind.String()+" "+c.Machine, " ") }

// onEachFirmware runs a test on a new board of each kind.
func onEachFirmware(t *testing.T, test func(*testing.T, *talker, Config)) {
	for _, cfg := range firmwares {
		t.Run(cfg.name(), func(t *testing.T) {
			cfg.Image = image(t, cfg.Kind, cfg.Machine)
			cfg.Dir = t.TempDir()
			test(t, talkTo(start(t, cfg)), cfg)
		})
	}
}

// A talker is a board with the station's client on its UART.
type talker struct {
	*Board
	*devices.Client
}

func talkTo(b *Board) *talker {
	return &talker{b, devices.NewClient(b.Transport(), devices.Options{Answer: 5 * time.Second, Timeout: 5 * time.Second, Retries: 5})}
}

func (b *talker) hello(t *testing.T) devices.Identity {
	t.Helper()
	hello, err := b.Identify(t.Context())
	if err != nil {
		t.Fatalf("%v (stderr: %s)", err, b.Stderr())
	}
	return hello
}

// anchor returns a self-signed CA certificate.
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
		if !bytes.Equal(hello.ID[:], id) {
			t.Errorf("BoardID is %x, the HUK gives %x", hello.ID, id)
		}
		if hello.HardwareID != devices.HardwareID(fuses[32:]) {
			t.Errorf("hardware id is %x, the fuses hold %x", hello.HardwareID, fuses[32:])
		}
		if cfg.Kind == QEMU {
			checkImage(t, hello, cfg)
		}
	})
}

func checkImage(t *testing.T, hello devices.Identity, cfg Config) {
	t.Helper()
	if want := imageHash(t, cfg.Image); !bytes.Equal(hello.FirmwareHash[:], want) {
		t.Errorf("firmware hash is %x, the image's is %x", hello.FirmwareHash, want)
	}
	if hello.BoardType != cfg.Machine {
		t.Errorf("board type is %q", hello.BoardType)
	}
}

// imageHash returns the SHA-256 of the octets that the image's file puts into the board's flash.
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
			{"a pull at the reset line", func() error { return b.Board.Reset(t.Context()) }},
			{"a reset request", func() error { return second(b.Client.Reset(t.Context())) }},
			{"a power cut", func() error { return errors.Join(b.PowerCut(), b.PowerOn(t.Context())) }},
			{"another pull at the reset line", func() error { return b.Board.Reset(t.Context()) }},
		}
		seen := map[devices.BootID]bool{first.Boot: true}
		for _, restart := range restarts {
			if err := restart.do(); err != nil {
				t.Fatalf("%s: %v", restart.name, err)
			}
			again := b.hello(t)
			if seen[again.Boot] {
				t.Errorf("after %s the boot id is an old one", restart.name)
			}
			if again.ID != first.ID {
				t.Errorf("after %s the BoardID is %v, was %v", restart.name, again.ID, first.ID)
			}
			seen[again.Boot] = true
		}
	})
}

func second(_ devices.BoardID, _ devices.BootID, err error) error { return err }

func TestFlashSurvivesPowerCutsAndResets(t *testing.T) {
	onEachFirmware(t, func(t *testing.T, b *talker, cfg Config) {
		want := anchor(t)
		if err := b.Write(t.Context(), devices.SlotAnchor, want); err != nil {
			t.Fatal(err)
		}
		check := func(after string, err error) {
			t.Helper()
			got, readErr := b.Read(t.Context(), devices.SlotAnchor)
			if err := errors.Join(err, readErr); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("after %s the slot holds %d octets, want %d: %v", after, len(got), len(want), err)
			}
		}
		check("a power cut", errors.Join(b.PowerCut(), b.PowerOn(t.Context())))
		check("a reset", b.Board.Reset(t.Context()))
		if err := errors.Join(b.Client.Close(), b.Board.Close()); err != nil {
			t.Fatal(err)
		}
		b = talkTo(start(t, cfg))
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

// dump returns the memory that a debug probe would read.
func (b *talker) dump(t *testing.T, from, size uint64) []byte {
	t.Helper()
	file := filepath.Join(b.dir.path, "dump.bin")
	_, err := b.power.monitor.execute(t.Context(), "memsave", map[string]any{"val": from, "size": size, "filename": file})
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return memory
}

func TestABoardWithoutEntropyRefuses(t *testing.T) {
	for name, source := range map[string]string{
		"a source that is silent":      "null",
		"a source that repeats itself": "pipe,path=/dev/zero",
	} {
		for _, cfg := range firmwares {
			if cfg.Kind != QEMU {
				continue // its entropy comes from this machine
			}
			t.Run(cfg.name()+" with "+name, func(t *testing.T) {
				cfg.Image, cfg.Dir = image(t, cfg.Kind, cfg.Machine), t.TempDir()
				cfg.testingOnlyTRNG = source
				b := talkTo(start(t, cfg))
				if _, err := b.Identify(t.Context()); !errors.Is(err, devices.ErrNoEntropy) {
					t.Fatalf("got %v, want no-entropy", err)
				}
			})
		}
	}
}

func TestManyBoardsRunAtOnce(t *testing.T) {
	const boards = 8
	for _, cfg := range firmwares {
		t.Run(cfg.name(), func(t *testing.T) {
			cfg.Image = image(t, cfg.Kind, cfg.Machine)
			var all errgroup.Group
			for range boards {
				own := cfg
				own.Dir = t.TempDir()
				all.Go(func() error { return identifyOnce(t.Context(), own) })
			}
			if err := all.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func identifyOnce(ctx context.Context, cfg Config) error {
	board, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer board.Close()
	b := talkTo(board)
	defer b.Client.Close()
	for range 4 {
		if _, err := b.Identify(ctx); err != nil {
			return err
		}
	}
	return nil
}

func TestAnImageThatIsNoFirmwareShowsQEMUsLastWords(t *testing.T) {
	image(t, QEMU, "mps2-an385") // QEMU is installed where this image is built
	cfg := Config{Kind: QEMU, Machine: "mps2-an385", Image: filepath.Join(t.TempDir(), "zero, or nothing.elf"), Dir: t.TempDir()}
	if err := os.WriteFile(cfg.Image, make([]byte, 64), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Start(t.Context(), cfg)
	if err == nil { // the board started; its CPU locks up a moment later
		defer b.Close()
		_, err = b.Transport().Read(make([]byte, 1))
	}
	if !errors.Is(err, ErrDied) || !strings.Contains(err.Error(), "Lockup") {
		t.Fatalf("got %v, want %v with QEMU's explanation", err, ErrDied)
	}
}
