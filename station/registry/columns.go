package registry

import (
	"database/sql"

	"hallmark/devices"
)

// The tables hold a BoardID and a purpose as text. These two types parse the
// text while a row is scanned, so that no other code of this package does.
type (
	boardColumn   devices.BoardID
	purposeColumn devices.Purpose
)

// board is where a scan puts the BoardID of a row.
func board(id *devices.BoardID) sql.Scanner { return (*boardColumn)(id) }

// purpose is where a scan puts the purpose of a row; NULL gives the zero Purpose.
func purpose(p *devices.Purpose) sql.Scanner { return (*purposeColumn)(p) }

func (c *boardColumn) Scan(value any) error {
	var text sql.NullString
	if err := text.Scan(value); err != nil {
		return err
	}
	id, err := devices.ParseBoardID(text.String)
	*c = boardColumn(id)
	return err
}

func (c *purposeColumn) Scan(value any) error {
	var text sql.NullString
	if err := text.Scan(value); err != nil || !text.Valid {
		*c = ""
		return err
	}
	p, err := devices.ParsePurpose(text.String)
	*c = purposeColumn(p)
	return err
}
