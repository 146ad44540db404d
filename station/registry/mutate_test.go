package registry

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
)

// mutate removes a part of a JSON object, or gives it another type. It says what it did.
func mutate(random *rand.Rand, object map[string]any, path string) string {
	var names []string
	for name := range object {
		names = append(names, name)
	}
	if len(names) == 0 {
		return path + " is empty"
	}
	name := names[random.IntN(len(names))]
	if inner, ok := object[name].(map[string]any); ok && random.IntN(2) == 0 {
		return mutate(random, inner, path+"."+name)
	}
	values := []any{nil, "", "x", 7, true, []any{}, map[string]any{}, -1.5}
	if n := random.IntN(len(values) + 1); n < len(values) {
		object[name] = values[n]
	} else {
		delete(object, name)
	}
	return path + "." + name
}

// A crafted entry is found or refused, and never makes the verification panic. The hashes of the
// tree are made to fit the entry, so that the entry itself is read.
func TestACraftedEntryIsFoundAndNeverPanics(t *testing.T) {
	b, bodies := everyEntry(t)
	db, err := sql.Open("sqlite3", b.path)
	must(t, err)
	defer db.Close()
	_, err = db.Exec(`DROP TRIGGER audit_entry_fixed`)
	must(t, err)
	marked, err := readMark(MarkOf(b.path))
	must(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		seq := random.IntN(len(bodies))
		var object map[string]any
		must(t, json.Unmarshal(bodies[seq], &object))
		where := mutate(random, object, "")
		mutated, err := json.Marshal(object)
		must(t, err)
		if bytes.Equal(mutated, bodies[seq]) {
			continue
		}
		tx, err := db.BeginTx(t.Context(), nil)
		must(t, err)
		rehash(t, tx, bodies, seq, mutated)
		report, err := audit.Verify(t.Context(), tx, audit.Verification{Key: b.vkey, Each: newReplay().apply})
		if err == nil { // only an entry that no checkpoint covers yet
			err = theMark.covers(t.Context(), tx, report.Head, marked)
		}
		if err == nil {
			t.Errorf("nothing is found in %s of %s", where, bodies[seq])
		}
		must(t, tx.Rollback())
	}
}

// rehash writes a mutated entry, and the hashes of the tree from there on.
func rehash(t *testing.T, tx *sql.Tx, bodies [][]byte, seq int, mutated []byte) {
	t.Helper()
	var edge []tlog.Hash // complete subtrees, from the left
	for n, body := range bodies {
		if n == seq {
			body = mutated
		}
		hash := tlog.RecordHash(body)
		hashes := bytes.Clone(hash[:])
		for level := 0; n>>level&1 == 1; level++ {
			hash = tlog.NodeHash(edge[len(edge)-1], hash)
			edge, hashes = edge[:len(edge)-1], append(hashes, hash[:]...)
		}
		edge = append(edge, hash)
		if n >= seq {
			_, err := tx.Exec(`UPDATE audit_entry SET body = ?, hashes = ? WHERE seq = ?`, body, hashes, n)
			must(t, err)
		}
	}
}

// everyEntry gives a log with entries of every type that rows follow from.
func everyEntry(t *testing.T) (_ *testRegistry, bodies [][]byte) {
	b := newTestRegistry(t)
	b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 5}, "ann"))
	run := b.run()
	b.enrol(run)
	ordered := again(run, "repair")
	ordered.Order = "WO-1"
	b.must(b.Admit(t.Context(), ordered))
	b.enrol(ordered)
	b.stopBay(b.run())
	b.must(b.AcknowledgeBay(t.Context(), "bay-1", "ann"))
	refused := newRun(run.Identity.ID, "other hardware")
	b.stopBay(refused)
	b.scraps(Which{BoardID: run.Identity.ID})
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.reopen()
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	rows, err := b.db.Query(`SELECT body FROM audit_entry ORDER BY seq`)
	b.must(err)
	bodies, err = collect(rows, func(body *[]byte) []any { return []any{body} })
	b.must(err)
	return b, bodies
}
