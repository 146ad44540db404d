// Package timestamp asks a time stamping authority when a text existed, and checks what it says
// (RFC 3161). The token is a CMS SignedData (RFC 5652).
package timestamp

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"hallmark/station/web"
)

// Limits of an exchange.
const (
	MaxResponse = 64 << 10 // octets
	timeout     = 10 * time.Second
)

// ErrResponse: the answer is not a token for the request.
var ErrResponse = errors.New("the answer of the time stamping authority cannot be used")

// messageImprint, request and response are RFC 3161 section 2.4.
type messageImprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Hashed    []byte
}

type request struct {
	Version  int
	Imprint  messageImprint
	Nonce    *big.Int
	WantCert bool `asn1:"optional"`
}

type response struct {
	Status statusInfo
	Token  asn1.RawValue `asn1:"optional"`
}

type statusInfo struct {
	Status int
	Text   []string       `asn1:"optional"`
	Reason asn1.BitString `asn1:"optional"`
}

var oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1} // RFC 5754 section 2.2

// Client asks one authority.
type Client struct {
	url   string
	roots *x509.CertPool
	http  *http.Client
}

var errRedirect = errors.New("the answer names another address")

// NewClient makes a client. roots are those of the authority; tlsRoots are those of its server, nil
// for those of the system.
func NewClient(url string, roots, tlsRoots *x509.CertPool) *Client {
	client := web.NewClient(&tls.Config{RootCAs: tlsRoots, MinVersion: tls.VersionTLS12}, 1, errRedirect)
	client.Timeout = timeout
	return &Client{url, roots, client}
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Stamp asks for a token over a text. It returns the response (RFC 3161 TimeStampResp) after it
// checked the response, and the time in the token.
func (c *Client) Stamp(ctx context.Context, text []byte) ([]byte, time.Time, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, time.Time{}, err
	}
	sum := sha256.Sum256(text)
	imprint := messageImprint{pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}, sum[:]}
	body, err := asn1.Marshal(request{1, imprint, nonce, true})
	if err != nil {
		return nil, time.Time{}, err
	}
	answer, err := c.post(ctx, body)
	if err != nil {
		return nil, time.Time{}, err
	}
	token, err := Verify(answer, text, c.roots)
	if err == nil && (token.nonce == nil || token.nonce.Cmp(nonce) != 0) {
		err = fmt.Errorf("%w: it is an answer to another request", ErrResponse)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	return answer, token.Time, nil
}

func (c *Client) post(ctx context.Context, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/timestamp-query") // RFC 3161 section 3.4
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking the time stamping authority: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, MaxResponse+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking the time stamping authority: %w", err)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w: status %d", ErrResponse, answer.StatusCode)
	case len(text) > MaxResponse:
		return nil, fmt.Errorf("%w: it has more than %d octets", ErrResponse, MaxResponse)
	}
	return text, nil
}
