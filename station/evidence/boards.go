package evidence

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"hallmark/station/audit"
)

// boardColumns are documented as stable: columns are only ever added, at the end.
var boardColumns = []string{"board_id", "purpose", "hardware_id", "board_type", "firmware", "firmware_sha256", "huk", "first_seen", "scrapped",
	"serial_number", "certificate_sha256", "status", "changed", "profile", "profile_sha256", "order", "operator", "run", "runs", "last_ending", "last_reason"}

// A boardRow is one board with its newest certificate for one purpose. There may be a million, so a
// row has no pointers, which the garbage collector would follow again and again: texts that many
// rows share are words, other texts lie in one block of memory.
type boardRow struct {
	next                                          int // another row of the same board, or -1
	boardID, hardwareID, serial, certificate, run span
	purpose, kind, firmware, firmwareHash, huk    word
	status, profile, profileHash, order           word
	operator, lastEnding, lastReason              word
	firstSeen, scrapped, changed                  moment
	runs                                          int
}

// boards follows the entries, and has a row for each board and purpose.
type boards struct {
	texts
	table        []boardRow
	ofBoard      map[digest]int    // the newest row of a board, by the digest of its BoardID
	serials      map[digest]int    // the row whose newest certificate has the serial number
	operator     map[string]string // of open Runs
	admittedOnly bool              // only admitted boards have a row, as in bundles before firstWithRefused
}

func newBoards() *boards {
	return &boards{texts: texts{ids: map[string]word{"": 0}, words: []string{""}}, ofBoard: map[digest]int{}, serials: map[digest]int{}, operator: map[string]string{}}
}

// keyOf gives the key of a text in a map without pointers.
func keyOf(text string) digest { return sha256.Sum256([]byte(text)) }

// rowsOf gives the numbers of the rows of a board.
func (b *boards) rowsOf(id string) iter.Seq[int] {
	return func(yield func(int) bool) {
		n, known := b.ofBoard[keyOf(id)]
		for known && n >= 0 && yield(n) {
			n = b.table[n].next
		}
	}
}

// row gives the number of the row of a board and purpose.
func (b *boards) row(id, purpose string) int {
	wanted := b.word(purpose)
	for n := range b.rowsOf(id) {
		if b.table[n].purpose == wanted {
			return n
		}
	}
	key, next := keyOf(id), -1
	if n, known := b.ofBoard[key]; known {
		next = n
	}
	b.ofBoard[key] = len(b.table)
	b.table = append(b.table, boardRow{next: next, purpose: wanted})
	b.put(&b.table[len(b.table)-1].boardID, id)
	return len(b.table) - 1
}

func (b *boards) add(e *audit.Entry) {
	board, run, cert := orZero(e.Board), orZero(e.Run), orZero(e.Cert)
	ending, isEnd := strings.CutPrefix(e.Type, "run.")
	switch {
	case board.ID == "":
	case e.Type == "board.admitted":
		b.admitted(e, &b.table[b.row(board.ID, run.Purpose)])
	case e.Type == "board.scrapped":
		for n := range b.rowsOf(board.ID) {
			b.table[n].scrapped = momentOf(e.Time)
		}
	case e.Type == "cert.issue.intent":
		b.intended(e, b.row(board.ID, cert.Purpose))
	case cert.Serial != "" && cert.Status != "":
		b.changed(e)
	case isEnd && e.Details["admitted"] == "false":
		b.refused(e, ending)
	case isEnd:
		r := &b.table[b.row(board.ID, run.Purpose)]
		r.lastEnding, r.lastReason = b.word(ending), b.word(e.Reason)
		delete(b.operator, run.ID)
	}
}

// refused gives a board that was never admitted a row with what it said of itself. A refusal changes nothing in the row of an admitted
// board: it may be another board that says it is the same.
func (b *boards) refused(e *audit.Entry, ending string) {
	purpose := orZero(e.Run).Purpose
	if b.admittedOnly {
		return
	}
	for n := range b.rowsOf(e.Board.ID) {
		if b.table[n].purpose == b.word(purpose) && (b.table[n].runs > 0 || b.table[n].serial.size > 0) {
			return
		}
	}
	r := &b.table[b.row(e.Board.ID, purpose)]
	b.said(e, r)
	r.lastEnding, r.lastReason = b.word(ending), b.word(e.Reason)
}

