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
	next                                          int32 // another row of the same board, or -1
	boardID, hardwareID, serial, certificate, run span
	purpose, kind, firmware, firmwareHash, huk    word
	status, profile, profileHash, order           word
	operator, lastEnding, lastReason              word
	firstSeen, scrapped, changed                  moment
	runs                                          int32
}

// boards follows the entries, and has a row for each board and purpose.
type boards struct {
	texts
	table        rowTable
	ofBoard      map[textKey]int32 // the newest row of a board, by its BoardID
	serials      map[textKey]int32 // the row whose newest certificate has the serial number
	operator     map[string]string // of open Runs
	admittedOnly bool              // only admitted boards have a row, as in bundles before firstWithRefused
}

func newBoards() *boards {
	return &boards{texts: texts{ids: map[string]word{"": 0}, words: []string{""}}, ofBoard: map[textKey]int32{}, serials: map[textKey]int32{}, operator: map[string]string{}}
}

// A textKey stands for a text in a map without pointers: half of its SHA-256, in which nobody finds two texts with the same key.
type textKey [sha256.Size / 2]byte

func keyOf(text string) textKey {
	sum := sha256.Sum256([]byte(text))
	return textKey(sum[:])
}

// A rowTable grows without a copy of the rows that it has.
type rowTable struct {
	blocks []*[rowsOfBlock]boardRow
	size   int32
}

const rowsOfBlock = 512

func (t *rowTable) at(n int32) *boardRow { return &t.blocks[n/rowsOfBlock][n%rowsOfBlock] }

// add adds a row, and gives its number.
func (t *rowTable) add(row boardRow) int32 {
	n := t.size
	if n%rowsOfBlock == 0 {
		t.blocks = append(t.blocks, new([rowsOfBlock]boardRow))
	}
	t.size++
	*t.at(n) = row
	return n
}

// rowsOf gives the numbers of the rows of a board.
func (b *boards) rowsOf(id string) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		n, known := b.ofBoard[keyOf(id)]
		for known && n >= 0 && yield(n) {
			n = b.table.at(n).next
		}
	}
}

// row gives the number of the row of a board and purpose.
func (b *boards) row(id, purpose string) int32 {
	wanted := b.word(purpose)
	for n := range b.rowsOf(id) {
		if b.table.at(n).purpose == wanted {
			return n
		}
	}
	key, next := keyOf(id), int32(-1)
	if n, known := b.ofBoard[key]; known {
		next = n
	}
	n := b.table.add(boardRow{next: next, purpose: wanted})
	b.ofBoard[key] = n
	b.put(&b.table.at(n).boardID, id)
	return n
}

func (b *boards) add(e *audit.Entry) {
	board, run, cert := orZero(e.Board), orZero(e.Run), orZero(e.Cert)
	ending, isEnd := strings.CutPrefix(e.Type, "run.")
	switch {
	case board.ID == "":
	case e.Type == "board.admitted":
		b.admitted(e, b.table.at(b.row(board.ID, run.Purpose)))
	case e.Type == "board.scrapped":
		for n := range b.rowsOf(board.ID) {
			b.table.at(n).scrapped = momentOf(e.Time)
		}
	case e.Type == "cert.issue.intent":
		b.intended(e, b.row(board.ID, cert.Purpose))
	case cert.Serial != "" && cert.Status != "":
		b.changed(e)
	case isEnd && e.Details["admitted"] == "false":
		b.refused(e, ending)
	case isEnd:
		r := b.table.at(b.row(board.ID, run.Purpose))
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
		if b.table.at(n).purpose == b.word(purpose) && (b.table.at(n).runs > 0 || b.table.at(n).serial.size() > 0) {
			return
		}
	}
	r := b.table.at(b.row(e.Board.ID, purpose))
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
func (b *boards) intended(e *audit.Entry, n int32) {
	r := b.table.at(n)
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
	r := b.table.at(n)
	r.status, r.changed = b.word(e.Cert.Status), momentOf(e.Time)
	if e.Cert.SHA256 != "" {
		b.put(&r.certificate, e.Cert.SHA256)
	}
}

// rows gives the cells of the rows in the order in which the boards were first seen.
func (b *boards) rows() iter.Seq[[]string] {
	order := make([]int32, b.table.size)
	for n := range order {
		order[n] = int32(n)
	}
	slices.SortFunc(order, func(i, j int32) int {
		x, y := b.table.at(i), b.table.at(j)
		return cmp.Or(x.firstSeen.compare(y.firstSeen), bytes.Compare(b.octets(x.boardID), b.octets(y.boardID)), -cmp.Compare(b.words[x.purpose], b.words[y.purpose]))
	})
	return func(yield func([]string) bool) {
		for _, n := range order {
			if !yield(b.cells(b.table.at(n))) {
				return
			}
		}
	}
}

func (b *boards) cells(r *boardRow) []string {
	w := b.words
	return []string{b.text(r.boardID), w[r.purpose], b.text(r.hardwareID), w[r.kind], w[r.firmware], w[r.firmwareHash], w[r.huk], r.firstSeen.String(), r.scrapped.String(),
		b.text(r.serial), b.text(r.certificate), w[r.status], r.changed.String(), w[r.profile], w[r.profileHash], w[r.order], w[r.operator], b.text(r.run),
		strconv.Itoa(int(r.runs)), w[r.lastEnding], w[r.lastReason]}
}

// texts keeps texts without a pointer for each.
type texts struct {
	ids    map[string]word
	words  []string
	blocks [][]byte
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

// A span is where a text lies in the blocks: the number of its first octet there, and its size, for which
// 16 bits are enough because an entry has at most 65,535 octets.
type span uint64

func (s span) first() int { return int(s >> 16) }

func (s span) size() int { return int(s & (textBlock - 1)) }

// textBlock is the size of a block of texts, in octets. No text lies in two blocks.
const textBlock = 1 << 16

func (t *texts) octets(s span) []byte {
	at := s.first() % textBlock
	if s == 0 {
		return nil
	}
	return t.blocks[s.first()/textBlock][at : at+s.size()]
}

func (t *texts) text(s span) string { return string(t.octets(s)) }

// put replaces a text. A text that is no longer than the one before takes its place.
func (t *texts) put(s *span, text string) {
	text = text[:min(len(text), textBlock-1)]
	if len(text) > s.size() {
		if len(t.blocks) == 0 || len(t.blocks[len(t.blocks)-1])+len(text) > textBlock {
			t.blocks = append(t.blocks, make([]byte, 0, textBlock))
		}
		last := &t.blocks[len(t.blocks)-1]
		first := (len(t.blocks)-1)*textBlock + len(*last)
		*last = append(*last, text...)
		*s = span(first)<<16 | span(len(text))
		return
	}
	*s = span(s.first())<<16 | span(len(text))
	copy(t.octets(*s), text)
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
