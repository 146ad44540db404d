package html

import (
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
)

// A record is a log that a test writes, with a clock that the test moves.
type record struct {
	entries []audit.Entry
	now     time.Time
	runs    int
}

func newRecord() *record { return &record{now: time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC)} }

func (r *record) add(kind string, outcome audit.Outcome, e audit.Entry) {
	r.now = r.now.Add(250 * time.Millisecond)
	e.V, e.Seq, e.Type, e.Outcome, e.Time, e.Station = audit.Version, int64(len(r.entries)), kind, outcome, audit.Time{Time: r.now}, "line-1"
	if e.Actor.ID == "" {
		e.Actor = audit.Itself()
	}
	r.entries = append(r.entries, e)
}

func (r *record) note(kind string, outcome audit.Outcome, operator string, details map[string]string) {
	e := audit.Entry{Details: details}
	if operator != "" {
		e.Actor = audit.Actor{ID: operator, Kind: "human"}
	}
	r.add(kind, outcome, e)
}

// A trial is one Run of a board.
type trial struct {
	board, order, operator string
	quota, counted         int64
	rework                 bool
	result                 string // cert.issued, cert.issue.failed, cert.issue.unresolved, cert.issue.denied; empty: no signature
	ending, reason, passed string
}

func (r *record) run(t trial) (serial string) {
	r.runs++
	r.now = r.now.Add(7 * time.Minute)
	board := &audit.Board{ID: t.board, HardwareID: "0a0b", Type: "nrf52840dk", Firmware: "1.2.0"}
	run := &audit.Run{ID: fmt.Sprint("run-", r.runs), Bay: "bay-1", Operator: t.operator, Purpose: "tls"}
	serial = fmt.Sprintf("%032x", r.runs)
	var order *audit.WorkOrder
	if t.order != "" {
		order = &audit.WorkOrder{ID: t.order, Product: "thermostat", Quota: t.quota, Counted: t.counted}
	}
	who := audit.Actor{ID: t.operator, Kind: "human"}
	r.add("board.admitted", audit.Success, audit.Entry{Actor: who, Board: board, Run: run, WorkOrder: order})
	brief, about := &audit.Run{ID: run.ID}, func(status string) *audit.Cert { return &audit.Cert{Serial: serial, Purpose: "tls", Status: status} }
	switch t.result {
	case "":
	case "cert.issue.denied":
		r.add(t.result, audit.Denied, audit.Entry{Board: board, Run: brief, Cert: about(""), Reason: t.reason})
	default:
		intent := about("")
		intent.Rework = t.rework
		r.add("cert.issue.intent", audit.Success, audit.Entry{Board: board, Run: brief, Cert: intent, WorkOrder: order})
		status := map[string]string{"cert.issued": "issued", "cert.issue.failed": "failed", "cert.issue.unresolved": "unresolved"}[t.result]
		if status != "" {
			r.add(t.result, audit.Success, audit.Entry{Board: board, Run: brief, Cert: about(status)})
		}
	}
	if t.ending == pass && t.result != "" {
		for _, change := range [][2]string{{"cert.delivered", "delivered"}, {"cert.activated", "active"}} {
			r.add(change[0], audit.Success, audit.Entry{Board: board, Run: brief, Cert: about(change[1])})
		}
	}
	if t.ending != "" {
		ended := *run
		ended.Outcome = t.passed
		ended.Steps = []audit.Step{{Name: "identify", TookUS: 4000 + int64(r.runs)}, {Name: "sign", TookUS: 1500, Retries: 1}}
		r.add("run."+t.ending, audit.Success, audit.Entry{Actor: who, Board: board, Run: &ended, Reason: t.reason, Details: map[string]string{"wire_sent": "3506"}})
	}
	return serial
}

