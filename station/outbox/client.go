package outbox

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"hallmark/station/reason"
	"hallmark/station/web"
)

// ErrNotTaken: the hub does not take the entries. They wait, and the line goes on.
var ErrNotTaken = reason.New("hub-not-taken", "the hub does not take the entries of the audit log")

var errRedirect = errors.New("it names another address, and a hub has one address: correct hub.url in station.yaml")

// Bounds of one exchange.
const (
	answerTimeout = 30 * time.Second
)

// Config names the hub of a station.
type Config struct {
	URL         string
	Certificate tls.Certificate // of the station, for TLS client authentication
	CAs         *x509.CertPool  // nil: those of the system
	Timeout     time.Duration   // of each answer; 0: 30 s
}

// A client speaks with one hub, over mutual TLS.
type client struct {
	Config
	http *http.Client
}

func newClient(c Config) *client {
	if c.Timeout <= 0 {
		c.Timeout = answerTimeout
	}
	return &client{c, web.NewClient(&tls.Config{RootCAs: c.CAs, Certificates: []tls.Certificate{c.Certificate}, MinVersion: tls.VersionTLS13}, 1, errRedirect)}
}

// push sends a Push. An error says that nobody knows whether the hub took it; the next Answer tells.
func (c *client) push(ctx context.Context, p *Push) (a Answer, err error) {
	body, err := Encode(p)
	if err != nil {
		return a, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.URL, "/")+PushPath, bytes.NewReader(body))
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrNotTaken, err)
	}
	request.Header = http.Header{"Content-Type": {TypeMessage}, "User-Agent": {"hallmark-station"}}
	response, err := c.http.Do(request)
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrNotTaken, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	if err != nil {
		return a, fmt.Errorf("%w: reading the answer: %w", ErrNotTaken, err)
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != TypeMessage {
		return a, fmt.Errorf("%w: it answers %s: %s", ErrNotTaken, reason.Printable(response.Status), reason.Printable(string(answer[:min(len(answer), 300)])))
	}
	if a, err = DecodeAnswer(answer); err != nil {
		return a, fmt.Errorf("%w: %w", ErrNotTaken, err)
	}
	return a, nil
}
