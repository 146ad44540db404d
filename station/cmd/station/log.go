package main

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

	"hallmark/ui"
)

// openLog opens the log for engineers. It is disposable: evidence is in the audit
// log. show, which may be nil, gets each line too and must not block.
func openLog(s state, show func(ui.LogLine)) (*slog.Logger, *os.File, error) {
	path := s.in("log", "station.log")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("making the log's directory: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log: %w", err)
	}
	handler := slog.NewTextHandler(file, &slog.HandlerOptions{ReplaceAttr: redact}).
		WithAttrs([]slog.Attr{slog.Int("pid", os.Getpid())})
	if show != nil {
		handler = &shownLog{Handler: handler, beside: attributesOnly(), show: show}
	}
	return slog.New(handler), file, nil
}

// secrets are names of attributes whose values appear nowhere. A PIN is an
// hsm.Secret, which never shows itself; this is for the day somebody forgets.
var secrets = []string{"pin", "secret", "password", "passphrase"}

func redact(_ []string, a slog.Attr) slog.Attr {
	for _, word := range secrets {
		if strings.Contains(strings.ToLower(a.Key), word) {
			return slog.String(a.Key, "[redacted]")
		}
	}
	return a
}

// A shownLog passes each record on and shows it on the screen.
type shownLog struct {
	slog.Handler
	beside *attributes
	show   func(ui.LogLine)
}

// attributes are the key=value pairs of a record as text.
type attributes struct {
	slog.Handler
	*text
}

type text struct {
	mu sync.Mutex // covers what follows
	bytes.Buffer
}

func attributesOnly() *attributes {
	t := &text{}
	return &attributes{slog.NewTextHandler(t, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return redact(groups, a)
	}}), t}
}

func (a *attributes) of(ctx context.Context, r slog.Record) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Reset()
	err := a.Handle(ctx, r)
	return strings.TrimSpace(a.String()), err
}

// Handle implements slog.Handler.
func (l *shownLog) Handle(ctx context.Context, r slog.Record) error {
	pairs, err := l.beside.of(ctx, r)
	l.show(ui.LogLine{At: r.Time, Level: r.Level.String(), Text: strings.TrimSpace(r.Message + "  " + pairs)})
	return errors.Join(err, l.Handler.Handle(ctx, r))
}

// WithAttrs implements slog.Handler.
func (l *shownLog) WithAttrs(more []slog.Attr) slog.Handler {
	return &shownLog{l.Handler.WithAttrs(more), &attributes{l.beside.WithAttrs(more), l.beside.text}, l.show}
}

// WithGroup implements slog.Handler.
func (l *shownLog) WithGroup(name string) slog.Handler {
	return &shownLog{l.Handler.WithGroup(name), &attributes{l.beside.WithGroup(name), l.beside.text}, l.show}
}