// shift is a record in which everything happens that the report tells of.
func shift() *record {
	r := newRecord()
	r.note(audit.TypeGenesis, audit.Success, "ceremony master", map[string]string{"vkey": "hallmark/line-1+0badc0de+AjBZ", "hsm_model": "nShield 5c", "hsm_serial": "5c-0042",
		"hsm_software": "false", "key_hallmark-audit": "CKA_SENSITIVE yes, CKA_EXTRACTABLE no", "key_hallmark-issuing": "CKA_SENSITIVE yes, CKA_EXTRACTABLE no",
		"certificate_root_sha256": "4f1d", "certificate_issuing_sha256": "77aa", "profile": "linaro", "profile_sha256": "74a9"})
	r.note("log.startup", audit.Success, "", map[string]string{"version": "1.0.0", "configuration_sha256": "aa11"})
	r.note("operator.login.ok", audit.Success, "ann", map[string]string{"by": "badge"})
	r.add("order.opened", audit.Success, audit.Entry{WorkOrder: &audit.WorkOrder{ID: "LOT-1", Product: "thermostat", Quota: 8},
		Details: map[string]string{"firmware_allow": "aa11,bb22"}})
	first := ""
	for n := range 4 {
		serial := r.run(trial{board: fmt.Sprint("board-", n), order: "LOT-1", operator: "ann", quota: 8, counted: int64(n + 1), result: "cert.issued", ending: pass, passed: "issued"})
		first = max(first, serial)
	}
	r.run(trial{board: "board-4", order: "LOT-1", operator: "ann", quota: 8, counted: 5, result: "cert.issued", ending: reject, reason: "handshake"})
	r.run(trial{board: "board-5", order: "LOT-1", operator: "ann", quota: 8, counted: 6, result: "cert.issue.unresolved", ending: fault, reason: "unresolved"})
	r.run(trial{board: "board-6", order: "LOT-1", operator: "bob", quota: 8, counted: 6, result: "cert.issue.failed", ending: fault, reason: "not-signed"})
	r.run(trial{board: "board-7", order: "LOT-1", operator: "bob", quota: 8, counted: 6, result: "cert.issue.denied", ending: reject, reason: "quota"})
	r.run(trial{board: "board-0", operator: "bob", rework: true, result: "cert.issued", ending: pass, passed: "reworked"})
	r.add("cert.superseded", audit.Success, audit.Entry{Cert: &audit.Cert{Serial: fmt.Sprintf("%032x", 1), Status: "superseded"}})
	r.run(trial{board: "board-1", operator: "bob", ending: pass, passed: "confirmed"})
	r.run(trial{board: "board-8", operator: "bob", ending: aborted, reason: "operator"})
	r.add("run.reject", audit.Denied, audit.Entry{Run: &audit.Run{ID: "run-refused", Operator: "bob"}, Reason: "clone", Details: map[string]string{"admitted": "false"}})
	r.add("bay.stopped", audit.Denied, audit.Entry{Run: &audit.Run{ID: "run-refused", Bay: "bay-2"}, Board: &audit.Board{ID: "board-2"}, Reason: "clone"})
	r.add("bay.stopped", audit.Denied, audit.Entry{Run: &audit.Run{ID: "run-refused", Bay: "bay-3"}, Reason: "clone"})
	r.note("bay.acknowledged", audit.Success, "ann", map[string]string{"bay": "bay-2"})
	r.note("hsm.away", audit.Failure, "", map[string]string{"error": "the token is gone: CKR_DEVICE_REMOVED"})
	r.note("hsm.back", audit.Success, "", nil)
	r.note(audit.TypeClockStep, audit.Denied, "", map[string]string{"behind": "3h0m0s"})
	r.add("cert.revoked", audit.Success, audit.Entry{Actor: audit.Actor{ID: "ann", Kind: "human"}, Cert: &audit.Cert{Serial: first, Status: "revoked"}, Reason: "lost"})
	r.note("log.startup", audit.Success, "", map[string]string{"version": "1.1.0", "configuration_sha256": "bb22", "changed": "configuration_sha256 version"})
	r.note("log.migrated", audit.Success, "", map[string]string{"from": "2", "to": "3"})
	r.note("log.accepted", audit.Success, "ann", map[string]string{"mark_size": "44"})
	r.note("operator.login.fail", audit.Denied, "", map[string]string{"badge": "0001"})
	r.note("operator.logout", audit.Success, "ann", nil)
	r.note("verifier.renewed", audit.Success, "ann", map[string]string{"not_after": "2027-12-01T00:00:00Z"})
	r.note("ocsp.issued", audit.Success, "bob", map[string]string{"not_after": "2026-12-02T00:00:00Z"})
	r.note("prove.issued", audit.Success, "bob", map[string]string{"code": "C0DE"})
	r.add("board.held", audit.Success, audit.Entry{Actor: audit.Actor{ID: "carl", Kind: "human"}, Board: &audit.Board{ID: "board-1"}, Reason: "antenna"})
	r.note("export.done", audit.Success, "carl", map[string]string{"to": "bundle.tar"})
	r.note(audit.TypeCheckpoint, audit.Success, "", map[string]string{"size": "60"})
	return r
}

func (r *record) head() audit.Head {
	return audit.Head{Size: int64(len(r.entries)), Root: tlog.RecordHash([]byte("root"))}
}

// signed is a note over the record, whose signature nobody checks here.
func (r *record) signed() []byte {
	return fmt.Appendf(nil, "hallmark/line-1\n%d\n%v\n\n\u2014 hallmark/line-1 C63A3jBFAiEA\n", r.head().Size, r.head().Root)
}
