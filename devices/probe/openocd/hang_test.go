package openocd

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"hallmark/devices/probe"
	"hallmark/fixtures/jlink"
)

func TestAProbeThatHangsIsGivenUp(t *testing.T) {
	chip := jlink.NewNRF52840()
	bay := connect(t, Config{Chip: nrf52840(), Limit: 300 * time.Millisecond, FlashLimit: 3 * time.Second}, chip)
	image := segments(probe.Segment{Address: 0, Data: pattern(3 << 10)})

	bay.jlink.Inject(jlink.HangInFlash)
	if err := bay.Flash(t.Context(), image, nil); !errors.Is(err, probe.ErrSilent) || !errors.Is(err, probe.ErrNeedsFlash) {
		t.Errorf("in the middle of a flash: %v", err)
	}
	bay.jlink.Inject(jlink.Hang)
	if _, err := bay.Info(t.Context()); !errors.Is(err, probe.ErrSilent) {
		t.Errorf("at the start: %v", err)
	}
	bay.jlink.Inject(jlink.NoFault)
	after := New(Config{Chip: nrf52840()}).Open(probe.Selection{Serial: serial, Network: true})
	if err := after.Flash(t.Context(), image, nil); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

// The time limit of a flash is minutes. A probe that hangs in the middle of it is given up when nothing moves any more, and the
// search for a probe that hangs does not go through all attempts.
func TestAProbeThatHangsIsNamedSoon(t *testing.T) {
	bay := connect(t, Config{Chip: nrf52840(), StallLimit: 500 * time.Millisecond}, jlink.NewNRF52840())
	image := segments(probe.Segment{Address: 0, Data: pattern(40 << 10)})
	bay.jlink.Inject(jlink.HangInFlash)
	begun := time.Now()
	if err := bay.Flash(t.Context(), image, nil); !errors.Is(err, probe.ErrSilent) || !errors.Is(err, probe.ErrNeedsFlash) || time.Since(begun) > 20*time.Second {
		t.Errorf("in the middle of a flash, after %v: %v", time.Since(begun), err)
	}
	tries := filepath.Join(t.TempDir(), "tries")
	slow := New(Config{Program: fake(t, "echo x >>"+tries+"; sleep 0.2; echo 'Error: No J-Link device found'; exit 1"), LockDir: t.TempDir(), FindLimit: 300 * time.Millisecond, Chip: nrf52840()})
	_, err := slow.Open(probe.Selection{Serial: "5"}).Info(t.Context())
	if text, readErr := os.ReadFile(tries); !errors.Is(err, probe.ErrMissing) || readErr != nil || len(text) > len("x\n")*2 {
		t.Errorf("a probe that is slow to be missing: %v after the tries %q, %v", err, text, readErr)
	}
}

// The time in which other bays look for their probes is not that of this bay.
func TestTheWaitForOtherBaysEndsNoSearch(t *testing.T) {
	tries := filepath.Join(t.TempDir(), "tries")
	config := Config{Program: fake(t, "echo x >>"+tries+"; echo 'hallmark: asks'; while ! test -e go; do sleep 0.02; done; echo 'Error: No J-Link device found'; exit 1"),
		LockDir: t.TempDir(), USB: t.TempDir(), FindLimit: time.Second, Chip: nrf52840()}
	release, err := acquireStart(t.Context(), config.LockDir)
	if err != nil {
		t.Fatal(err)
	}
	free := sync.OnceFunc(release)
	defer free()
	look := work{limit: defaultLimit, line: func(line string) {
		if line == reportPrefix+"asks" {
			time.AfterFunc(config.FindLimit+200*time.Millisecond, free)
		}
	}}
	_, err = New(config).Open(probe.Selection{Serial: "5", Network: true}).(*device).do(t.Context(), &look)
	if text, readErr := os.ReadFile(tries); !errors.Is(err, probe.ErrMissing) || readErr != nil || len(text) < len("x\n")*2 {
		t.Errorf("%v after the tries %q, %v", err, text, readErr)
	}
}

// Eight probes at once: starts are serialised, so that no OpenOCD disturbs the discovery of another one.
func TestEightBaysFlashAtTheSameTime(t *testing.T) {
	const bays = 8
	results := make(chan error, bays)
	image := segments(probe.Segment{Address: 0, Data: pattern(4 << 10)})
	driver := New(Config{Chip: nrf52840()})
	for i := range bays {
		emulation, err := jlink.Start(jlink.Config{Serial: uint32(100 + i), Host: byte(1 + i), Chip: jlink.NewNRF52840()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closes(t, emulation.Close) })
	}
	for i := range bays {
		go func() {
			results <- driver.Open(probe.Selection{Serial: probe.Serial(strconv.Itoa(100 + i)), Network: true}).Flash(t.Context(), image, nil)
		}()
	}
	for range bays {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
