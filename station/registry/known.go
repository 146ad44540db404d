package registry

import (
	"context"
	"fmt"
)

// Kinds of names that a Question can have.
const (
	KindFirmware = "firmware"
	KindOperator = "operator"
	KindOrder    = "order"
	KindProfile  = "profile"
	KindKey      = "key"
	KindHSM      = "hsm"
)

// namesOf gives the names of a kind that the record has, each with its SHA-256 if the kind has one.
var namesOf = map[string]string{
	KindFirmware: `SELECT DISTINCT firmware AS name, firmware_sha256 AS digest FROM runs WHERE board_id IS NOT NULL`,
	KindOperator: `SELECT DISTINCT operator AS name, '' AS digest FROM runs WHERE operator <> ''`,
	KindOrder:    `SELECT id AS name, '' AS digest FROM work_orders`,
	KindProfile:  `SELECT DISTINCT profile AS name, lower(hex(profile_sha256)) AS digest FROM certificates`,
	KindKey:      `SELECT board_id AS name, lower(hex(spki_sha256)) AS digest FROM keys`,
}

// A Name is one that the record has.
type Name struct{ Name, SHA256 string }

// Names are the first names of a kind that the record has.
type Names struct {
	Has  bool // the name that was asked for is one of them
	Some []Name
	More int // further names
}

// maxNames bounds the names that Names lists.
const maxNames = 20

// Names looks for a name, or for its SHA-256, and lists what the record has of this kind.
func (r *Reader) Names(ctx context.Context, kind, asked string) (n Names, err error) {
	if kind == KindHSM {
		serial, err := r.tokenSerial(ctx)
		return Names{Has: serial == asked, Some: []Name{{Name: serial}}}, err
	}
	query, all := namesOf[kind], 0
	err = r.db.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE ? IN (name, digest)) > 0 FROM (`+query+`)`, asked).Scan(&all, &n.Has)
	if err != nil {
		return n, fmt.Errorf("looking for the %s %q: %w", kind, asked, err)
	}
	rows, err := r.db.QueryContext(ctx, query+` ORDER BY name, digest LIMIT ?`, maxNames)
	if err != nil {
		return n, fmt.Errorf("listing each %s: %w", kind, err)
	}
	n.Some, err = collect(rows, func(name *Name) []any { return []any{&name.Name, &name.SHA256} })
	n.More = all - len(n.Some)
	return n, err
}
