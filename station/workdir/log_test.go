package workdir

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
)

func TestTheLogIsShownAsItIsWrittenAndHoldsNoPIN(t *testing.T) {
	d := Dir(t.TempDir())
	var shown []LogLine
	log, file, err := d.OpenLog(func(line LogLine) { shown = append(shown, line) })
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	log.Warn("Run ended", "bay", "posix-1", "error", errors.New("line\nclosed"))
	log.With("user_pin", "86420").WithGroup("hsm").Info("logging in", "PIN", 86420, "typed", secret("86420"), "label", "factory")
	log.Error("plain")
	written, err := os.ReadFile(d.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	want := []LogLine{
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
	log, file, err := Dir(t.TempDir()).OpenLog(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, plain := log.Handler().(*slog.TextHandler); !plain {
		t.Errorf("the handler is a %T", log.Handler())
	}
}

// secret hides its value as hsm.Secret does.
type secret string

func (secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }
