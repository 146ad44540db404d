package registry

import (
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
)

// asSeen puts the boards of a selection on hold, or releases them, as a person does who has seen the preview.
func (b *testRegistry) asSeen(do func(Which, [sha256.Size]byte) (int, error), which Which, held bool) int {
	b.t.Helper()
	all, err := b.Holdable(b.t.Context(), which, held)
	b.must(err)
	number, err := do(which, SeenBoards(all))
	b.must(err)
	return number
}

// eachStatus gives what a status bundle has.
func (b *testRegistry) eachStatus() map[[16]byte]station.Status {
	b.t.Helper()
	all := map[[16]byte]station.Status{}
	b.must(b.EachStatus(b.t.Context(), func(serial [16]byte, record station.Record) error {
		all[serial] = record.Status
		return nil
	}))
	return all
}

func (b *testRegistry) holds(which Which) int {
	return b.asSeen(func(w Which, seen [sha256.Size]byte) (int, error) {
		return b.Hold(b.t.Context(), w, seen, "crack", "ann")
	}, which, false)
}

func (b *testRegistry) releases(which Which) int {
	return b.asSeen(func(w Which, seen [sha256.Size]byte) (int, error) {
		return b.Release(b.t.Context(), w, seen, "no crack", "ann")
	}, which, true)
}

func (b *testRegistry) scraps(which Which) int {
	all, err := b.Scrappable(b.t.Context(), which)
	b.must(err)
	number, err := b.Scrap(b.t.Context(), which, SeenBoards(all), "burnt", "ann")
	b.must(err)
	return number
}

// A board on hold gets nothing, and its certificate is refused, before and after a restart; after its release all is as before.
func TestABoardOnHoldGetsNothingUntilItIsReleased(t *testing.T) {
	b := newTestRegistry(t)
	b.opensOrder(NewOrder{ID: "WO-1", Product: "sensor", Quota: 9})
	first, second := b.enrolsFor("WO-1"), b.enrolsFor("WO-1")
	serial, which := first.Certificate.Serial, Which{BoardID: first.Identity.ID}
	status := func(serial [16]byte) station.Status {
		record, err := b.Lookup(t.Context(), serial)
		b.must(err)
		return record.Status
	}
	again := func() error {
		run := newRun(first.Identity.ID, string(first.Identity.HardwareID))
		run.ID = uuid.New()
		err := b.Admit(t.Context(), run)
		if err == nil {
			run.Ending = station.Reject
			b.must(b.closeRun(t.Context(), run))
		}
		return err
	}
	if n := b.holds(which); n != 1 {
		t.Errorf("%d boards are on hold", n)
	}
	for range 2 {
		if err := again(); !errors.Is(err, station.ErrHeld) {
			t.Errorf("a Run of a board on hold: %v", err)
		}
		if status(serial) != station.StatusHeld || status(second.Certificate.Serial) != station.StatusActive {
			t.Error("the verifier takes the board on hold, or refuses another one")
		}
		b.reopen()
	}
	if got := b.eachStatus(); got[serial] != station.StatusHeld || got[second.Certificate.Serial] != station.StatusActive {
		t.Errorf("a status bundle would have %v", got)
	}
	rows, err := b.Boards(t.Context(), Filter{Status: StatusHeld})
	b.must(err)
	if len(rows) != 1 || rows[0].BoardID != first.Identity.ID || rows[0].Held == "" || rows[0].Status != "active" {
		t.Errorf("%+v", rows)
	}
	if all, err := b.Certificates(t.Context(), Filter{Status: StatusHeld}); err != nil || len(all) != 1 || all[0].BoardID != first.Identity.ID {
		t.Errorf("the certificates of boards on hold: %v: %+v", err, all)
	}
	if n := b.holds(Which{Order: "WO-1"}); n != 1 { // the other one
		t.Errorf("%d more boards are on hold", n)
	}
	if n := b.releases(Which{Order: "WO-1"}); n != 2 {
		t.Errorf("%d boards are released", n)
	}
	if err := again(); err != nil || status(serial) != station.StatusActive || b.eachStatus()[serial] != station.StatusActive {
		t.Errorf("after the release: %v, %v", err, status(serial))
	}
	b.holds(which)
	b.revokes(Which{Serial: serial}, "superseded")
	if got := b.eachStatus()[serial]; got != station.StatusRevoked {
		t.Errorf("a hold hides that the certificate is %s", got)
	}
	b.verify()
}

func TestABoardThatIsPutOnHoldInItsRunGetsNoCertificate(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.holds(Which{BoardID: run.Identity.ID}) // it has no certificate, so only its BoardID selects it
	if err := b.intends(intent(run)); !errors.Is(err, station.ErrHeld) {
		t.Errorf("got %v", err)
	}
	b.verify()
}

