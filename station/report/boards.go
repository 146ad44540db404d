package report

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"hallmark/devices"
	"hallmark/station/reason"
	"hallmark/station/registry"
)

// WriteKnown prints each certificate with its status, for a verifier on another host. It leaves
// out certificates that were never stored, because the verifier also refuses unlisted serial
// numbers.
func WriteKnown(w io.Writer, rows []registry.CertificateRow) error {
	encoder := json.NewEncoder(w)
	for _, row := range rows {
		if row.SHA256 == "" {
			continue
		}
		err := encoder.Encode(map[string]string{"serial": row.Serial, "board_id": row.BoardID.String(), "purpose": row.Purpose.String(), "certificate_sha256": row.SHA256, "status": knownStatus(row)})
		if err != nil {
			return err
		}
	}
	return nil
}

// knownStatus is the status for a verifier that reads a list: it refuses the certificates of a board on hold as revoked ones.
func knownStatus(row registry.CertificateRow) string {
	if row.Held {
		return "revoked"
	}
	return row.Status
}

// certificateText is the status of a certificate for people, and says that the board is on hold, or waits for a rework.
func certificateText(row registry.BoardRow) string {
	text := Dash(row.Status)
	if row.Held != "" {
		text += ", on hold"
	}
	if row.Marked != "" {
		text += ", waits for rework"
	}
	return text
}

// WriteBoards prints the boards as a table for people.
func WriteBoards(w io.Writer, rows []registry.BoardRow) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BOARD\tTYPE\tFIRST SEEN\tKEY\tSERIAL NUMBER\tCERTIFICATE\tRUNS\tLAST ENDING\tDEBUG PORT")
	boards := map[devices.BoardID]bool{}
	for _, row := range rows {
		boards[row.BoardID] = true
		last := string(row.LastEnding)
		if row.LastReason != "" {
			last += " (" + row.LastReason + ")"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", row.BoardID, row.Type, row.FirstSeen, Dash(row.Purpose.String()), Dash(row.Serial), certificateText(row), row.Runs, Dash(last), debugPort(&row))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", reason.Count(len(boards), "board", "boards"))
	return err
}

// debugPort says how the debug port of a board was read last, with which recipe it was locked, and
// which key opens it.
func debugPort(row *registry.BoardRow) string {
	if row.Lock == "" {
		return "-"
	}
	text := fmt.Sprintf("%s (%s, recipe %.16s", row.Lock, Dash(row.LockKind), row.LockRecipe)
	if row.LockKey != "" {
		text += ", key " + row.LockKey
	}
	return text + ")"
}
