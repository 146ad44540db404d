package sweep_test

import (
	"database/sql"
	"testing"

	"hallmark/station"
)

// TestNothingIsSignedWithoutEvidence checks I8: from the second call of the Run on, the audit
// log accepts no entry.
func TestNothingIsSignedWithoutEvidence(t *testing.T) {
	w := newEnvironment(t, newFactory(t))
	run := w.disturb(&disturbed{at: 2, happens: func(*disturbed) {
		w.execute(`CREATE TRIGGER full BEFORE INSERT ON audit_entry BEGIN SELECT RAISE(ABORT, 'disk is full'); END`)
	}})
	if run.Ending != station.Fault || run.CSR == nil || run.Certificate != nil || w.signatures != 0 {
		t.Errorf("the Run ends as %s (%v), after %d signatures", run.Ending, run.Err, w.signatures)
	}
	w.execute(`DROP TRIGGER full`)
	again := w.runStation(&crashPoint{}, "")
	if again.Ending != station.Pass {
		t.Errorf("with room for evidence it ends as %s: %v", again.Ending, again.Err)
	}
	w.check(again)
}

// execute changes the database without the registry.
func (w *environment) execute(statement string) {
	w.t.Helper()
	db := must(sql.Open("sqlite3", w.database()))(w.t)
	defer db.Close()
	if _, err := db.ExecContext(w.t.Context(), statement); err != nil {
		w.t.Fatal(err)
	}
}
