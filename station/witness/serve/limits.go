package serve

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hallmark/station/witness"
)

// A pacedBody is the body of a request that must come at some speed: firstPart octets in each pace.
type pacedBody struct {
	io.ReadCloser
	first bytes.Buffer // read already
	conn  *http.ResponseController
	pace  time.Duration
	until time.Time // end of the whole request
	left  int64     // octets until the next deadline
}

// newPaced reads the first part of a body.
func newPaced(w http.ResponseWriter, r *http.Request, pace time.Duration) (*pacedBody, error) {
	b := &pacedBody{ReadCloser: r.Body, conn: http.NewResponseController(w), pace: pace, until: time.Now().Add(requestTimeout)}
	if err := b.next(); err != nil {
		return nil, err
	}
	_, err := io.CopyN(&b.first, r.Body, firstPart)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b, err
}

// next sets the deadline of the next part.
func (b *pacedBody) next() error {
	b.left = firstPart
	at := time.Now().Add(b.pace)
	if b.until.Before(at) {
		at = b.until
	}
	return b.conn.SetReadDeadline(at)
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (n int, err error) {
	if b.first.Len() > 0 {
		return b.first.Read(p)
	}
	if b.left <= 0 {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n, err = b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}

// status gives the state of all logs, in the order of their origins.
func (s *Store) status(began time.Time) Status {
	status := Status{Witness: s.witness.VerifierKey(), Mirror: s.mirror.VerifierKey(), Since: began.UTC(), Logs: []LogStatus{}}
	for _, origin := range slices.Sorted(maps.Keys(s.logs)) {
		l := s.logs[origin]
		l.mu.Lock()
		one := LogStatus{Origin: origin, OriginHash: witness.OriginHash(origin), Cosigned: l.head.Size, Mirrored: l.mirrored.Size}
		l.mu.Unlock()
		if refused, err := os.ReadDir(filepath.Join(l.dir, "refused")); err == nil {
			one.Refused = len(refused)
		}
		status.Logs = append(status.Logs, one)
	}
	return status
}
