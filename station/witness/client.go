package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/reason"
	"hallmark/station/web"
)

// Config names one witness, and perhaps its mirror.
type Config struct {
	Name      string         // for people and the audit log
	URL       string         // submission prefix; the monitoring prefixes are below it
	Key       string         // verifier key of the witness
	MirrorKey string         // verifier key of the mirror; empty: no entries are sent
	CAs       *x509.CertPool // nil: those of the system
	Timeout   time.Duration  // of each answer; 0: 10 s
}

// A Client asks one witness.
type Client struct {
	config  Config
	cosigns note.Verifier
	mirrors note.Verifier // nil: no mirror
	http    *http.Client
}

// Bounds of one exchange with a witness.
const (
	answerTimeout = 10 * time.Second // if Config has none
	uploadTimeout = time.Minute
)

var errRedirect = errors.New("the answer names another address, and a witness has one address")

// NewClient makes a client.
func NewClient(c Config) (*Client, error) {
	if c.Timeout <= 0 {
		c.Timeout = answerTimeout
	}
	client := &Client{config: c}
	var err error
	if client.cosigns, err = evidence.NewCosigner(c.Key); err != nil {
		return nil, fmt.Errorf("witness %s: %w", c.Name, err)
	}
	if c.MirrorKey != "" {
		if client.mirrors, err = evidence.NewCosigner(c.MirrorKey); err != nil {
			return nil, fmt.Errorf("mirror of witness %s: %w", c.Name, err)
		}
	}
	client.http = web.NewClient(&tls.Config{RootCAs: c.CAs, MinVersion: tls.VersionTLS12}, 2, errRedirect)
	return client, nil
}

// Name returns the name for people.
func (c *Client) Name() string { return c.config.Name }

// NewestOf does what Newest does, and compares with the stored cosignatures: a witness that has
// cosigned this log and shows nothing has lost what it knew, or is another witness. Errors: ErrLost, and those of Newest.
func (c *Client) NewestOf(ctx context.Context, logKey string, stored Cosigned) (audit.Head, error) {
	head, _, err := c.Newest(ctx, logKey)
	if !errors.Is(err, ErrNothingSeen) {
		return head, err
	}
	size, bad := stored.CosignedSize(ctx, c.cosigns)
	if bad != nil {
		return head, bad
	}
	if size > 0 {
		err = fmt.Errorf("%w: a cosignature over %s is stored here", ErrLost, reason.Count(size, "entry", "entries"))
	}
	return head, err
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// answer is an answer that was read whole.
type answer struct {
	status int
	kind   string
	body   []byte
}

func (c *Client) do(ctx context.Context, method, path, kind string, body []byte) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.config.URL, "/")+"/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	request.Header.Set("User-Agent", "hallmark-station")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unreached(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, MaxRequest+1))
	if err != nil {
		return nil, unreached(err)
	}
	if len(text) > MaxRequest {
		return nil, fmt.Errorf("%w: it has more than %d octets", ErrLies, MaxRequest)
	}
	return &answer{response.StatusCode, response.Header.Get("Content-Type"), text}, nil
}

// AddCheckpoint sends a checkpoint, and returns the signature lines of the witness. Errors: those
// of this package, and *SizeError.
func (c *Client) AddCheckpoint(ctx context.Context, r *Request) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	got, err := c.do(ctx, http.MethodPost, PathAddCheckpoint, "", r.Encode())
	switch {
	case err != nil:
		return nil, err
	case got.status == http.StatusOK:
		return signatures(c.cosigns, r.Checkpoint, got.body)
	case got.status == http.StatusConflict:
		return nil, conflict(got)
	}
	return nil, refused(got.status, got.body)
}

func conflict(got *answer) error {
	size, err := parseSize(strings.TrimSuffix(string(got.body), "\n"))
	if err != nil || got.kind != TypeSize {
		return fmt.Errorf("%w: status 409 with %.100q, want the size that the witness has seen", ErrLies, got.body)
	}
	return &SizeError{size}
}

// signatures gives the lines of an answer that the cosigner signed over the checkpoint. Lines of
// keys that nobody named are left out (C2SP tlog-witness, "add-checkpoint").
func signatures(by note.Verifier, checkpoint, lines []byte) ([]string, error) {
	text, _, found := bytes.Cut(checkpoint, []byte("\n\n"))
	if !found {
		return nil, audit.ErrCheckpointText
	}
	whole := append(append(bytes.Clone(text), "\n\n"...), lines...)
	opened, err := note.Open(whole, note.VerifierList(by))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLies, err)
	}
	var signed []string
	for _, s := range opened.Sigs {
		signed = append(signed, fmt.Sprintf("\u2014 %s %s\n", s.Name, s.Base64))
	}
	return signed, nil
}

// OriginHash names a log in the paths of a witness (C2SP tlog-witness, "Monitor Retrieval Mechanism").
func OriginHash(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}

// Newest returns the newest checkpoint of a log that the witness has cosigned. Log and witness
// have signed the checkpoint, so the witness alone cannot invent a checkpoint. Errors: ErrNothingSeen, and
// those of this package.
func (c *Client) Newest(ctx context.Context, logKey string) (audit.Head, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	origin, _, _ := strings.Cut(logKey, "+")
	got, err := c.do(ctx, http.MethodGet, OriginHash(origin)+"/checkpoint", "", nil)
	switch {
	case err != nil:
		return audit.Head{}, nil, err
	case got.status == http.StatusNotFound:
		return audit.Head{}, nil, ErrNothingSeen
	case got.status != http.StatusOK:
		return audit.Head{}, nil, refused(got.status, got.body)
	}
	head, err := audit.OpenCheckpoint(got.body, logKey)
	if err == nil {
		_, err = note.Open(got.body, note.VerifierList(c.cosigns))
	}
	if err != nil {
		return audit.Head{}, nil, fmt.Errorf("%w: %w", ErrLies, err)
	}
	return head, got.body, nil
}
