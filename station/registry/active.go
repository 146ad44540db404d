package registry

import (
	"context"
	"fmt"

	"hallmark/devices"
)

// activePage is the number of certificates that EachActive reads at once. Between two pages
// no read is open, so that the write-ahead log can be emptied while boards are enrolled.
const activePage = 256

// EachActive calls visit with each active certificate (DER), by BoardID and purpose. A BoardID
// that is not zero selects the certificates of one board. EachActive stops at an error of visit.
func (r *Reader) EachActive(ctx context.Context, only devices.BoardID, visit func(devices.BoardID, devices.Purpose, []byte) error) error {
	return r.eachActive(ctx, only, activePage, visit)
}

func (r *Reader) eachActive(ctx context.Context, only devices.BoardID, size int, visit func(devices.BoardID, devices.Purpose, []byte) error) error {
	type active struct {
		id      devices.BoardID
		purpose devices.Purpose
		der     []byte
	}
	for id, key := "", ""; ; {
		rows, err := r.db.QueryContext(ctx, `SELECT board_id, purpose, der FROM certificates
			WHERE status = 'active' AND (board_id, purpose) > (?1, ?2) AND (?3 = '' OR board_id = ?3) ORDER BY board_id, purpose LIMIT ?4`,
			id, key, Filter{BoardID: only}.boardID(), size)
		if err != nil {
			return fmt.Errorf("reading the active certificates: %w", err)
		}
		page, err := collect(rows, func(c *active) []any { return []any{board(&c.id), purpose(&c.purpose), &c.der} })
		if err != nil {
			return fmt.Errorf("reading the active certificates: %w", err)
		}
		for _, c := range page {
			if err := visit(c.id, c.purpose, c.der); err != nil {
				return err
			}
			id, key = c.id.String(), c.purpose.String()
		}
		if len(page) < size {
			return nil
		}
	}
}
