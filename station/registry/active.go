package registry

import (
	"context"
	"fmt"
	"time"

	"hallmark/devices"
)

// ActiveCertificate is an active certificate of a board.
type ActiveCertificate struct {
	BoardID devices.BoardID
	Purpose devices.Purpose
	Profile string
	Order   string // the work order of its Run, may be empty
	Issued  string // RFC 3339, the time of the intent
	DER     []byte
	Age     int64 // how many serial numbers the registry gave out later
	id      int64
}

// ActiveFilter selects active certificates. A field with its zero value selects all.
type ActiveFilter struct {
	BoardID      devices.BoardID
	Order        string
	Since, Until time.Time // issued at Since or later, and before Until
}

// activePage is the number of certificates that EachActive reads at once. Between two pages
// no read is open, so that the write-ahead log can be emptied while boards are enrolled.
const activePage = 256

// EachActive calls visit with each selected certificate, in the order of their intents: so the
// file is read from its beginning to its end. EachActive stops at an error of visit.
func (r *Reader) EachActive(ctx context.Context, only ActiveFilter, visit func(ActiveCertificate) error) error {
	return r.eachActive(ctx, only, activePage, visit)
}

func (r *Reader) eachActive(ctx context.Context, only ActiveFilter, size int, visit func(ActiveCertificate) error) error {
	for last := int64(-1); ; {
		page, err := r.activeAfter(ctx, last, only, size)
		if err != nil {
			return fmt.Errorf("reading the active certificates: %w", err)
		}
		for _, c := range page {
			if err := visit(c); err != nil {
				return err
			}
			last = c.id
		}
		if len(page) < size {
			return nil
		}
	}
}

// activeAfter returns the next active certificates. The unary plus keeps SQLite from an order
// by BoardID, which would read the file in random order.
func (r *Reader) activeAfter(ctx context.Context, last int64, only ActiveFilter, size int) ([]ActiveCertificate, error) {
	where, args := only.where(last, size)
	rows, err := r.db.QueryContext(ctx, `SELECT board_id, purpose, profile, coalesce(work_order, ''), intended, der, (SELECT max(id) FROM certificates) - id, id
		FROM certificates WHERE `+where+` ORDER BY id LIMIT ?2`, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(c *ActiveCertificate) []any {
		return []any{board(&c.BoardID), purpose(&c.Purpose), &c.Profile, &c.Order, &c.Issued, &c.DER, &c.Age, &c.id}
	})
}

func (f *ActiveFilter) where(last int64, size int) (where string, args []any) {
	where, args = `+status = 'active' AND id > ?1`, []any{last, size}
	add := func(set bool, condition string, value any) {
		if set {
			args = append(args, value)
			where += fmt.Sprintf(` AND %s ?%d`, condition, len(args))
		}
	}
	add(!f.BoardID.IsZero(), `board_id =`, f.BoardID.String())
	add(f.Order != "", `+work_order =`, f.Order)
	add(!f.Since.IsZero(), `intended >=`, stamp(f.Since))
	add(!f.Until.IsZero(), `intended <`, stamp(f.Until))
	return where, args
}
