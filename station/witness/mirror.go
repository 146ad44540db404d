package witness

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/reason"
)

// maxUpload is the size of a request add-entries, in octets, at which it takes no further package.
const maxUpload = 8 << 20

// Entries gives entries and hashes of the log that is mirrored.
type Entries interface {
	// Hashes gives the stored hashes of the log.
	Hashes(ctx context.Context) tlog.HashReader
	// Bodies gives the entries [from, to).
	Bodies(ctx context.Context, from, to int64) ([][]byte, error)
}

// AddEntries sends the entries up to a checkpoint that the mirror knows from AddCheckpoint, and
// returns the signature lines of the mirror. next is the first entry that the mirror lacks, as
// far as the caller knows. The mirror corrects a wrong next.
func (c *Client) AddEntries(ctx context.Context, log Entries, checkpoint []byte, size, next int64) ([]string, error) {
	origin, _, _ := strings.Cut(string(checkpoint), "\n")
	up := &Upload{Origin: origin, Start: min(next, size), End: size}
	corrections := 0
	for {
		got, err := c.upload(ctx, log, up)
		switch {
		case err != nil:
			return nil, err
		case got.status == http.StatusOK:
			return signatures(c.mirrors, checkpoint, got.body)
		case got.status != http.StatusAccepted && got.status != http.StatusConflict:
			return nil, refused(got.status, got.body)
		}
		info, err := ParseInfo(got.body)
		if err != nil || got.kind != TypeMirrorInfo || info.Next > size {
			return nil, fmt.Errorf("%w: status %d with %.100q as %.100q, want at most %s as %s", ErrLies, got.status, got.body, got.kind, reason.Count(size, "entry", "entries"), TypeMirrorInfo)
		}
		if info.Next <= up.Start { // no progress
			if corrections++; corrections > 3 {
				return nil, fmt.Errorf("%w: the mirror takes no entries behind entry %d", ErrLies, up.Start)
			}
		}
		up.Start, up.Ticket = info.Next, info.Ticket
	}
}

// upload sends one request: as many packages as fit.
func (c *Client) upload(ctx context.Context, log Entries, up *Upload) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	body, hashes := up.Append(nil), log.Hashes(ctx)
	for start, n := up.Start, 0; start < up.End && n < maxPackages && len(body) < maxUpload; n++ {
		p := &Package{Start: start, End: up.Bounds(start)}
		var err error
		if p.Entries, err = log.Bodies(ctx, p.Start, p.End); err != nil {
			return nil, err
		}
		if p.Proof, err = ProveSubtree(Floor(start), p.End, up.End, hashes); err != nil {
			return nil, err
		}
		body, start = p.Append(body), p.End
	}
	return c.do(ctx, http.MethodPost, PathAddEntries, TypeEntries, body)
}
