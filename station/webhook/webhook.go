// Package webhook tells other programs of each Run that ended, over HTTP. The audit log is the outbox: it has each ending, durable, in the
// same transaction as the Run. So a sender needs only one number, the entry up to which its receiver has taken all, and a crash loses no
// ending: what was sent after the number was stored is sent again, with the same id. No Run waits for a receiver.
//
// Requests have the headers and the signature of Standard Webhooks (https://www.standardwebhooks.com/).
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/web"
	"hallmark/station/workdir"
)

// ErrNotTaken: the receiver does not take an ending. The ending waits, and is sent again.
var ErrNotTaken = reason.New("webhook-not-taken", "the receiver of a webhook does not take the ending of a Run")

var (
	errRedirect = errors.New("it names another address, and a webhook has one address: correct url in station.yaml")
	errSecret   = errors.New("want 24 to 64 octets, as whsec_ with base64 or as text: make one with `openssl rand -base64 32`")
	errPrivate  = errors.New("want a file that only its owner may read, and that belongs to this user or to root: chmod 600")
)

// Bounds of one request.
const (
	answerTimeout = 10 * time.Second
	maxAnswer     = 64 << 10 // octets of an answer that are read, so that the connection can be used again
)

// Config names one receiver.
type Config struct {
	Name    string
	URL     string
	Secret  []byte
	Endings []string       // of the Runs that are told; empty: all
	CAs     *x509.CertPool // nil: those of the system
	Timeout time.Duration  // of each answer; 0: 10 s
}

// A client sends to one receiver.
type client struct {
	Config
	http *http.Client
}

func newClient(c Config) *client {
	if c.Timeout <= 0 {
		c.Timeout = answerTimeout
	}
	return &client{c, web.NewClient(&tls.Config{RootCAs: c.CAs, MinVersion: tls.VersionTLS12}, 1, errRedirect)}
}

// A message is the body of a request. Keys are only ever added.
type message struct {
	Type      string `json:"type"`      // run.pass, run.reject, run.fault, run.aborted
	Timestamp string `json:"timestamp"` // RFC 3339; when the Run ended
	Data      data   `json:"data"`
}

type data struct {
	Station   string `json:"station"`
	Entry     int64  `json:"entry"` // number of the entry in the audit log
	Run       string `json:"run"`
	Bay       string `json:"bay"`
	BoardID   string `json:"board_id"` // empty: the board did not say
	BoardType string `json:"board_type"`
	Purpose   string `json:"purpose"`
	Ending    string `json:"ending"`
	Reason    string `json:"reason"`
	Outcome   string `json:"outcome"`    // of a Pass: issued, confirmed, reworked
	WorkOrder string `json:"work_order"` // empty: none
	Serial    string `json:"serial"`     // of the certificate that was signed in this Run; empty: none was
}

func bodyOf(e *registry.Ended) ([]byte, error) {
	d := data{Station: e.Entry.Station, Entry: e.Entry.Seq, Ending: e.Ending, Reason: e.Entry.Reason, WorkOrder: e.WorkOrder, Serial: e.Serial}
	if r := e.Entry.Run; r != nil {
		d.Run, d.Bay, d.Purpose, d.Outcome = r.ID, r.Bay, r.Purpose, r.Outcome
	}
	if b := e.Entry.Board; b != nil {
		d.BoardID, d.BoardType = b.ID, b.Type
	}
	return json.Marshal(message{e.Entry.Type, e.Entry.Time.String(), d})
}

// send has the receiver take one ending. Every answer but 2xx is a refusal.
func (c *client) send(ctx context.Context, e *registry.Ended, now time.Time) error {
	body, err := bodyOf(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return err // the configuration was checked
	}
	at := strconv.FormatInt(now.Unix(), 10)
	request.Header = http.Header{"Content-Type": {"application/json"}, "User-Agent": {"hallmark-station"},
		"Webhook-Id": {e.Entry.ID}, "Webhook-Timestamp": {at}, "Webhook-Signature": {sign(c.Secret, e.Entry.ID, at, body)}}
	answer, err := c.http.Do(request)
	var whole *url.Error
	if errors.As(err, &whole) {
		err = whole.Err // its text has the address, and the path of an address may be a secret
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotTaken, request.URL.Host, err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)); err != nil {
		return fmt.Errorf("%w: reading the answer: %w", ErrNotTaken, err)
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%w: %s answers %s", ErrNotTaken, request.URL.Host, reason.Printable(answer.Status))
	}
	return nil
}

// sign gives the value of the header Webhook-Signature (Standard Webhooks, "Signature scheme", symmetric).
func sign(secret []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// ReadSecret reads the secret that a receiver shares with the station. The error never has what the file holds.
func ReadSecret(path string) ([]byte, error) {
	file, err := workdir.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var info unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &info); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if info.Mode&0o077 != 0 || int(info.Uid) != os.Geteuid() && info.Uid != 0 {
		return nil, fmt.Errorf("%s: %w", path, errPrivate)
	}
	text, err := io.ReadAll(io.LimitReader(file, workdir.MaxFile))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	secret := []byte(strings.TrimSpace(string(text)))
	if encoded, is := strings.CutPrefix(string(secret), "whsec_"); is {
		if secret, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, fmt.Errorf("%s: %w", path, errSecret)
		}
	}
	if len(secret) < 24 || len(secret) > 64 {
		return nil, fmt.Errorf("%s: %w", path, errSecret)
	}
	return secret, nil
}
