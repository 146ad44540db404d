package evidence

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
)

// The views are other forms of the same entries, for people and programs that read no Merkle
// tree. Each view follows from the entries alone, so a checker makes it anew and compares.
const (
	EventsJSON   = "views/events.jsonl"
	EventsCSV    = "views/events.csv"
	EventsSyslog = "views/events.rfc5424"
	BoardsCSV    = "views/boards.csv"
)

// viewNames are the views of a bundle.
var viewNames = []string{EventsJSON, EventsCSV, EventsSyslog, BoardsCSV}

// Views writes the views while entries come in order.
type Views struct {
	lines, syslog *bufio.Writer
	events        *csv.Writer
	boardsCSV     *csv.Writer
	boards        *boards
}

// NewViews makes the views; open gives the file of each view. The caller closes the files
// after End.
func NewViews(open func(name string) (io.Writer, error)) (*Views, error) {
	files := map[string]io.Writer{}
	for _, name := range viewNames {
		file, err := open(name)
		if err != nil {
			return nil, fmt.Errorf("making the view %s: %w", name, err)
		}
		files[name] = file
	}
	v := &Views{lines: bufio.NewWriterSize(files[EventsJSON], 64<<10), syslog: bufio.NewWriterSize(files[EventsSyslog], 64<<10),
		events: csv.NewWriter(files[EventsCSV]), boardsCSV: csv.NewWriter(files[BoardsCSV]), boards: newBoards()}
	return v, v.events.Write(eventColumns)
}

// rendered is one entry in the forms of the views.
type rendered struct {
	line, syslog string
	cells        []string
}

// render makes the forms. body is the canonical form of e.
func render(e *audit.Entry, body []byte, leaf tlog.Hash) rendered {
	return rendered{fmt.Sprintf(`{"seq":%d,"leaf":"%x","entry":%s}`+"\n", e.Seq, leaf[:], body), syslogLine(e, leaf), SafeCells(eventCells(e))}
}

// Add writes one entry into each view. body is the canonical form of e.
func (v *Views) Add(e *audit.Entry, body []byte) error {
	return v.put(e, render(e, body, tlog.RecordHash(body)))
}

func (v *Views) put(e *audit.Entry, r rendered) error {
	if _, err := v.lines.WriteString(r.line); err != nil {
		return err
	}
	if _, err := v.syslog.WriteString(r.syslog); err != nil {
		return err
	}
	v.boards.add(e)
	return v.events.Write(r.cells)
}

// End writes what follows from all entries, and flushes.
func (v *Views) End() error {
	if err := v.boardsCSV.Write(boardColumns); err != nil {
		return err
	}
	for _, row := range v.boards.rows() {
		if err := v.boardsCSV.Write(SafeCells(row.cells())); err != nil {
			return err
		}
	}
	v.boardsCSV.Flush()
	v.events.Flush()
	return cmp.Or(v.boardsCSV.Error(), v.events.Error(), v.lines.Flush(), v.syslog.Flush())
}

// eventColumns are documented as stable: columns are only ever added, at the end.
var eventColumns = []string{"seq", "time", "category", "type", "outcome", "reason", "actor", "actor_kind", "station", "board_id", "hardware_id",
	"run", "bay", "operator", "order", "purpose", "serial_number", "certificate_sha256", "status", "details"}

func eventCells(e *audit.Entry) []string {
	b, r, c, o := orZero(e.Board), orZero(e.Run), orZero(e.Cert), orZero(e.WorkOrder)
	return []string{strconv.FormatInt(e.Seq, 10), e.Time.String(), string(e.Category), e.Type, string(e.Outcome), e.Reason, e.Actor.ID, e.Actor.Kind, e.Station,
		b.ID, b.HardwareID, r.ID, r.Bay, r.Operator, o.ID, cmp.Or(c.Purpose, r.Purpose), c.Serial, c.SHA256, c.Status, details(e.Details)}
}

func orZero[T any](part *T) T {
	if part == nil {
		var none T
		return none
	}
	return *part
}

func details(d map[string]string) string {
	if len(d) == 0 {
		return ""
	}
	text, err := json.Marshal(d) // sorts the keys; a map of strings always encodes
	if err != nil {
		return ""
	}
	return string(text)
}

// SafeCells keeps a spreadsheet from taking a text of a board or a person for a formula.
// A cell that begins with one of = + - @, a tab or a line end gets an apostrophe in front.
func SafeCells(cells []string) []string {
	for i, cell := range cells {
		if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
			cells[i] = "'" + cell
		}
	}
	return cells
}

// syslogLine gives an entry as one line of RFC 5424. The structured data uses the private
// enterprise number 32473, which RFC 5612 keeps for documentation.
func syslogLine(e *audit.Entry, leaf tlog.Hash) string {
	severity := map[audit.Outcome]int{audit.Success: 6, audit.Denied: 4, audit.Failure: 3, audit.Unknown: 3}[e.Outcome]
	data := fmt.Sprintf(`[hallmark@32473 seq="%d" type=%s outcome=%s reason=%s actor=%s board=%s serial=%s leaf="%x"]`, e.Seq, param(e.Type),
		param(string(e.Outcome)), param(e.Reason), param(e.Actor.ID), param(orZero(e.Board).ID), param(orZero(e.Cert).Serial), leaf[:])
	const facility = 13 // log audit (RFC 5424 table 1)
	return fmt.Sprintf("<%d>1 %s %s hallmark - %s %s\n", facility*8+severity, e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), header(e.Station), header(e.Type), data)
}

