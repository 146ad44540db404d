package evidence

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
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
	lines, syslog, events *bufio.Writer
	boardsCSV             *csv.Writer
	boards                *boards
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
		events: bufio.NewWriterSize(files[EventsCSV], 64<<10), boardsCSV: csv.NewWriter(files[BoardsCSV]), boards: newBoards()}
	_, err := v.events.Write(EventHeader())
	return v, err
}

// rendered has entries in the forms of the views that have a line for each entry.
type rendered struct {
	lines, syslog []byte
	events        *bytes.Buffer
	csv           *csv.Writer // into events
}

func newRendered() rendered {
	events := &bytes.Buffer{}
	return rendered{events: events, csv: csv.NewWriter(events)}
}

// add makes the lines of one entry. body is the canonical form of e.
func (r *rendered) add(e *audit.Entry, body []byte, leaf tlog.Hash) {
	r.lines = append(strconv.AppendInt(append(r.lines, `{"seq":`...), e.Seq, 10), `,"leaf":"`...)
	r.lines = append(append(hex.AppendEncode(r.lines, leaf[:]), `","entry":`...), body...)
	r.lines = append(r.lines, "}\n"...)
	r.syslog = appendSyslog(r.syslog, e, leaf)
	_ = r.csv.Write(SafeCells(eventCells(e))) // a buffer in memory takes everything
}

func (r *rendered) end() { r.csv.Flush() }

func (r *rendered) reset() {
	r.lines, r.syslog = r.lines[:0], r.syslog[:0]
	r.events.Reset()
}

// Add writes one entry into each view. body is the canonical form of e.
func (v *Views) Add(e *audit.Entry, body []byte) error {
	r := newRendered()
	r.add(e, body, tlog.RecordHash(body))
	r.end()
	v.boards.add(e)
	return v.put(&r)
}

// put writes the lines of several entries.
func (v *Views) put(r *rendered) error {
	_, lines := v.lines.Write(r.lines)
	_, syslog := v.syslog.Write(r.syslog)
	_, events := v.events.Write(r.events.Bytes())
	return cmp.Or(lines, syslog, events)
}

// End writes what follows from all entries, and flushes.
func (v *Views) End() error {
	if err := v.boardsCSV.Write(boardColumns); err != nil {
		return err
	}
	for row := range v.boards.rows() {
		if err := v.boardsCSV.Write(SafeCells(row)); err != nil {
			return err
		}
	}
	v.boardsCSV.Flush()
	return cmp.Or(v.boardsCSV.Error(), v.events.Flush(), v.lines.Flush(), v.syslog.Flush())
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

// appendSyslog gives an entry as one line of RFC 5424. The structured data uses the private
// enterprise number 32473, which RFC 5612 keeps for documentation.
func appendSyslog(out []byte, e *audit.Entry, leaf tlog.Hash) []byte {
	const facility = 13 // log audit (RFC 5424 table 1)
	out = strconv.AppendInt(append(out, '<'), facility*8+severity(e.Outcome), 10)
	out = e.Time.UTC().AppendFormat(append(out, ">1 "...), "2006-01-02T15:04:05.000000Z")
	out = appendHeader(append(out, ' '), e.Station)
	out = appendHeader(append(out, " hallmark - "...), e.Type)
	out = strconv.AppendInt(append(out, ` [hallmark@32473 seq="`...), e.Seq, 10)
	out = append(out, '"')
	for _, p := range [...]struct{ name, value string }{{"type", e.Type}, {"outcome", string(e.Outcome)}, {"reason", e.Reason}, {"actor", e.Actor.ID},
		{"board", orZero(e.Board).ID}, {"serial", orZero(e.Cert).Serial}} {
		out = append(append(append(out, ' '), p.name...), `="`...)
		out = append(appendParam(out, p.value), '"')
	}
	return append(hex.AppendEncode(append(out, ` leaf="`...), leaf[:]), "\"]\n"...)
}

// severity gives the severity of RFC 5424 table 2: informational, warning, error.
func severity(o audit.Outcome) int64 {
	switch o {
	case audit.Success:
		return 6
	case audit.Denied:
		return 4
	case audit.Failure, audit.Unknown:
		return 3
	}
	return 0
}

// appendParam writes a value of structured data (RFC 5424 section 6.3.3). Control characters
// become a question mark, so that an entry stays one line.
func appendParam(out []byte, text string) []byte {
	for i := range len(text) {
		switch octet := text[i]; {
		case octet < ' ' || octet == 0x7f:
			out = append(out, '?')
		case octet == '\\' || octet == '"' || octet == ']':
			out = append(out, '\\', octet)
		default:
			out = append(out, octet)
		}
	}
	return out
}

// appendHeader writes a field of the header: printable ASCII without space, at most 32 octets,
// or "-" (RFC 5424 section 6).
func appendHeader(out []byte, text string) []byte {
	if text == "" {
		return append(out, '-')
	}
	full := len(out) + 32
	for _, r := range text {
		if len(out) == full {
			break
		}
		if r <= ' ' || r > '~' {
			r = '_'
		}
		out = append(out, byte(r))
	}
	return out
}
