package evidence

import (
	"bytes"
	"context"
	"time"

	"hallmark/station/timestamp"
)

// timestamp writes the time stamp of the checkpoint, if there is one.
func (w *writer) timestamp(ctx context.Context, b *Bundle, size int64) error {
	if b.Timestamp == nil {
		return nil
	}
	answer, err := b.Timestamp(ctx, size)
	if err != nil || answer == nil {
		return err
	}
	return w.put(TimestampFile, answer)
}

// checkTimestamp checks the time stamp of the checkpoint, if the auditor named an authority.
func (c *checker) checkTimestamp() error {
	c.expected[TimestampFile] = true
	if c.options.TSA == nil {
		if c.files.Size(TimestampFile) >= 0 {
			c.skip(TimestampFile, "the time stamp was not checked; name the root of the authority with --tsa")
		}
		return nil
	}
	answer, err := c.read(TimestampFile)
	if err != nil || answer == nil {
		return err
	}
	note, err := c.files.Read(CheckpointFile)
	if err != nil {
		return err
	}
	text, _, _ := bytes.Cut(note, []byte("\n\n"))
	token, err := timestamp.Verify(answer, append(bytes.Clone(text), '\n'), c.options.TSA)
	if err != nil {
		return c.find(-1, TimestampFile, "%v", err)
	}
	c.verdict.Timestamp = token.Time.UTC().Format(time.RFC3339)
	return nil
}
