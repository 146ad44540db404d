package instance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"hallmark/station/audit"
	"hallmark/station/workdir"
)

// A Notice is an act that waits for its entry in the audit log. A command that must not take
// the lock of the registry leaves a notice: a backup, because it would refuse the start of a
// station at the same moment, and a restore, because its registry must stay as it was copied.
// The next start writes the entry, and a station that runs writes it with its next checkpoint.
//
// A kill between entry and removal of the notice gives a second entry with the same id.
type Notice struct {
	Type     string            `json:"type"` // BackupDone or RestoreDone
	ID       string            `json:"id"`
	Operator string            `json:"operator"`
	Details  map[string]string `json:"details"`
}

// Types of notices.
const (
	BackupDone  = "backup.done"
	RestoreDone = "restore.done"

	noticeDamaged = "notice.damaged" // a file in notices/ that no station wrote so
)

// maxNotice is the largest notice, in octets.
const maxNotice = 16 << 10

// LeaveNotice leaves a notice in a station directory. It has its ID from random numbers.
func LeaveNotice(dir workdir.Dir, n Notice) error {
	id, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	n.ID = id.String()
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return workdir.WriteFile(filepath.Join(dir.Notices(), n.ID+".json"), text)
}

// recordNotices writes the entry of each notice, and removes the notice.
func (r *Record) recordNotices(ctx context.Context) error {
	files, err := os.ReadDir(r.Dir.Notices())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("looking for notices: %w", err)
	}
	for _, file := range files {
		if strings.HasPrefix(file.Name(), ".") || !file.Type().IsRegular() {
			continue // it is being written, or it is no notice
		}
		if err := r.recordNotice(ctx, filepath.Join(r.Dir.Notices(), file.Name())); err != nil {
			return fmt.Errorf("recording a notice: %w", err)
		}
	}
	return nil
}

func (r *Record) recordNotice(ctx context.Context, path string) error {
	n, damage, err := readNotice(path)
	if err != nil {
		return err
	}
	outcome := audit.Success
	if damage != nil {
		outcome = audit.Failure
		n = Notice{Type: noticeDamaged, ID: filepath.Base(path), Details: map[string]string{"error": damage.Error()}}
	}
	if n.Details == nil {
		n.Details = map[string]string{}
	}
	n.Details["notice"] = n.ID
	if err := r.NoteBy(ctx, n.Type, outcome, n.Operator, n.Details); err != nil {
		return err
	}
	return os.Remove(path)
}

// readNotice reads a notice. damage says what is wrong with its content.
func readNotice(path string) (n Notice, damage, err error) {
	file, err := os.Open(path)
	if err != nil {
		return n, nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxNotice+1))
	if err != nil {
		return n, nil, err
	}
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if damage = strict.Decode(&n); damage == nil && (len(text) > maxNotice || n.Type != BackupDone && n.Type != RestoreDone) {
		damage = fmt.Errorf("a notice of type %q with %d octets", n.Type, len(text))
	}
	if damage != nil {
		damage = fmt.Errorf("SHA-256 %x: %w", sha256.Sum256(text), damage)
	}
	return n, damage, nil
}
