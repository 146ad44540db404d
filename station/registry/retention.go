package registry

import (
	"context"
	"fmt"
)

// A Made is what the registry knows of the units of one product. Runs without a work order have
// the product "".
type Made struct {
	Product  string
	Boards   int
	LastUnit string // the end of the newest Run that passed; empty: none has
	NotAfter string // the latest end of a certificate
}

// Products lists what was made, by product.
func (r *Reader) Products(ctx context.Context) ([]Made, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT coalesce(o.product, ''), count(DISTINCT r.board_id), coalesce(max(r.closed) FILTER (WHERE r.ending = 'pass'), ''),
		coalesce((SELECT max(c.not_after) FROM certificates c LEFT JOIN work_orders p ON p.id = c.work_order WHERE coalesce(p.product, '') = coalesce(o.product, '')), '')
		FROM runs r LEFT JOIN work_orders o ON o.id = r.work_order WHERE r.board_id IS NOT NULL GROUP BY coalesce(o.product, '') ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("listing the products: %w", err)
	}
	return collect(rows, func(m *Made) []any { return []any{&m.Product, &m.Boards, &m.LastUnit, &m.NotAfter} })
}