// said notes what a board said of itself, and when it was first seen.
func (b *boards) said(e *audit.Entry, r *boardRow) {
	b.put(&r.hardwareID, e.Board.HardwareID)
	r.kind, r.firmware, r.firmwareHash, r.huk = b.word(e.Board.Type), b.word(e.Board.Firmware), b.word(e.Board.SHA256), b.word(e.Board.HUK)
	if !r.firstSeen.set {
		r.firstSeen = momentOf(e.Time)
	}
}

func (b *boards) admitted(e *audit.Entry, r *boardRow) {
	b.said(e, r)
	r.runs++
	b.operator[orZero(e.Run).ID] = orZero(e.Run).Operator
}

// intended begins another certificate. The certificate before stays in the events.
func (b *boards) intended(e *audit.Entry, n int) {
	r := &b.table[n]
	delete(b.serials, keyOf(b.text(r.serial)))
	b.put(&r.serial, e.Cert.Serial)
	b.put(&r.certificate, "")
	b.put(&r.run, orZero(e.Run).ID)
	r.status, r.changed = b.word("intended"), momentOf(e.Time)
	r.profile, r.profileHash, r.order = b.word(e.Cert.Profile), b.word(e.Cert.ProfileSHA256), b.word(orZero(e.WorkOrder).ID)
	r.operator = b.word(b.operator[orZero(e.Run).ID])
	b.serials[keyOf(e.Cert.Serial)] = n
}

func (b *boards) changed(e *audit.Entry) {
	n, known := b.serials[keyOf(e.Cert.Serial)]
	if !known {
		return
	}
	r := &b.table[n]
	r.status, r.changed = b.word(e.Cert.Status), momentOf(e.Time)
	if e.Cert.SHA256 != "" {
		b.put(&r.certificate, e.Cert.SHA256)
	}
}

// rows gives the cells of the rows in the order in which the boards were first seen.
func (b *boards) rows() iter.Seq[[]string] {
	order := make([]int, len(b.table))
	for n := range order {
		order[n] = n
	}
	slices.SortFunc(order, func(i, j int) int {
		x, y := &b.table[i], &b.table[j]
		return cmp.Or(x.firstSeen.compare(y.firstSeen), bytes.Compare(b.octets(x.boardID), b.octets(y.boardID)), -cmp.Compare(b.words[x.purpose], b.words[y.purpose]))
	})
	return func(yield func([]string) bool) {
		for _, n := range order {
			if !yield(b.cells(&b.table[n])) {
				return
			}
		}
	}
}

func (b *boards) cells(r *boardRow) []string {
	w := b.words
	return []string{b.text(r.boardID), w[r.purpose], b.text(r.hardwareID), w[r.kind], w[r.firmware], w[r.firmwareHash], w[r.huk], r.firstSeen.String(), r.scrapped.String(),
		b.text(r.serial), b.text(r.certificate), w[r.status], r.changed.String(), w[r.profile], w[r.profileHash], w[r.order], w[r.operator], b.text(r.run),
		strconv.Itoa(r.runs), w[r.lastEnding], w[r.lastReason]}
}

// texts keeps texts without a pointer for each.
type texts struct {
	ids   map[string]word
	words []string
	block []byte
}

// A word is the number of a text that many rows share.
type word uint32

func (t *texts) word(text string) word {
	id, known := t.ids[text]
	if !known {
		id = word(len(t.words))
		t.ids[text], t.words = id, append(t.words, text)
	}
	return id
}

// A span is where a text lies in the block.
type span struct{ first, size int }

func (t *texts) octets(s span) []byte { return t.block[s.first : s.first+s.size] }

func (t *texts) text(s span) string { return string(t.octets(s)) }

// put replaces a text. A text that is no longer than the one before takes its place.
func (t *texts) put(s *span, text string) {
	if len(text) > s.size {
		*s = span{len(t.block), len(text)}
		t.block = append(t.block, text...)
		return
	}
	copy(t.block[s.first:], text)
	s.size = len(text)
}

// A moment is a time of an entry, or none.
type moment struct {
	seconds     int64
	nanoseconds int32
	set         bool
}

func momentOf(t audit.Time) moment { return moment{t.Unix(), int32(t.Nanosecond()), true} }

// compare gives the order in time. No time comes first.
func (m moment) compare(n moment) int {
	if m.set != n.set {
		return cmp.Compare(m.String(), n.String())
	}
	return cmp.Or(cmp.Compare(m.seconds, n.seconds), cmp.Compare(m.nanoseconds, n.nanoseconds))
}

func (m moment) String() string {
	if !m.set {
		return ""
	}
	return audit.Time{Time: time.Unix(m.seconds, int64(m.nanoseconds))}.String()
}
