package registry

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/devices"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// Selection selects audit entries. A field with its zero value selects all.
type Selection struct {
	BoardID                                                         devices.BoardID
	Serial, Order, Operator, Bay, Type, Ending, Reason, Run, Status string
	Since, Until                                                    time.Time // the entry was written at Since or later, and before Until
}

// Empty reports whether the selection selects all entries.
func (s *Selection) Empty() bool { return *s == Selection{} }

// A Matcher is a Selection with the Runs of its work order: most entries of a Run do not carry the order.
type Matcher struct {
	Selection
	runs map[string]bool // ids
}

// Matcher looks for the Runs of the work order, if the selection names one.
func (r *Reader) Matcher(ctx context.Context, s Selection) (*Matcher, error) {
	m := &Matcher{s, map[string]bool{}}
	if s.Order == "" {
		return m, nil
	}
	rows, err := r.db.QueryContext(ctx, `SELECT id FROM runs WHERE work_order = ?`, s.Order)
	if err != nil {
		return nil, fmt.Errorf("looking for the Runs of work order %q: %w", s.Order, err)
	}
	ids, err := collect(rows, func(id *string) []any { return []any{id} })
	for _, id := range ids {
		m.runs[id] = true
	}
	return m, err
}

// Matches reports whether an entry is selected. Type also selects the types below it: "cert"
// selects cert.issued. Operator selects entries of the operator, and of the operator's Runs. Order selects entries
// of the order, and of its Runs.
func (s *Matcher) Matches(e *audit.Entry) bool {
	ending, _ := strings.CutPrefix(e.Type, "run.")
	for _, check := range []struct {
		want string
		is   bool
	}{
		{s.boardID(), e.Board != nil && e.Board.ID == s.boardID()},
		{s.Serial, e.Cert != nil && e.Cert.Serial == s.Serial},
		{s.Status, e.Cert != nil && e.Cert.Status == s.Status},
		{s.Order, e.WorkOrder != nil && e.WorkOrder.ID == s.Order || e.Run != nil && s.runs[e.Run.ID]},
		{s.Operator, e.Actor.ID == s.Operator || e.Run != nil && e.Run.Operator == s.Operator},
		{s.Bay, e.Run != nil && e.Run.Bay == s.Bay || e.Details["bay"] == s.Bay},
		{s.Run, e.Run != nil && e.Run.ID == s.Run},
		{s.Type, e.Type == s.Type || strings.HasPrefix(e.Type, s.Type+".")},
		{s.Ending, endings[e.Type] != "" && ending == s.Ending},
		{s.Reason, e.Reason == s.Reason},
	} {
		if check.want != "" && !check.is {
			return false
		}
	}
	return !e.Time.Before(s.Since) && (s.Until.IsZero() || e.Time.Before(s.Until))
}

func (s *Selection) boardID() string { return Filter{BoardID: s.BoardID}.boardID() }

// ofBoard gives the entries of one board without reading the whole log: those written during its Runs, and those that
// the index of the entries outside of Runs has. That index has no entry of an archive, so these are read one by one, from the first
// Run of the board on: what an archive takes and is about the board lies behind the beginning of that Run. If the Run was refused, its row
// has the entry of its end, and the refusal lies before.
var ofBoard = sync.OnceValues(func() (string, error) {
	step, err := step(outsideSchema)
	index := outsideIndex.FindStringSubmatch(step)
	if err != nil || index == nil {
		return "", fmt.Errorf("reading the step to schema %d: %w", outsideSchema, errors.Join(err, ErrSchema))
	}
	return `WITH spans AS MATERIALIZED (SELECT first_entry AS low, coalesce(last_entry, ?1) AS high FROM runs WHERE board_id = ?2),
		archived AS MATERIALIZED (SELECT coalesce((SELECT first_entry * admitted FROM runs WHERE board_id = ?2 ORDER BY first_entry LIMIT 1), 0) AS low, (SELECT coalesce(max(until), 0) FROM archives) AS behind)
	SELECT seq, body FROM (
		SELECT e.seq AS seq, e.body AS body FROM spans JOIN audit_entry e ON e.seq BETWEEN low AND high WHERE instr(e.body, CAST(?2 AS BLOB))
		UNION SELECT seq, body FROM main.audit_entry INDEXED BY audit_entry_outside WHERE ` + index[2] + ` AND ` + index[1] + ` = CAST(?2 AS BLOB)
		UNION SELECT e.seq, e.body FROM archived JOIN audit_entry e ON e.seq >= low AND e.seq < behind WHERE instr(e.body, CAST(?2 AS BLOB)))
	WHERE seq < ?1 ORDER BY seq`, nil
})

