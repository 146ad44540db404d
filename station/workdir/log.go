package workdir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A LogLine is one record of the log as a screen shows it.
type LogLine struct {
	At    time.Time
	Level string // text of slog.Level
	Text  string // message, then key=value pairs
}

// OpenLog opens the log for engineers. The log is no evidence; evidence is in the audit log.
// show also gets each line. show may be nil and must not block.
func (d Dir) OpenLog(show func(LogLine)) (*slog.Logger, *os.File, error) {
	if err := os.MkdirAll(filepath.Dir(d.LogFile()), 0o700); err != nil {
		return nil, nil, fmt.Errorf("making the log's directory: %w", err)
	}
	file, err := openRegular(d.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log: %w", err)
	}
	handler := slog.NewTextHandler(file, &slog.HandlerOptions{ReplaceAttr: redact}).
		WithAttrs([]slog.Attr{slog.Int("pid", os.Getpid())})
	if show != nil {
		handler = &shownLog{Handler: handler, pairs: newPairs(), show: show}
	}
	return slog.New(handler), file, nil
}

// redact hides the value of an attribute with a name like "pin". A PIN normally has the type
// hsm.Secret, which hides its value; redact protects a PIN that has another type by mistake.
func redact(_ []string, a slog.Attr) slog.Attr {
	for _, word := range []string{"pin", "secret", "password", "passphrase"} {
		if strings.Contains(strings.ToLower(a.Key), word) {
			return slog.String(a.Key, "[redacted]")
		}
	}
	return a
}

// A shownLog writes each record to the file and passes it to show.
type shownLog struct {
	slog.Handler
	pairs *pairs
	show  func(LogLine)
}

// pairs renders the key=value pairs of a record.
type pairs struct {
	slog.Handler
	*buffer
}

type buffer struct {
	mu sync.Mutex // covers the buffer
	bytes.Buffer
}

func newPairs() *pairs {
	b := &buffer{}
	return &pairs{slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return redact(groups, a)
	}}), b}
}

func (p *pairs) render(ctx context.Context, r slog.Record) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Reset()
	err := p.Handle(ctx, r)
	return strings.TrimSpace(p.String()), err
}

// Handle implements slog.Handler.
func (l *shownLog) Handle(ctx context.Context, r slog.Record) error {
	text, err := l.pairs.render(ctx, r)
	l.show(LogLine{At: r.Time, Level: r.Level.String(), Text: strings.TrimSpace(r.Message + "  " + text)})
	return errors.Join(err, l.Handler.Handle(ctx, r))
}

// WithAttrs implements slog.Handler.
func (l *shownLog) WithAttrs(more []slog.Attr) slog.Handler {
	return &shownLog{l.Handler.WithAttrs(more), &pairs{l.pairs.WithAttrs(more), l.pairs.buffer}, l.show}
}

// WithGroup implements slog.Handler.
func (l *shownLog) WithGroup(name string) slog.Handler {
	return &shownLog{l.Handler.WithGroup(name), &pairs{l.pairs.WithGroup(name), l.pairs.buffer}, l.show}
}
