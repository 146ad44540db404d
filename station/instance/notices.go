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
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"hallmark/station/audit"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// A Notice is an act that waits for its entry in the audit log. A command that must not take
// the lock of the registry leaves a notice: a backup, because it would refuse the start of a
// station at the same moment, a restore, because its registry must stay as it was copied, and an
// export, because it only reads. A start leaves a notice while its registry can still be refused.
// The next start writes the entry, and a station that runs writes it with its next checkpoint.
//
// A kill between entry and removal of the notice gives a second entry with the same id.
type Notice struct {
	Type     string            `json:"type"` // BackupDone, RestoreDone, ExportDone, or a type that Record.NoteBy takes
	ID       string            `json:"id"`
	Outcome  audit.Outcome     `json:"outcome,omitempty"` // empty: success
	Operator string            `json:"operator"`
	Details  map[string]string `json:"details"`
}

// Types of notices.
const (
	BackupDone  = "backup.done"
	RestoreDone = "restore.done"
	ExportDone  = "export.done"

	// exportIntent is left before the audit key signs the files of a bundle. Without ExportDone behind it, no signed bundle got its name.
	exportIntent = "export.intent"

	noticeDamaged = "notice.damaged" // a file in notices/ that is no notice of a station
)

// maxNotice is the largest notice, in octets.
const maxNotice = 16 << 10

// noticeMode lets a station read the notice that another user of its group left.
const noticeMode = 0o640

// leaveNoticeAt leaves a notice whose details have the time, because the entry comes later.
func leaveNoticeAt(dir workdir.Dir, n Notice, at time.Time) error {
	details := map[string]string{"at": at.UTC().Format(time.RFC3339Nano)}
	maps.Copy(details, n.Details)
	n.Details = details
	return LeaveNotice(dir, n)
}

// LeaveNotice leaves a notice in a station directory. Its ID begins with the time (RFC 9562
// section 5.7), so that notices are recorded in their order.
func LeaveNotice(dir workdir.Dir, n Notice) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	n.ID = id.String()
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return workdir.WriteFiles(workdir.File{Path: filepath.Join(dir.Notices(), n.ID+".json"), Content: text, Mode: noticeMode})
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
	n, leaver, damage, err := readNotice(path)
	if err != nil {
		return err
	}
	if n.Outcome == "" {
		n.Outcome = audit.Success
	}
	if damage != nil {
		n = Notice{Type: noticeDamaged, Outcome: audit.Failure, ID: filepath.Base(path), Details: map[string]string{"error": damage.Error(), "left_by": leaver.name}}
	}
	if n.Details == nil {
		n.Details = map[string]string{}
	}
	n.Details["notice"] = n.ID
	if err := r.Registry.Event(ctx, registry.Event{Type: n.Type, Outcome: n.Outcome, Operator: n.Operator, Details: n.Details}); err != nil {
		return err
	}
	return os.Remove(path)
}

// A leaver is the user who owns the file of a notice. What stands in the notice could name anybody.
type leaver struct {
	name string
	self bool // the user of the station
}

// leaverOf gives the owner of a file. damage says that somebody else could have changed the file.
func leaverOf(path string) (by leaver, damage, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return by, nil, err
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		damage = fmt.Errorf("the notice has mode %04o, so others than its owner could have changed it", mode)
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	return leaver{UserName(owner), owner == os.Getuid()}, damage, nil
}

// admit refuses a notice that its leaver cannot have left: another user than that of the station makes backups,
// restores and exports, opens the HSM for a signed one, and signs all of it with the own name.
func (by leaver) admit(n *Notice) error {
	if by.self {
		return nil
	}
	if !slices.Contains([]string{BackupDone, RestoreDone, ExportDone, exportIntent, hsmOpen}, n.Type) {
		return fmt.Errorf("a notice of type %q of another user than that of the station", n.Type)
	}
	n.Operator = by.name
	return nil
}

// readNotice reads a notice. damage says what is wrong with its file or its content.
func readNotice(path string) (n Notice, by leaver, damage, err error) {
	if by, damage, err = leaverOf(path); err != nil || damage != nil {
		return n, by, damage, err
	}
	file, err := workdir.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return n, by, errors.New("the station may not read the notice"), nil
	} else if err != nil {
		return n, by, nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxNotice+1))
	if err != nil {
		return n, by, nil, err
	}
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if damage = strict.Decode(&n); damage == nil && (len(text) > maxNotice || !n.isKnown() || len(bytes.TrimSpace(text[strict.InputOffset():])) > 0) {
		damage = fmt.Errorf("a notice of type %q with outcome %q and %d octets", n.Type, n.Outcome, len(text))
	}
	if damage == nil {
		damage = by.admit(&n)
	}
	if damage != nil {
		damage = fmt.Errorf("SHA-256 %x: %w", sha256.Sum256(text), damage)
	}
	return n, by, damage, nil
}

// noteType is the form of the types that Record.NoteBy takes.
var noteType = regexp.MustCompile(`^[a-z]+(\.[a-z]+)+$`)

// isKnown reports whether a station leaves such notices. It is false for the types
// of entries that change rows of the registry: the registry alone writes such entries.
func (n *Notice) isKnown() bool {
	outcomes := []audit.Outcome{"", audit.Success, audit.Failure, audit.Denied, audit.Unknown}
	return noteType.MatchString(n.Type) && registry.CheckEvent(n.Type) == nil && slices.Contains(outcomes, n.Outcome)
}