// param quotes a value of structured data (RFC 5424 section 6.3.3). Control characters become
// a question mark, so that an entry stays one line.
func param(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
	return `"` + paramEscapes.Replace(text) + `"`
}

// paramEscapes never changes. Making a replacer takes longer than the line.
var paramEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

// header gives a text as a field of the header: printable ASCII without space, at most 32
// octets, or "-" (RFC 5424 section 6).
func header(text string) string {
	text = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, text)
	return cmp.Or(text[:min(len(text), 32)], "-")
}

// A boardRow is one board with its newest certificate for one purpose.
type boardRow struct {
	boardID, purpose, hardwareID, kind, firmware, firmwareHash, huk, firstSeen, scrapped string
	serial, certificate, status, changed, profile, profileHash                           string
	order, operator, run                                                                 string
	runs                                                                                 int
	lastEnding, lastReason                                                               string
}

// boardColumns are documented as stable: columns are only ever added, at the end.
var boardColumns = []string{"board_id", "purpose", "hardware_id", "board_type", "firmware", "firmware_sha256", "huk", "first_seen", "scrapped",
	"serial_number", "certificate_sha256", "status", "changed", "profile", "profile_sha256", "order", "operator", "run", "runs", "last_ending", "last_reason"}

func (r *boardRow) cells() []string {
	return []string{r.boardID, r.purpose, r.hardwareID, r.kind, r.firmware, r.firmwareHash, r.huk, r.firstSeen, r.scrapped,
		r.serial, r.certificate, r.status, r.changed, r.profile, r.profileHash, r.order, r.operator, r.run, strconv.Itoa(r.runs), r.lastEnding, r.lastReason}
}

// boards follows the entries, and has a row for each board and purpose.
type boards struct {
	byKey    map[string]*boardRow // board and purpose
	serials  map[string]*boardRow // the row whose newest certificate has the serial number
	operator map[string]string    // of open Runs
}

func newBoards() *boards {
	return &boards{byKey: map[string]*boardRow{}, serials: map[string]*boardRow{}, operator: map[string]string{}}
}

func (b *boards) row(id, purpose string) *boardRow {
	key := id + " " + purpose
	if b.byKey[key] == nil {
		b.byKey[key] = &boardRow{boardID: id, purpose: purpose}
	}
	return b.byKey[key]
}

func (b *boards) add(e *audit.Entry) {
	board, run, cert := orZero(e.Board), orZero(e.Run), orZero(e.Cert)
	ending, isEnd := strings.CutPrefix(e.Type, "run.")
	switch {
	case board.ID == "":
	case e.Type == "board.admitted":
		r := b.row(board.ID, run.Purpose)
		r.hardwareID, r.kind, r.firmware, r.firmwareHash, r.huk = board.HardwareID, board.Type, board.Firmware, board.SHA256, board.HUK
		r.firstSeen, r.runs = cmp.Or(r.firstSeen, e.Time.String()), r.runs+1
		b.operator[run.ID] = run.Operator
	case e.Type == "board.scrapped":
		for _, r := range b.byKey {
			if r.boardID == board.ID {
				r.scrapped = e.Time.String()
			}
		}
	case e.Type == "cert.issue.intent":
		b.intended(e, b.row(board.ID, cert.Purpose))
	case cert.Serial != "" && cert.Status != "":
		b.changed(e)
	case isEnd && e.Details["admitted"] != "false":
		r := b.row(board.ID, run.Purpose)
		r.lastEnding, r.lastReason = ending, e.Reason
		delete(b.operator, run.ID)
	}
}

// intended begins another certificate. The certificate before stays in the events.
func (b *boards) intended(e *audit.Entry, r *boardRow) {
	delete(b.serials, r.serial)
	r.serial, r.certificate, r.status, r.changed = e.Cert.Serial, "", "intended", e.Time.String()
	r.profile, r.profileHash, r.order = e.Cert.Profile, e.Cert.ProfileSHA256, orZero(e.WorkOrder).ID
	r.run, r.operator = orZero(e.Run).ID, b.operator[orZero(e.Run).ID]
	b.serials[r.serial] = r
}

func (b *boards) changed(e *audit.Entry) {
	if r := b.serials[e.Cert.Serial]; r != nil {
		r.status, r.changed, r.certificate = e.Cert.Status, e.Time.String(), cmp.Or(e.Cert.SHA256, r.certificate)
	}
}

// rows gives the rows in the order in which the boards were first seen.
func (b *boards) rows() []*boardRow {
	return slices.SortedFunc(maps.Values(b.byKey), func(x, y *boardRow) int {
		return cmp.Or(cmp.Compare(x.firstSeen, y.firstSeen), cmp.Compare(x.boardID, y.boardID), -cmp.Compare(x.purpose, y.purpose))
	})
}
