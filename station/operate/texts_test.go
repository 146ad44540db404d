package operate

import (
	"context"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// TestTextThatAPersonTypedIsReadable checks each way in for a text: the call refuses the text, and
// nothing of it reaches the audit log.
func TestTextThatAPersonTypedIsReadable(t *testing.T) {
	s := ready(t, "posix:1")
	ctx := t.Context()
	for name, call := range map[string]func(text string) error{
		"work order of a Run":     func(text string) error { return s.Start(ctx, Start{Bay: "posix-1", Operator: "anna", Order: text}) },
		"operator of a Run":       func(text string) error { return s.Start(ctx, Start{Bay: "posix-1", Operator: text}) },
		"reason of a rework":      func(text string) error { return s.Start(ctx, Start{Bay: "posix-1", Operator: "anna", Rework: text}) },
		"work order of a line":    func(text string) error { _, err := s.Switch(ctx, text, "anna"); return err },
		"reason of a skip":        func(text string) error { return s.Skip(ctx, "posix-1", text, "anna") },
		"work order of a batch":   func(text string) error { return s.Enrol(ctx, Batch{Order: text}).Short },
		"reason of a batch":       func(text string) error { return s.Enrol(ctx, Batch{Rework: text}).Short },
		"badge of an operator":    func(text string) error { _, err := s.SignIn(ctx, text); return err },
		"id that somebody typed":  func(text string) error { _, err := Operators{Controller: s.Controller}.SignIn(ctx, text); return err },
		"bay that does not exist": func(text string) error { return s.Stop(ctx, text, "anna") },
	} {
		for _, text := range []string{"zq\x1b[2J", "zq\nzq", "zq\u202ezq", " ", "\u3164"} {
			if err := call(text); err == nil {
				t.Errorf("%s: %q is taken", name, text)
			} else if row, known := reason.Find(err); !known || err.Error() != reason.Printable(err.Error()) {
				t.Errorf("%s: %q is refused without a reason (%q), or raw: %q", name, text, row.Word, err)
			}
		}
	}
	s.waits()
	for _, raw := range rawTexts(t, s, ctx) {
		t.Errorf("on record: %q", raw)
	}
}

// rawTexts returns the entries of the audit log that could not be read where they are shown.
func rawTexts(t *testing.T, s *environment, ctx context.Context) (raw []string) {
	key := fixtures.Must(s.record.Registry.VerifierKey(ctx))(t)
	_, err := s.record.Registry.VerifyEach(ctx, key, func(e audit.Entry) error {
		for _, detail := range e.Details {
			if detail != reason.Printable(detail) {
				raw = append(raw, detail)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return raw
}