func TestAHoldThatNobodyHasSeenIsRefused(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	which := Which{BoardID: run.Identity.ID}
	if _, err := b.Hold(t.Context(), which, [sha256.Size]byte{}, "crack", "ann"); !errors.Is(err, ErrOtherSelection) {
		t.Errorf("another preview: %v", err)
	}
	all, err := b.Holdable(t.Context(), which, false)
	b.must(err)
	b.scraps(Which{BoardID: run.Identity.ID})
	if _, err := b.Hold(t.Context(), which, SeenBoards(all), "crack", "ann"); !errors.Is(err, ErrOtherSelection) {
		t.Errorf("a board that was scrapped meanwhile: %v", err)
	}
	if err := b.write(t.Context(), func(w *work) error { return w.hold(holdEntry(typeHeld, run.Identity.ID, "crack", "ann")) }); !errors.Is(err, ErrOtherSelection) {
		t.Errorf("a board that was scrapped while the others were put on hold: %v", err)
	}
	b.verify()
}

// Entries that the registry would not write are refused by the verification.
func TestAForgedHoldIsRefused(t *testing.T) {
	id := devices.BoardID(uuid.New())
	admitted := runEntry(newRun(id, "hardware"), typeAdmitted, audit.Success)
	again := runEntry(newRun(id, "hardware"), typeAdmitted, audit.Success)
	entry := func(kind string) audit.Entry { return audit.Entry{Type: kind, Board: &audit.Board{ID: id.String()}} }
	held, released := entry(typeHeld), entry(typeReleased)
	replays(t, map[string]replayed{
		"a hold and a release":         {[]audit.Entry{admitted, held, released, again}, true},
		"a hold of an unknown board":   {[]audit.Entry{held}, false},
		"a second hold":                {[]audit.Entry{admitted, held, held}, false},
		"a release without a hold":     {[]audit.Entry{admitted, released}, false},
		"a hold of a scrapped board":   {[]audit.Entry{admitted, entry("board.scrapped"), held}, false},
		"a Run of a board on hold":     {[]audit.Entry{admitted, held, again}, false},
		"a hold without a board":       {[]audit.Entry{{Type: typeHeld}}, false},
		"a scrapped board is released": {[]audit.Entry{admitted, held, entry("board.scrapped"), released}, false},
	})
}

// replayed are entries of a log, and whether they fit each other.
type replayed struct {
	entries []audit.Entry
	good    bool
}

func replays(t *testing.T, tests map[string]replayed) {
	t.Helper()
	for name, test := range tests {
		replay := newReplay()
		var err error
		for _, e := range test.entries {
			err = errors.Join(err, replay.apply(e))
		}
		if test.good != (err == nil) || !test.good && !errors.Is(err, ErrDiffers) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestARowOfAHoldThatTheLogDoesNotHaveIsFound(t *testing.T) {
	for _, change := range []string{`UPDATE holds SET since = NULL`, `UPDATE holds SET reason = 'other'`, `INSERT INTO holds SELECT id, '2026', 'x' FROM boards WHERE id NOT IN (SELECT board_id FROM holds)`} {
		b := newTestRegistry(t)
		b.holds(Which{BoardID: b.run().Identity.ID})
		b.run()
		b.must(b.Shutdown())
		b.differsAfter(change)
	}
}

// differsAfter changes the rows of a closed registry, and wants a verification to find the change.
func (b *testRegistry) differsAfter(change string) {
	b.t.Helper()
	b.tamper(change)
	reader, err := OpenReader(b.t.Context(), b.path)
	b.must(err)
	if _, err := reader.VerifyAudit(b.t.Context(), b.vkey); !errors.Is(err, ErrDiffers) {
		b.t.Errorf("%s: %v", change, err)
	}
	b.must(reader.Close())
}

func TestARegistryOfSchema9IsMigrated(t *testing.T) {
	path, vkey := stored(t, "testdata/schema9.sql")
	markAsNewest(t, path)
	r, err := Open(t.Context(), Config{Path: path, Station: "demo"})
	must(t, err)
	all, err := r.Holdable(t.Context(), Which{Order: "WO-1"}, false)
	must(t, err)
	number, err := r.Hold(t.Context(), Which{Order: "WO-1"}, SeenBoards(all), "crack", "ann")
	if number != 1 || err != nil { // the other board is scrapped
		t.Errorf("%d, %v", number, err)
	}
	_, err = r.VerifyAudit(t.Context(), vkey)
	must(t, errors.Join(err, r.Shutdown()))
}
