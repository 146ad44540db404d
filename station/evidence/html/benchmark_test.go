package html

import (
	"fmt"
	"io"
	"testing"
)

// BenchmarkReport is the report of 10,000 boards, with 60,000 entries.
func BenchmarkReport(b *testing.B) {
	r := newRecord()
	for n := range 10_000 {
		r.run(trial{board: fmt.Sprintf("%08x-0000-4000-8000-000000000000", n), order: "LOT", quota: 20_000, counted: int64(n + 1), operator: "ann", result: "cert.issued", ending: pass, passed: "issued"})
	}
	b.ReportAllocs()
	for b.Loop() {
		report, err := New(Options{Language: "en"})
		if err != nil {
			b.Fatal(err)
		}
		for i := range r.entries {
			report.Add(&r.entries[i])
		}
		if err := report.Write(io.Discard, r.head()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(r.entries)), "entries/op")
}
