package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"hallmark/hsm"
	"hallmark/ui"
)

func TestTheLogIsShownAsItIsWrittenAndHoldsNoPIN(t *testing.T) {
	s := state(t.TempDir())
	var shown []ui.LogLine
	log, file, err := openLog(s, func(line ui.LogLine) { shown = append(shown, line) })
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log.Warn("Run ended", "bay", "posix-1", "error", errors.New("line\nclosed"))
	log.With("user_pin", "86420").WithGroup("hsm").Info("logging in", "PIN", 86420, "typed", hsm.NewSecret([]byte("86420")), "label", "factory")
	log.Error("plain")
	written, err := os.ReadFile(s.in("log", "station.log"))
	if err != nil {
		t.Fatal(err)
	}
	want := []ui.LogLine{
		{Level: "WARN", Text: `Run ended  bay=posix-1 error="line\nclosed"`},
		{Level: "INFO", Text: "logging in  user_pin=[redacted] hsm.PIN=[redacted] hsm.typed=[redacted] hsm.label=factory"},
		{Level: "ERROR", Text: "plain"},
	}
	if len(shown) != len(want) || strings.Count(string(written), "\n") != len(want) || strings.Count(string(written), "pid=") != len(want) {
		t.Fatalf("shown %q, written %s", shown, written)
	}
	for i, line := range shown {
		if line.Level != want[i].Level || line.Text != want[i].Text || line.At.IsZero() {
			t.Errorf("line %d is %+v, want %+v", i, line, want[i])
		}
	}
	if strings.Contains(string(written), "86420") {
		t.Errorf("the file holds the PIN: %s", written)
	}
}

func TestALogWithoutAScreenIsAFile(t *testing.T) {
	log, file, err := openLog(state(t.TempDir()), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, plain := log.Handler().(*slog.TextHandler); !plain {
		t.Errorf("the handler is a %T", log.Handler())
	}
}

func TestAWaitForInputEndsWithItsContext(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := io.ReadAll(interruptible(ctx, read)); ended <- err }()
	if _, err := write.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the read goes on")
	}
}