// outsideIndex finds what the index has for a key, and which entries it has. SQLite takes an index only for the same expressions.
var outsideIndex = regexp.MustCompile(`(?s)INDEX audit_entry_outside ON audit_entry \((.*)\)\s+WHERE (.*?);`)

// EachEntry calls each for the selected entries before size, in order. body is valid during the
// call only.
func (r *Reader) EachEntry(ctx context.Context, size int64, s Selection, each func(e *audit.Entry, body []byte) error) (err error) {
	defer func() { err = r.Why(err) }()
	chosen, err := r.Matcher(ctx, s)
	if err != nil {
		return err
	}
	query, args := `SELECT seq, body FROM audit_entry WHERE seq < ? ORDER BY seq`, []any{size}
	if id := s.boardID(); id != "" {
		if query, err = ofBoard(); err != nil {
			return err
		}
		args = []any{size, id}
	}
	return r.eachMatch(ctx, chosen, query, args, each)
}

// EachHeldEntry is EachEntry for a board and a type of entry. It leaves out the entries that lie in an archive, and needs none.
func (r *Reader) EachHeldEntry(ctx context.Context, id devices.BoardID, kind string, each func(e *audit.Entry) error) error {
	query, err := ofBoard()
	if err != nil {
		return err
	}
	const all = int64(1) << 62
	args := []any{all, id.String()}
	query = strings.ReplaceAll(query, "JOIN audit_entry e", "JOIN main.audit_entry e") // the table itself, in which these entries have no body
	return r.eachMatch(ctx, &Matcher{Selection: Selection{BoardID: id, Type: kind}}, query, args, func(e *audit.Entry, _ []byte) error { return each(e) })
}

func (r *Reader) eachMatch(ctx context.Context, chosen *Matcher, query string, args []any, each func(e *audit.Entry, body []byte) error) error {
	rows, err := r.db.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("reading the audit entries: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var body sql.RawBytes
		if err := rows.Scan(&seq, &body); err != nil {
			return fmt.Errorf("reading the audit entries: %w", err)
		}
		e, err := audit.Decode(body)
		if err != nil {
			return fmt.Errorf("reading audit entry %d: %w", seq, err)
		}
		if !chosen.Matches(&e) {
			continue
		}
		if err := each(&e, body); err != nil {
			return err
		}
	}
	return rows.Err()
}

// A Selected is a reader whose bundle has the selected entries only. It implements
// evidence.PartSource.
type Selected struct {
	*Reader
	Selection Selection
}

// Hashes implements evidence.PartSource.
func (s *Selected) Hashes(ctx context.Context) tlog.HashReader { return audit.HashReader(ctx, s.db) }

// EachSelected implements evidence.PartSource.
func (s *Selected) EachSelected(ctx context.Context, size int64, each func(seq int64, body []byte) error) error {
	return s.EachEntry(ctx, size, s.Selection, func(e *audit.Entry, body []byte) error { return each(e.Seq, body) })
}

// BoardOf gives the board for which a serial number was intended, whatever became of the certificate.
func (r *Reader) BoardOf(ctx context.Context, serial string) (id devices.BoardID, err error) {
	number, err := hex.DecodeString(serial) // the index over the serial numbers has octets
	if err == nil {
		err = r.db.QueryRowContext(ctx, `SELECT board_id FROM certificates WHERE serial = ?`, number).Scan(board(&id))
	}
	if none(err) || errors.As(err, new(hex.InvalidByteError)) || errors.Is(err, hex.ErrLength) {
		return id, reason.Usage(fmt.Errorf("the record has no certificate with the serial number %s; `station certificates list` names those that there are", serial))
	} else if err != nil {
		return id, fmt.Errorf("looking for the board of certificate %s: %w", serial, err)
	}
	return id, nil
}
