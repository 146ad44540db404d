package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// plain is where the programs are without the race detector, which makes them several times as slow. They are built once, at their first use.
var plain struct {
	once   sync.Once
	folder string
	said   []byte
	err    error
}

// plainPrograms returns the folder of station, verifier and auditcheck, as users have them.
func plainPrograms(t *testing.T) string {
	t.Helper()
	plain.once.Do(func() {
		if plain.folder, plain.err = os.MkdirTemp("", "hallmark-programs-"); plain.err == nil {
			plain.said, plain.err = exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", plain.folder, ".", "../verifier", "../auditcheck").CombinedOutput()
		}
	})
	if plain.err != nil {
		t.Fatalf("%v\n%s", plain.err, plain.said)
	}
	return plain.folder
}

// A tidyMain runs the tests, and removes the programs that they built.
type tidyMain struct{ *testing.M }

func (m tidyMain) Run() int {
	code := m.M.Run()
	if plain.folder != "" {
		_ = os.RemoveAll(plain.folder)
	}
	return code
}

// stationProgram returns the station as users have it.
func stationProgram(t *testing.T) string {
	t.Helper()
	return filepath.Join(plainPrograms(t), "station")
}
