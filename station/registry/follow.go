package registry

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// This file reads the status of certificates for a server, which must see each change at once.

// ErrNotFollowed: this process does not see what a station writes from now on.
var ErrNotFollowed = reason.New("registry-not-followed", "what the station writes into its registry is not seen here")

// A Follower reads the registry that the station writes. Unlike a Reader it never reads a copy.
type Follower struct {
	*Reader
	path   string
	opened fs.FileInfo
	status *sql.Stmt
}

// OpenFollower opens a registry without its lock. It refuses a registry that is older than its mark.
func OpenFollower(ctx context.Context, path string) (*Follower, error) {
	opened, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	reader, err := OpenReader(ctx, path)
	if err != nil {
		return nil, err
	}
	f := &Follower{Reader: reader, path: path, opened: opened}
	if err = f.begin(ctx); err != nil {
		_ = reader.Close() // err says more
		return nil, err
	}
	return f, nil
}

func (f *Follower) begin(ctx context.Context) (err error) {
	switch {
	case f.copied != "":
		return fmt.Errorf("%w: the registry is of an older version, or on a medium that is read-only", ErrNotFollowed)
	case f.frozen:
		return fmt.Errorf("%w: this user may not write beside it", ErrNotFollowed)
	}
	if err := f.notOlder(ctx); err != nil {
		return err
	}
	if f.status, err = f.db.PrepareContext(ctx, statusQuery+`WHERE serial = ?`); err != nil {
		return fmt.Errorf("%w: %w", ErrSchema, err)
	}
	return f.Follows()
}

// notOlder refuses a registry that lacks entries which its mark has seen. The mark is read first, because a station that
// writes at the same time brings it up to date later.
func (f *Follower) notOlder(ctx context.Context) error {
	marked, err := f.marked(false)
	if err != nil {
		return err
	}
	var size int64
	if err := f.db.QueryRowContext(ctx, `SELECT coalesce(max(seq) + 1, 0) FROM audit_entry`).Scan(&size); err != nil {
		return fmt.Errorf("reading the size of the audit log: %w", err)
	}
	return theMark.covers(ctx, f.db, audit.Head{Size: size}, marked)
}

// Follows refuses with ErrNotFollowed if another file lies in the place of the registry.
func (f *Follower) Follows() error {
	now, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotFollowed, err)
	}
	if !os.SameFile(f.opened, now) {
		return fmt.Errorf("%w: registry.db was replaced", ErrNotFollowed)
	}
	return nil
}

// Answers refuses if the registry is not followed any more, or does not answer a query.
func (f *Follower) Answers(ctx context.Context) error {
	if err := f.Follows(); err != nil {
		return err
	}
	var size int64
	return f.db.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM audit_entry`).Scan(&size)
}

// Lookup is Reader.Lookup in a registry that is still followed.
func (f *Follower) Lookup(ctx context.Context, serial [16]byte) (station.Record, error) {
	if err := f.Follows(); err != nil {
		return station.Record{}, err
	}
	return f.Reader.Lookup(ctx, serial)
}

// A CertificateStatus is what the registry says of a certificate now.
type CertificateStatus struct {
	Serial              [16]byte
	BoardID             devices.BoardID
	Purpose             devices.Purpose
	Profile             string
	Status              string
	NotBefore, NotAfter string      // RFC 3339
	Changed             string      // RFC 3339; when the certificate got its status
	SHA256              string      // hex; empty for a serial number without a certificate
	Issuer              [32]byte    // SHA-256 of the SubjectPublicKeyInfo of the issuing key
	Revocation          *Revocation // nil: verifiers accept the certificate, or do not know it
}

// Known reports whether a certificate with the serial number was signed for sure.
func (s *CertificateStatus) Known() bool { return s.Status != "unresolved" }

const statusQuery = `SELECT serial, board_id, purpose, profile, status, reason, not_before, not_after, changed, coalesce(lower(hex(sha256)), ''), issuer_sha256 FROM certificates `

// Status gives the status of a certificate, or station.ErrUnknownCertificate. It has read all that was committed before the call.
func (f *Follower) Status(ctx context.Context, serial [16]byte) (s CertificateStatus, err error) {
	if err := f.Follows(); err != nil {
		return s, err
	}
	var scan statusRow
	err = f.status.QueryRowContext(ctx, serial[:]).Scan(scan.into()...)
	if none(err) {
		return s, fmt.Errorf("certificate %x: %w", serial, station.ErrUnknownCertificate)
	} else if err != nil {
		return s, fmt.Errorf("reading the status of certificate %x: %w", serial, err)
	}
	if s, err = scan.status(); err == nil && statuses[s.Status] == "" {
		err = fmt.Errorf("certificate %x: %w", serial, station.ErrUnknownCertificate)
	}
	return s, err
}

type statusRow struct {
	CertificateStatus
	reason string
	issuer []byte
}

func (r *statusRow) into() []any {
	return []any{(*serialColumn)(&r.Serial), board(&r.BoardID), purpose(&r.Purpose), &r.Profile, &r.CertificateStatus.Status, &r.reason, &r.NotBefore, &r.NotAfter, &r.Changed, &r.SHA256, &r.issuer}
}

func (r *statusRow) status() (s CertificateStatus, err error) {
	s = r.CertificateStatus
	copy(s.Issuer[:], r.issuer)
	s.Revocation, err = revocation(s.Status, r.reason, s.Changed)
	return s, err
}

// A BoardStatus is what the registry says of a board now.
type BoardStatus struct {
	BoardID                   devices.BoardID
	Type                      string
	FirstSeen, Scrapped, Held string // RFC 3339; the last two may be empty
	Certificates              []CertificateStatus
}

// Board gives a board with its certificates in the order of their intents, or ErrUnknownBoard.
func (f *Follower) Board(ctx context.Context, id devices.BoardID) (b BoardStatus, err error) {
	if err := f.Follows(); err != nil {
		return b, err
	}
	b.BoardID = id
	err = f.db.QueryRowContext(ctx, `SELECT type, first_seen, coalesce(scrapped, ''), coalesce((SELECT since FROM holds WHERE board_id = id), '') FROM boards WHERE id = ?`, id.String()).Scan(&b.Type, &b.FirstSeen, &b.Scrapped, &b.Held)
	if none(err) {
		return b, fmt.Errorf("board %s: %w", id, ErrUnknownBoard)
	} else if err != nil {
		return b, fmt.Errorf("reading the status of board %s: %w", id, err)
	}
	rows, err := f.db.QueryContext(ctx, statusQuery+`WHERE board_id = ? ORDER BY id`, id.String())
	if err != nil {
		return b, fmt.Errorf("reading the certificates of board %s: %w", id, err)
	}
	all, err := collect(rows, func(r *statusRow) []any { return r.into() })
	for _, row := range all {
		s, bad := row.status()
		if bad != nil {
			return b, bad
		}
		if statuses[s.Status] != "" {
			b.Certificates = append(b.Certificates, s)
		}
	}
	return b, err
}
