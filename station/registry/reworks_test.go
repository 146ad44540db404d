package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"testing"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
)

type changesMarks = func(context.Context, Which, [sha256.Size]byte, string, string) (int, error)

func (b *testRegistry) marks(which Which) int {
	b.t.Helper()
	return b.asMarked(b.MarkForRework, which, false)
}

func (b *testRegistry) withdraws(which Which) int {
	b.t.Helper()
	return b.asMarked(b.WithdrawRework, which, true)
}

func (b *testRegistry) asMarked(do changesMarks, which Which, marked bool) int {
	b.t.Helper()
	all, err := b.Reworkable(b.t.Context(), which, marked)
	b.must(err)
	number, err := do(b.t.Context(), which, SeenBoards(all), "antenna", "ann")
	b.must(err)
	return number
}

// next gives the next Run of a board, admitted, as the engine makes it: a mark gives the reason of the rework.
func (b *testRegistry) next(run *station.Run) *station.Run {
	b.t.Helper()
	why, err := b.Marked(b.t.Context(), run.Identity.ID, run.Purpose)
	b.must(err)
	next := again(run, why)
	next.Purpose = run.Purpose
	b.must(b.Admit(b.t.Context(), next))
	return next
}

// workedOff does the next Run of a marked board to its Pass.
func (b *testRegistry) workedOff(run *station.Run) *station.Run {
	b.t.Helper()
	next := b.next(run)
	if next.Rework != "antenna" {
		b.t.Errorf("the Run of a marked board is a rework because of %q", next.Rework)
	}
	b.enrol(next)
	return next
}

func (b *testRegistry) waiting() int {
	b.t.Helper()
	rows, err := b.Boards(b.t.Context(), Filter{Status: StatusRework})
	b.must(err)
	return len(rows)
}

// A mark lasts over restarts until the new certificate is active, and no longer. The old certificate is good until then.
func TestAMarkedBoardIsReworkedOnce(t *testing.T) {
	b := newTestRegistry(t)
	b.opensOrder(NewOrder{ID: "WO-1", Product: "sensor", Quota: 9})
	first, second := b.enrolsFor("WO-1"), b.enrolsFor("WO-1")
	if n := b.marks(Which{Order: "WO-1"}); n != 2 || b.waiting() != 2 {
		t.Errorf("%d boards are marked, %d wait", n, b.waiting())
	}
	b.reopen()
	rows, err := b.Boards(t.Context(), Filter{BoardID: first.Identity.ID})
	b.must(err)
	if len(rows) != 1 || rows[0].Rework != "antenna" || rows[0].Marked == "" || rows[0].Status != "active" {
		t.Errorf("the list says %+v", rows)
	}
	if all, err := b.Certificates(t.Context(), Filter{Status: StatusRework}); err != nil || len(all) != 2 {
		t.Errorf("%d certificates wait for a rework, %v", len(all), err)
	}
	// The station ends after the signature. The mark stays, and the next Run delivers the same certificate.
	crashed := b.next(first)
	in := b.issue(crashed)
	b.reopen()
	if old, err := b.Lookup(t.Context(), first.Certificate.Serial); err != nil || old.Status != station.StatusActive || b.waiting() != 2 {
		t.Errorf("before its handshake: %+v, %v, %d boards wait", old, err, b.waiting())
	}
	run := b.next(first)
	if err := b.intends(intent(run)); !errors.Is(err, errAnswered) {
		t.Errorf("a second signature for one mark: %v", err)
	}
	run.Certificate = crashed.Certificate
	b.must(b.Delivered(t.Context(), proven(run)))
	b.must(b.Activate(t.Context(), run))
	run.Ending = station.Pass
	outcome, err := b.Close(t.Context(), run)
	b.must(err)
	if outcome != station.Reworked || b.waiting() != 1 {
		t.Errorf("%s, and %d boards wait", outcome, b.waiting())
	}
	for serial, want := range map[[16]byte]station.Status{first.Certificate.Serial: station.StatusRevoked, in.Serial: station.StatusActive} {
		if record, err := b.Lookup(t.Context(), serial); err != nil || record.Status != want {
			t.Errorf("%x is %v, %v; want %s", serial, record.Status, err, want)
		}
	}
	if next := b.next(first); next.Rework != "" {
		t.Errorf("the mark is spent, and the board is reworked because of %q", next.Rework)
	}
	if n := b.withdraws(Which{BoardID: second.Identity.ID}); n != 1 || b.waiting() != 0 {
		t.Errorf("%d marks are withdrawn, %d boards wait", n, b.waiting())
	}
	b.verify()
	b.reopen()
	b.verify()
}

