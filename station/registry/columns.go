package registry

import (
	"database/sql"

	"hallmark/devices"
)

// The tables have a BoardID and a purpose as text. These two types parse the text
// while a row is scanned, so that no other code has to.
type (
	boardColumn   devices.BoardID
	purposeColumn devices.Purpose
)

// board makes a destination for Scan out of a BoardID. NULL gives the zero BoardID.
func board(id *devices.BoardID) sql.Scanner { return (*boardColumn)(id) }

// purpose makes a destination for Scan out of a Purpose. NULL gives the zero Purpose.
func purpose(p *devices.Purpose) sql.Scanner { return (*purposeColumn)(p) }

func (c *boardColumn) Scan(value any) error {
	var text sql.NullString
	if err := text.Scan(value); err != nil || !text.Valid {
		*c = boardColumn{}
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
