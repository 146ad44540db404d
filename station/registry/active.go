package registry

import (
	"context"
	"fmt"

	"hallmark/devices"
)

// ActiveCertificate is an active certificate of a board.
type ActiveCertificate struct {
	BoardID devices.BoardID
	Purpose devices.Purpose
	DER     []byte
	Age     int64 // how many serial numbers the registry gave out later
	id      int64
}

// activePage is the number of certificates that EachActive reads at once. Between two pages
// no read is open, so that the write-ahead log can be emptied while boards are enrolled.
const activePage = 256

// EachActive calls visit with each active certificate, in the order of their intents: so the
// file is read from its beginning to its end. A BoardID that is not zero selects the
// certificates of one board. EachActive stops at an error of visit.
func (r *Reader) EachActive(ctx context.Context, only devices.BoardID, visit func(ActiveCertificate) error) error {
	return r.eachActive(ctx, only, activePage, visit)
}

func (r *Reader) eachActive(ctx context.Context, only devices.BoardID, size int, visit func(ActiveCertificate) error) error {
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
func (r *Reader) activeAfter(ctx context.Context, last int64, only devices.BoardID, size int) ([]ActiveCertificate, error) {
	where, args := `+status = 'active' AND id > ?1`, []any{last, size}
	if !only.IsZero() {
		where, args = where+` AND board_id = ?3`, append(args, only.String())
	}
	rows, err := r.db.QueryContext(ctx, `SELECT board_id, purpose, der, (SELECT max(id) FROM certificates) - id, id
		FROM certificates WHERE `+where+` ORDER BY id LIMIT ?2`, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(c *ActiveCertificate) []any {
		return []any{board(&c.BoardID), purpose(&c.Purpose), &c.DER, &c.Age, &c.id}
	})
}
