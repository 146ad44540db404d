package registry

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
)

var update = flag.Bool("update", false, "write the golden file")

// ticking is a clock that goes forward by a second at each call.
func ticking() func() time.Time {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return func() time.Time { now = now.Add(time.Second); return now }
}

// counting is a random source that gives other octets at each call, and the same octets
// in each test.
type counting struct{ n byte }

func (c *counting) Read(p []byte) (int, error) {
	c.n++
	for i := range p {
		p[i] = c.n
	}
	return len(p), nil
}

// The golden file has the whole log of one Run, so that no word of it changes unnoticed.
func TestTheLogOfACleanRunIsTheGolden(t *testing.T) {
	b := &testRegistry{t: t, path: t.TempDir() + "/registry.db", key: newKey(t)}
	r, err := Open(t.Context(), Config{Path: b.path, Station: "line-1", Now: ticking(), Random: &counting{}})
	must(t, err)
	b.Registry = r
	b.vkey, err = b.Genesis(t.Context(), Genesis{Origin: origin, AuditKey: b.key.Public(), Operator: "ann", HSM: map[string]string{"label": "hallmark"}})
	must(t, err)
	must(t, b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 10}, "ann"))
	run := newRun(devices.BoardID(uuid.MustParse("3f6c9a52-8c1e-4b7d-9a30-1f5e2d7c8b90")), "hardware")
	run.ID, run.Operator, run.Order = uuid.MustParse("0190a5e2-7b1c-4000-8000-000000000001"), "ann", "WO-1"
	run.Steps = []station.StepTime{{Name: "identify", Took: 5 * time.Millisecond, Outside: 4 * time.Millisecond}}
	must(t, b.Admit(t.Context(), run))
	in := intent(run)
	in.Serial, in.TBSSHA256 = [16]byte{0x40, 1, 2, 3}, [32]byte{4, 5, 6}
	must(t, b.intends(in))
	der := []byte("certificate")
	must(t, b.Issued(t.Context(), in.Serial, der))
	run.Certificate = certificateFor(in.Serial, der)
	must(t, b.Delivered(t.Context(), proven(run)))
	must(t, b.Activate(t.Context(), run))
	run.Ending = station.Pass
	must(t, b.closeRun(t.Context(), run))
	must(t, b.Checkpoint(t.Context(), origin, b.key))
	b.verify()
	must(t, b.Shutdown())
	b.golden("testdata/clean-run.jsonl")
}

// golden compares the log with the file. It leaves out the audit key, which is a new one
// in each test.
func (b *testRegistry) golden(path string) {
	b.t.Helper()
	reader, err := OpenReader(b.t.Context(), b.path)
	b.must(err)
	defer reader.Close()
	rows, err := reader.db.Query(`SELECT CAST(body AS TEXT) FROM audit_entry ORDER BY seq`)
	b.must(err)
	lines, err := collect(rows, func(line *string) []any { return []any{line} })
	b.must(err)
	got := []byte(strings.ReplaceAll(strings.Join(lines, "\n")+"\n", b.vkey, "VKEY"))
	got = regexp.MustCompile(`"root":"[^"]+"`).ReplaceAll(got, []byte(`"root":"ROOT"`)) // depends on the key
	if *update {
		b.must(os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	b.must(err)
	if !bytes.Equal(got, want) {
		b.t.Errorf("%s differs (go test -update writes it):\n%s", path, got)
	}
}
