package instance_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/instance"
	"hallmark/station/workdir"
)

// opensRecord opens the registry, as a start does, and closes it.
func opensRecord(t *testing.T, dir workdir.Dir) {
	t.Helper()
	files := fixtures.Must(instance.OpenFiles(dir, instance.Options{}))(t)
	fixtures.Must(files.OpenRecord(t.Context()))(t)
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestANoticeIsRecordedOnce(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	if err := instance.LeaveNotice(dir, instance.Notice{Type: instance.BackupDone, Operator: "anna", Details: map[string]string{"to": "B"}}); err != nil {
		t.Fatal(err)
	}
	opensRecord(t, dir)
	opensRecord(t, dir)
	count := 0
	for _, e := range fixtures.Entries(t, dir) {
		if e.Type == instance.BackupDone && e.Actor.ID == "anna" && e.Details["to"] == "B" && e.Details["notice"] != "" {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d entries about the notice, want 1", count)
	}
}

func TestANoticeThatNoStationWroteIsAFailureOnRecord(t *testing.T) {
	for name, text := range map[string]string{
		"text":             "no JSON",
		"another type":     `{"type":"cert.issued","id":"x","operator":"","details":{}}`,
		"an unknown field": `{"type":"backup.done","more":1}`,
		"too much":         `{"type":"backup.done","id":"` + strings.Repeat("x", 20<<10) + `"}`,
		"octets behind it": `{"type":"backup.done","id":"x","operator":"anna","details":{}} more`,
		"nothing":          "",
	} {
		t.Run(name, func(t *testing.T) {
			dir := fixtures.NewDirectory(t)
			if err := workdir.WriteFile(filepath.Join(dir.Notices(), "x.json"), []byte(text)); err != nil {
				t.Fatal(err)
			}
			opensRecord(t, dir)
			if !fixtures.HasEntry(t, dir, "notice.damaged", "station", map[string]string{"notice": "x.json"}) {
				t.Error("nothing is on record")
			}
			if left := fixtures.Must(os.ReadDir(dir.Notices()))(t); len(left) > 0 {
				t.Errorf("%d notices are left", len(left))
			}
		})
	}
}

// The owner of the file says who left a notice, and not the text of it.
func TestANoticeIsOfItsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		prerequisite.Missing(t, "the right to give a file away", "run the test as root")
	}
	for _, test := range []struct {
		name, text string
		mode       os.FileMode
		kind, who  string // of the entry
	}{
		{"an export of another user", `{"type":"export.done","id":"x","operator":"anna","details":{}}`, 0o640, instance.ExportDone, "uid-54321"},
		{"a sign-in of another user", `{"type":"operator.login.ok","id":"x","operator":"anna","details":{}}`, 0o640, "notice.damaged", "station"},
		{"a notice that everybody may write", `{"type":"export.done","id":"x","operator":"anna","details":{}}`, 0o666, "notice.damaged", "station"},
		{"a notice that the group may write", `{"type":"export.done","id":"x","operator":"anna","details":{}}`, 0o660, "notice.damaged", "station"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := fixtures.NewDirectory(t)
			path := filepath.Join(dir.Notices(), "x.json")
			if err := errors.Join(workdir.WriteFile(path, []byte(test.text)), os.Chown(path, 54321, 54321), os.Chmod(path, test.mode)); err != nil {
				t.Fatal(err)
			}
			opensRecord(t, dir)
			for _, e := range fixtures.Entries(t, dir) {
				if e.Type == test.kind && e.Actor.ID == test.who && (test.kind == instance.ExportDone || e.Details["left_by"] == "uid-54321") {
					return
				}
			}
			t.Errorf("there is no entry %s of %s", test.kind, test.who)
		})
	}
}
