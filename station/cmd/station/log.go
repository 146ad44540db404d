package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// openLog opens the log for engineers. It is disposable: evidence is in the audit log.
func openLog(s state) (*slog.Logger, *os.File, error) {
	path := s.in("log", "station.log")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("making the log's directory: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log: %w", err)
	}
	return slog.New(slog.NewTextHandler(file, nil)).With("pid", os.Getpid()), file, nil
}
