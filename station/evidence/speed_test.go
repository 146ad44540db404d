package evidence

import (
	"context"
	"path/filepath"
	"testing"

	"hallmark/station/audit"
)

// manyEntries is a log of 100,000 entries without certificates.
func manyEntries(b *testing.B) *memory {
	b.Helper()
	m := newMemory(b)
	board, run := &audit.Board{ID: "00000001-0000-4000-8000-000000000000", HardwareID: "0123456789abcdef"}, &audit.Run{ID: "run", Purpose: "tls", Operator: "ann"}
	for len(m.bodies) < 100_000 {
		m.add(audit.Entry{Type: "board.admitted", Board: board, Run: run})
	}
	m.checkpoint()
	return m
}

func BenchmarkExportOf100000Entries(b *testing.B) {
	m := manyEntries(b)
	for b.Loop() {
		bundle := Bundle{Source: m, VerifierKey: m.vkey}
		if _, err := bundle.Write(context.Background(), filepath.Join(b.TempDir(), "bundle")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckOf100000Entries(b *testing.B) {
	m := manyEntries(b)
	path := filepath.Join(b.TempDir(), "bundle")
	bundle := Bundle{Source: m, VerifierKey: m.vkey}
	if _, err := bundle.Write(context.Background(), path); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		files, err := OpenFiles(path)
		if err != nil {
			b.Fatal(err)
		}
		v, err := Check(context.Background(), files, Options{Key: m.vkey})
		if err != nil || !v.Good() {
			b.Fatal(err, v)
		}
	}
}
