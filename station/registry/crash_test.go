package registry

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
)

// stormVariable has the path of a registry. When it is set, this test binary is a station
// that enrols boards until the test kills it.
const stormVariable = "HALLMARK_TEST_STORM"

func TestMain(m *testing.M) {
	if path := os.Getenv(stormVariable); path != "" {
		work := storm
		if point := os.Getenv(killPoint); point != "" {
			work = func(path string) error { return archivingUntilKilled(path, point) }
		}
		if err := work(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// storm enrols boards in eight bays at once. After each call that returned nil it prints a
// line.
func storm(path string) error {
	r, err := Open(context.Background(), Config{Path: path, Station: "storm"})
	if err != nil {
		return err
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for {
				if err := enrolOne(r); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
			}
		})
	}
	wait.Wait()
	return nil
}

func enrolOne(r *Registry) error {
	ctx := context.Background()
	run := newRun(devices.BoardID(uuid.New()), "hw")
	if err := r.Admit(ctx, run); err != nil {
		return err
	}
	in := intent(run)
	if _, err := r.Intend(ctx, in); err != nil {
		return err
	}
	fmt.Printf("intended %x\n", in.Serial)
	der := append([]byte("certificate "), in.Serial[:]...)
	if err := r.Issued(ctx, in.Serial, der); err != nil {
		return err
	}
	fmt.Printf("issued %x\n", in.Serial)
	run.Certificate = certificateFor(in.Serial, der)
	if err := r.Delivered(ctx, proven(run)); err != nil {
		return err
	}
	if err := r.Activate(ctx, run); err != nil {
		return err
	}
	fmt.Printf("active %x\n", in.Serial)
	run.Ending = station.Pass
	return r.closeRun(ctx, run)
}

// The test kills a station while it writes, five times on the same file, and compares the
// lines that the station printed with the registry.
func TestAKilledStationLosesNothingItAcknowledged(t *testing.T) {
	b := newTestRegistry(t)
	said := map[string]string{}
	for round := range 5 {
		b.must(b.Shutdown())
		killed(t, b.path, 150+100*round, said)
		b.open()
		b.verify()
		b.compare(said)
		b.must(b.Checkpoint(t.Context(), origin, b.key))
	}
	if n := b.count("log.recovered"); n == 0 {
		t.Error("nothing had to be recovered: the storm was not cut")
	}
}

// killed runs a storm, keeps the lines that it prints, and kills it after a number of lines.
func killed(t *testing.T, path string, lines int, said map[string]string) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	command := exec.Command(self)
	command.Env = append(os.Environ(), stormVariable+"="+path)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	scanner := bufio.NewScanner(out)
	note := func() {
		if event, serial, ok := strings.Cut(scanner.Text(), " "); ok && len(serial) == 32 {
			said[serial] = event
		}
	}
	for range lines {
		if !scanner.Scan() {
			t.Fatalf("the storm ended by itself: %v", scanner.Err())
		}
		note()
	}
	must(t, command.Process.Kill())
	for scanner.Scan() {
		note()
	}
	_, _ = io.Copy(io.Discard, out)
	if err := command.Wait(); err == nil {
		t.Fatal("the storm was not killed")
	}
}

// compare checks that each certificate has at least the status that the station printed.
func (b *testRegistry) compare(said map[string]string) {
	b.t.Helper()
	reached := map[string][]station.Status{
		"intended": {station.StatusUnresolved, station.StatusIssued, station.StatusDelivered, station.StatusActive},
		"issued":   {station.StatusIssued, station.StatusDelivered, station.StatusActive},
		"active":   {station.StatusActive},
	}
	for serial, event := range said {
		raw, err := hex.DecodeString(serial)
		must(b.t, err)
		record, err := b.Lookup(b.t.Context(), [16]byte(raw))
		must(b.t, err)
		found := false
		for _, status := range reached[event] {
			found = found || record.Status == status
		}
		if !found {
			b.t.Errorf("%s was %s before the kill and is %s after it", serial, event, record.Status)
		}
	}
}
