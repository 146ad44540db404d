package instance_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/instance"
	"hallmark/station/registry"
)

func TestASecondInstanceOfADirectoryIsTurnedAwayBeforeItTouchesTheHSM(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	first := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	if _, err := instance.Open(t.Context(), dir, instance.Options{}); !errors.Is(err, registry.ErrLocked) {
		t.Errorf("got %v, want %v", err, registry.ErrLocked)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	again := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	if err := errors.Join(again.Close(), again.Close()); err != nil { // a second Close does nothing
		t.Error(err)
	}
}

func TestAfterAFailedOpenNothingStaysOpen(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	hidden := dir.In("away")
	if err := os.Rename(dir.Server(), hidden); err != nil {
		t.Fatal(err)
	}
	if _, err := instance.Open(t.Context(), dir, instance.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := os.Rename(hidden, dir.Server()); err != nil {
		t.Fatal(err)
	}
	opened := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
}

// A program that uses a part before the part is open does not compile.
func TestAPartThatIsNotOpenDoesNotCompile(t *testing.T) {
	for _, row := range []struct{ have, want, refusal string }{
		{"*instance.Files", "Dir", ""}, // an open part compiles
		{"*instance.Files", "Registry", "have.Registry undefined"},
		{"*instance.Files", "Token", "have.Token undefined"},
		{"*instance.Record", "Registry", ""},
		{"*instance.Record", "Token", "have.Token undefined"},
		{"*instance.Keys", "Issuer", "have.Issuer undefined"},
		{"*instance.Keys", "Engine", "have.Engine undefined"},
		{"*instance.Instance", "Engine", ""},
	} {
		t.Run(row.want+" of "+row.have, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "main.go")
			text := fmt.Sprintf("package main\n\nimport \"hallmark/station/instance\"\n\nfunc main() {\n\tvar have %s\n\t_ = have.%s\n}\n", row.have, row.want)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			said, err := exec.Command("go", "vet", "-trimpath", file).CombinedOutput()
			if row.refusal == "" && err != nil || row.refusal != "" && !strings.Contains(string(said), row.refusal) {
				t.Errorf("the compiler says %q, %v", said, err)
			}
		})
	}
}