// A person marks a board while its Run is under way: the mark is for the next Run.
func TestAMarkThatIsYoungerThanTheRunStays(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.enrol(run)
	byHand := again(run, "repair")
	b.must(b.Admit(t.Context(), byHand))
	b.issue(byHand)
	b.marks(Which{BoardID: run.Identity.ID})
	b.must(b.Delivered(t.Context(), proven(byHand)))
	b.must(b.Activate(t.Context(), byHand))
	byHand.Ending = station.Pass
	b.must(b.closeRun(t.Context(), byHand))
	if b.waiting() != 1 {
		t.Error("the Run that began before has spent the mark")
	}
	b.verify()
	b.workedOff(run)
	if b.waiting() != 0 {
		t.Error("the mark is not spent")
	}
	b.verify()
}

// Each key of a board has a mark of its own, and each Run spends one.
func TestAMarkIsForEachKeyOfABoard(t *testing.T) {
	b := newTestRegistry(t)
	tls := b.run()
	b.enrol(tls)
	cose := again(tls, "")
	cose.Purpose = devices.PurposeCOSE
	b.must(b.Admit(t.Context(), cose))
	cose.Handshake = tls.Handshake
	b.enrol(cose)
	if n := b.marks(Which{BoardID: tls.Identity.ID}); n != 1 || b.waiting() != 2 {
		t.Errorf("%d boards, %d keys", n, b.waiting())
	}
	newer := b.workedOff(tls)
	if b.waiting() != 1 {
		t.Errorf("%d keys wait", b.waiting())
	}
	_, err := b.MarkForRework(t.Context(), Which{BoardID: tls.Identity.ID}, SeenBoards(nil), "again", "ann")
	if !errors.Is(err, ErrMarked) {
		t.Errorf("a board with one mark left: %v", err)
	}
	last := b.next(cose)
	last.Handshake = newer.Handshake
	b.enrol(last)
	if b.waiting() != 0 {
		t.Errorf("%d keys wait", b.waiting())
	}
	b.verify()
}

