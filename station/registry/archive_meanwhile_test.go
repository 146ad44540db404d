package registry

import (
	"errors"
	"testing"
	"time"

	"hallmark/station/audit"
)

// A Reader that was opened before the station made an archive never overlooks an entry, and never says that the log was
// altered: it names the archive.
func TestAnArchiveThatIsMadeWhileAReaderReadsIsNamed(t *testing.T) {
	b := newTestRegistry(t)
	b.everything()
	b.reopen()
	reader, err := OpenReader(t.Context(), b.path)
	must(t, err)
	defer reader.Close()
	a, bodies := b.archive()
	boards, err := reader.Boards(t.Context(), Filter{})
	must(t, err)
	nothing := func(int64, []byte) error { return nil }
	for name, read := range map[string]func() error{
		"all entries":          func() error { return reader.EachBody(t.Context(), a.Until, nothing) },
		"entries for a mirror": func() error { _, err := reader.Bodies(t.Context(), 1, a.Until); return err },
		"the endings of Runs":  func() error { _, err := reader.EndsSince(t.Context(), time.Time{}); return err },
		"the entries of a board": func() error {
			return reader.EachEntry(t.Context(), a.Until, Selection{BoardID: boards[0].BoardID}, func(*audit.Entry, []byte) error { return nil })
		},
		"a verification": func() error { _, err := reader.VerifyAudit(t.Context(), b.vkey); return err },
	} {
		if err := reader.Why(read()); !errors.Is(err, ErrArchivedMeanwhile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	again, err := OpenReader(t.Context(), b.path)
	must(t, err)
	defer again.Close()
	again.Restore(bodies, a.Until)
	_, err = again.VerifyAudit(t.Context(), b.vkey)
	must(t, err)
}
