package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hallmark/devices/probe"
	"hallmark/station/workdir"
)

// namedFiles are the reads of files that a bay or a board definition names.
var namedFiles = map[string]func(path string) error{
	"board definition": func(path string) error { _, err := LoadBoard(path, "/"); return err },
	"recipe":           func(path string) error { _, err := Recipe(path, "/"); return err },
	"image":            func(path string) error { _, err := probe.ReadImage(path, 0); return err },
	"image of a checked definition": func(path string) error {
		board := Board{Firmware: BoardImage{Image: path}}
		if text := board.imageFindings()[0].Text; !strings.Contains(text, workdir.ErrNotRegular.Error()) {
			return errors.New(text)
		}
		return workdir.ErrNotRegular
	},
}

// A pipe without a writer would keep the station for ever, and no signal would end the wait.
func TestAPipeInThePlaceOfANamedFileIsRefused(t *testing.T) {
	for name, read := range namedFiles {
		t.Run(name, func(t *testing.T) {
			pipe := filepath.Join(t.TempDir(), "x.yaml")
			if err := unix.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{pipe, symlink(t, "/dev/zero")} {
				if err := read(path); !errors.Is(err, workdir.ErrNotRegular) && !errors.Is(err, workdir.ErrWritable) {
					t.Errorf("%s: got %v", path, err)
				}
			}
		})
	}
}

func symlink(t *testing.T, to string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// The commands in these files run as code of the station.
func TestADefinitionThatEverybodyMayChangeIsRefused(t *testing.T) {
	for _, kind := range []string{"board definition", "recipe"} {
		for name, test := range map[string]struct {
			file, folder os.FileMode
			refused      bool
		}{
			"of its owner":            {0o600, 0o755, false},
			"of a group":              {0o664, 0o775, false},
			"in a sticky folder":      {0o644, 0o777 | os.ModeSticky, false},
			"that everybody writes":   {0o646, 0o755, true},
			"that everybody replaces": {0o644, 0o777, true},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				folder := t.TempDir()
				path := filepath.Join(folder, "x.yaml")
				if err := errors.Join(os.WriteFile(path, []byte("name: x\n"), 0o600), os.Chmod(path, test.file), os.Chmod(folder, test.folder)); err != nil {
					t.Fatal(err)
				}
				if err := namedFiles[kind](path); errors.Is(err, workdir.ErrWritable) != test.refused {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}