func TestWhoCannotBeMarked(t *testing.T) {
	b := newTestRegistry(t)
	enrolled := func() *station.Run { run := b.run(); b.enrol(run); return run }
	marked, scrapped, lost, revoked, held := enrolled(), enrolled(), enrolled(), enrolled(), enrolled()
	b.marks(Which{BoardID: marked.Identity.ID})
	b.scraps(Which{BoardID: scrapped.Identity.ID})
	b.revokes(Which{BoardID: lost.Identity.ID}, ReasonKeyCompromise)
	b.revokes(Which{BoardID: revoked.Identity.ID}, "superseded")
	b.holds(Which{BoardID: held.Identity.ID})
	for _, test := range []struct {
		name string
		id   devices.BoardID
		want error
	}{
		{"a board that nobody has seen", devices.BoardID(uuid.New()), ErrUnknownBoard},
		{"a board without a certificate", b.run().Identity.ID, ErrNothingToRework},
		{"a marked board", marked.Identity.ID, ErrMarked},
		{"a scrapped board", scrapped.Identity.ID, ErrScrapped},
		{"a board whose key others may know", lost.Identity.ID, issuance.ErrKeyCompromised},
	} {
		if _, err := b.MarkForRework(t.Context(), Which{BoardID: test.id}, SeenBoards(nil), "antenna", "ann"); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
	// A revoked board gets a new certificate, and a board on hold waits for its release.
	for _, run := range []*station.Run{revoked, held} {
		if n := b.marks(Which{BoardID: run.Identity.ID}); n != 1 {
			t.Errorf("%d boards are marked", n)
		}
	}
	b.workedOff(revoked)
	if err := b.Admit(t.Context(), again(held, "antenna")); !errors.Is(err, station.ErrHeld) {
		t.Errorf("a marked board on hold: %v", err)
	}
	b.releases(Which{BoardID: held.Identity.ID})
	b.workedOff(held)
	if _, err := b.MarkForRework(t.Context(), Which{BoardID: held.Identity.ID}, [sha256.Size]byte{}, "antenna", "ann"); !errors.Is(err, ErrOtherSelection) {
		t.Errorf("another preview: %v", err)
	}
	// A marked board that is scrapped waits for nothing, and its mark can be withdrawn.
	b.scraps(Which{BoardID: marked.Identity.ID})
	if n := b.withdraws(Which{BoardID: marked.Identity.ID}); n != 1 || b.waiting() != 0 {
		t.Errorf("%d marks, %d boards wait", n, b.waiting())
	}
	if err := b.write(t.Context(), func(w *work) error {
		return w.markEach(marked.Identity.ID, nil, holdEntry(typeMarked, marked.Identity.ID, "late", "ann"))
	}); !errors.Is(err, ErrOtherSelection) {
		t.Errorf("a board that was scrapped meanwhile: %v", err)
	}
	b.verify()
}

// Entries that the registry would not write are refused by the verification.
func TestAForgedMarkIsRefused(t *testing.T) {
	id := devices.BoardID(uuid.New())
	admitted := runEntry(newRun(id, "hardware"), typeAdmitted, audit.Success)
	entry := func(kind string) audit.Entry {
		return audit.Entry{Type: kind, Board: &audit.Board{ID: id.String()}, Details: map[string]string{detailPurpose: "tls"}}
	}
	marked, withdrawn := entry(typeMarked), entry(typeWithdrawn)
	replays(t, map[string]replayed{
		"a mark and its withdrawal":   {[]audit.Entry{admitted, marked, withdrawn, marked}, true},
		"a mark of an unknown board":  {[]audit.Entry{marked}, false},
		"a second mark":               {[]audit.Entry{admitted, marked, marked}, false},
		"a withdrawal without a mark": {[]audit.Entry{admitted, withdrawn}, false},
		"a mark of a scrapped board":  {[]audit.Entry{admitted, entry("board.scrapped"), marked}, false},
		"a mark without a board":      {[]audit.Entry{{Type: typeMarked}}, false},
		"a mark without a purpose":    {[]audit.Entry{admitted, {Type: typeMarked, Board: marked.Board}}, false},
	})
}

func TestASpentMarkThatTheLogDoesNotHaveIsFound(t *testing.T) {
	for _, change := range []string{`UPDATE reworks SET since = NULL`, `UPDATE reworks SET reason = 'other'`, `UPDATE reworks SET entry = entry + 1`} {
		b := newTestRegistry(t)
		run := b.run()
		b.enrol(run)
		b.marks(Which{BoardID: run.Identity.ID})
		b.must(b.Shutdown())
		b.differsAfter(change)
	}
}

// The keys of the registry are P-256 keys, and its boards can be marked: neither the scrapped one nor one without a certificate.
func TestARegistryOfSchema10IsMigrated(t *testing.T) {
	path, vkey := stored(t, "testdata/schema10.sql")
	markAsNewest(t, path)
	r, err := Open(t.Context(), Config{Path: path, Station: "demo"})
	must(t, err)
	all, err := r.Reworkable(t.Context(), Which{Order: "WO-1"}, false)
	must(t, err)
	number, err := r.MarkForRework(t.Context(), Which{Order: "WO-1"}, SeenBoards(all), "antenna", "ann")
	if number != 2 || err != nil { // one of them is on hold, and the third is scrapped
		t.Errorf("%d, %v", number, err)
	}
	_, err = r.VerifyAudit(t.Context(), vkey)
	must(t, errors.Join(err, r.Shutdown()))
	db, err := sql.Open("sqlite3", path)
	must(t, err)
	defer db.Close()
	var keys int
	must(t, db.QueryRow(`SELECT count(*) FROM keys WHERE algorithm = ?`, devices.AlgorithmP256).Scan(&keys))
	if keys != 3 {
		t.Errorf("%d keys", keys)
	}
}

// The row of a key and its entry have the algorithm. The entry of a P-256 key is as it always was.
func TestAKeyHasItsAlgorithm(t *testing.T) {
	b := newTestRegistry(t)
	for _, algorithm := range []string{"ml-dsa-44", devices.AlgorithmP256} {
		run := b.run()
		in := intent(run)
		in.Algorithm = algorithm
		b.issueAs(run, in)
		var got string
		b.must(b.db.QueryRow(`SELECT algorithm FROM keys WHERE spki_sha256 = ?`, in.SPKISHA256[:]).Scan(&got))
		if e := intentEntry(in, "cert.issue.intent", audit.Success, ""); got != algorithm || (e.Cert.Algorithm == "") != (algorithm == devices.AlgorithmP256) {
			t.Errorf("%s: the row has %q, the entry %q", algorithm, got, e.Cert.Algorithm)
		}
	}
	b.verify()
}
