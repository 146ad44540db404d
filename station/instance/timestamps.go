package instance

import (
	"bytes"
	"context"
	"fmt"

	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/timestamp"
	"hallmark/station/witness"
)

// ErrTimestamp: the authority gives no time stamp for the newest checkpoint. The line goes on.
var ErrTimestamp = reason.New("timestamp-missing", "the time stamping authority gives no time stamp")

// authority has the newest checkpoint stamped by the configured time stamping authority.
func (i *Instance) authority() (witness.Destination, error) {
	c := i.Config.Timestamp
	roots, err := readCAs(c.CA)
	if err != nil {
		return witness.Destination{}, reason.Usage(fmt.Errorf("timestamp.ca: %w", err))
	}
	servers, err := readCAs(c.TLSCA)
	if err != nil {
		return witness.Destination{}, reason.Usage(fmt.Errorf("timestamp.tls_ca: %w", err))
	}
	client := timestamp.NewClient(c.URL, roots, servers)
	send := func(ctx context.Context) error { return i.stamp(ctx, client) }
	return witness.Destination{Name: "time stamping authority", Send: send, Close: client.Close}, nil
}

// stamp stamps the text of the newest checkpoint, which is what the station signed.
func (i *Instance) stamp(ctx context.Context, client *timestamp.Client) error {
	size, note, err := i.Registry.NewestCheckpoint(ctx)
	if err != nil || size == 0 {
		return err
	}
	if known, err := i.Registry.Timestamp(ctx, size); err != nil || known != nil {
		return err
	}
	text, _, found := bytes.Cut(note, []byte("\n\n"))
	if !found {
		return audit.ErrCheckpointText
	}
	answer, at, err := client.Stamp(ctx, append(bytes.Clone(text), '\n'))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	return i.Registry.StoreTimestamp(ctx, size, at, answer)
}
