package auditor_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/auditor"
	"hallmark/station/evidence"
	"hallmark/station/instance"
	"hallmark/station/issuance"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// aStation is a station with two boards: one that was refused for its firmware, and one whose Run
// ended while the HSM signed. A checkpoint covers all of it.
func aStation(t *testing.T) (dir workdir.Dir, runs []*station.Run) {
	t.Helper()
	dir = fixtures.NewDirectory(t)
	in := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	must(t, in.Registry.OpenOrder(t.Context(), registry.NewOrder{ID: "WO-1", Product: "sensor", Quota: 5}, "ann"))
	for n, firmware := range []string{"1.0.0", "=2+2"} {
		run := &station.Run{ID: uuid.New(), Bay: "bay-1", Purpose: devices.PurposeTLS, Operator: "ann", Order: "WO-1", Started: time.Now(), Identity: &devices.Identity{
			ID: devices.BoardID(uuid.New()), HardwareID: devices.HardwareID([]byte{byte(n + 1)}), BoardType: "posix", Firmware: firmware, FirmwareHash: [32]byte{0xab, byte(n)}, HUK: devices.HUKFuses, Caller: -1}}
		must(t, in.Registry.Admit(t.Context(), run))
		if n == 1 {
			intend(t, in, run)
		}
		run.Finished, run.Ending, run.Reason = time.Now(), station.Fault, "line"
		fixtures.Must(in.Registry.Close(t.Context(), run))(t)
		runs = append(runs, run)
	}
	must(t, errors.Join(in.Checkpoint(), in.Close()))
	return dir, runs
}

// intend writes the intent of a certificate, as the issuer does before the HSM signs.
func intend(t *testing.T, in *instance.Instance, run *station.Run) {
	t.Helper()
	made := issuance.Intent{Key: issuance.Key{BoardID: run.Identity.ID, Purpose: run.Purpose, SPKISHA256: [32]byte{1}, ProfileSHA256: [32]byte{2}, IssuerSHA256: [32]byte{3}},
		Run: run.ID.String(), Profile: "linaro", NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0), Serial: [16]byte{0x40}, TBSSHA256: [32]byte{4}}
	fixtures.Must(in.Registry.Intend(t.Context(), made))(t)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs one command as the program does.
func run(t *testing.T, dir workdir.Dir, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := runInto(t, dir, &out, &out, args...)
	return out.String(), err
}

// runInto runs one command with two outputs.
func runInto(t *testing.T, dir workdir.Dir, out, errs io.Writer, args ...string) error {
	t.Helper()
	name := string(dir)
	root := &cobra.Command{Use: "station", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand((&auditor.Commands{Dir: &name, Stdout: out}).All()...)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	return root.ExecuteContext(t.Context())
}

// aRun is a Run of a new board with this firmware.
func aRun(firmware string) *station.Run {
	return &station.Run{ID: uuid.New(), Bay: "bay-1", Purpose: devices.PurposeTLS, Operator: "ann", Order: "WO-1", Started: time.Now(), Finished: time.Now(), Ending: station.Reject, Reason: "clone",
		Identity: &devices.Identity{ID: devices.BoardID(uuid.New()), HardwareID: devices.HardwareID(uuid.NewString()), BoardType: "posix", Firmware: firmware, HUK: devices.HUKFuses, Caller: -1}}
}

// The list that is printed and the list of the bundle have the same boards: also a refused one. A board that no checkpoint covers is marked.
func TestTheBundleOfAnAnswerHasTheBoardsOfItsList(t *testing.T) {
	dir, runs := aStation(t)
	in := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	refused, late := aRun("1.0.0"), aRun("1.0.0")
	fixtures.Must(in.Registry.Close(t.Context(), refused))(t)
	must(t, in.Checkpoint())
	fixtures.Must(in.Registry.Close(t.Context(), late))(t)
	must(t, in.Close())
	bundle := filepath.Join(t.TempDir(), "answer")
	var out, errs bytes.Buffer
	must(t, runInto(t, dir, &out, &errs, "affected", "--firmware", "1.0.0", "--csv", "--out", bundle))
	covered := map[string]string{}
	for _, row := range fixtures.Must(csv.NewReader(&out).ReadAll())(t)[1:] {
		covered[row[0]] = row[len(row)-1]
	}
	want := map[string]string{runs[0].Identity.ID.String(): "true", refused.Identity.ID.String(): "true", late.Identity.ID.String(): "false"}
	if !maps.Equal(covered, want) {
		t.Errorf("the list has %v, want %v", covered, want)
	}
	listed := map[string]string{}
	for _, row := range fixtures.Must(csv.NewReader(fixtures.Must(os.Open(filepath.Join(bundle, "views", "boards.csv")))(t)).ReadAll())(t)[1:] {
		listed[row[0]] = "true"
	}
	delete(want, late.Identity.ID.String())
	if !maps.Equal(listed, want) {
		t.Errorf("the bundle has %v, want %v", listed, want)
	}
	for _, want := range []string{"1 of these rows is not covered", "beyond the newest checkpoint and not in the bundle", "The files of the bundle are not signed"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%q is not in %s", want, errs.String())
		}
	}
}

func TestEachListIsJSONAndCSV(t *testing.T) {
	dir, runs := aStation(t)
	for _, test := range []struct {
		args []string
		rows int
	}{
		{[]string{"boards"}, 2}, {[]string{"runs"}, 2}, {[]string{"runs", "--ending", "fault", "--limit", "1"}, 1}, {[]string{"runs", "--ending", "pass"}, 0},
		{[]string{"boards", "--serial", "40" + strings.Repeat("0", 30)}, 1}, {[]string{"boards", "--serial", strings.Repeat("0", 32)}, 0},
		{[]string{"certificates", "list", "--serial", "40:" + strings.Repeat("00:", 14) + "00"}, 1}, {[]string{"certificates", "list", "--serial", strings.Repeat("0", 32)}, 0},
		{[]string{"runs", "--status", "unresolved"}, 1}, {[]string{"runs", "--status", "active"}, 0},
		{[]string{"orders", "--bay", "bay-1", "--ending", "fault", "--reason", "line"}, 1}, {[]string{"orders", "--ending", "pass"}, 0}, {[]string{"orders", "--bay", "bay-2"}, 0},
		{[]string{"orders", "--serial", "40" + strings.Repeat("0", 30)}, 1}, {[]string{"orders", "--serial", strings.Repeat("0", 32)}, 0},
		{[]string{"orders", "--board", runs[0].Identity.ID.String()}, 1}, {[]string{"orders", "--board", uuid.NewString()}, 0},
		{[]string{"audit", "show", "--type", "board.admitted"}, 2}, {[]string{"audit", "show", "--type", "board", "--board", runs[0].Identity.ID.String()}, 1},
		{[]string{"orders"}, 1}, {[]string{"audit", "retention"}, 1}, {[]string{"certificates", "list"}, 1}, {[]string{"affected", "--order", "WO-1"}, 2}, {[]string{"affected", "--firmware", "1.0.0"}, 1},
	} {
		text, err := run(t, dir, append(test.args, "--json")...)
		must(t, err)
		for line := range strings.Lines(text) {
			var row map[string]any
			if err := json.Unmarshal([]byte(line), &row); err != nil || len(row) == 0 {
				t.Errorf("%v: %s: %v", test.args, line, err)
			}
		}
		if got := strings.Count(text, "\n"); got != test.rows {
			t.Errorf("%v: %d rows, want %d", test.args, got, test.rows)
		}
		text, err = run(t, dir, append(test.args, "--csv")...)
		must(t, err)
		rows := fixtures.Must(csv.NewReader(strings.NewReader(text)).ReadAll())(t)
		if len(rows) != test.rows+1 {
			t.Errorf("%v: %d lines of CSV, want a header and %d rows", test.args, len(rows), test.rows)
		}
		if strings.Contains(text, "\r") {
			t.Errorf("%v: a line ends in CR LF, and the help says LF", test.args)
		}
		for _, cell := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }) {
			if strings.HasPrefix(cell, "=") {
				t.Errorf("%v: the cell %q is a formula", test.args, cell)
			}
		}
	}
}

func TestTheTokenThatSignedNamesItsBoards(t *testing.T) {
	dir, runs := aStation(t)
	serial := fixtures.Entries(t, dir)[0].Details["hsm_serial"]
	bundle := filepath.Join(t.TempDir(), "answer")
	text, err := run(t, dir, "affected", "--hsm", serial, "--out", bundle, "--sign")
	must(t, err)
	if !strings.Contains(text, "1 board is affected") || !strings.Contains(text, runs[1].Identity.ID.String()) {
		t.Errorf("got %s", text)
	}
	v := checked(t, bundle)
	if !v.Good() || v.Signed == nil || !v.AuditCertificate || v.Selected != 5 { // genesis, admitted, intent, failed or unresolved, end
		t.Errorf("got %+v", v)
	}
	if text, err := run(t, dir, "affected", "--hsm", "another"); err != nil || !strings.HasPrefix(text[strings.Index(text, "\n0 rows"):], "\n0 rows\n0 boards are affected") {
		t.Errorf("another token: %v: %s", err, text)
	}
}

// An empty answer to a word that was mistyped looks like "never happened".
func TestShowSaysThatNoEntryFits(t *testing.T) {
	dir, _ := aStation(t)
	if text, err := run(t, dir, "audit", "show", "--type", "cert.revoke"); err != nil || !strings.Contains(text, "no entry fits the filter") || !strings.Contains(text, "cert.issue.intent") {
		t.Errorf("got %v: %s", err, text)
	}
	if text, err := run(t, dir, "audit", "show", "--type", "order.opened"); err != nil || strings.Contains(text, "no entry") || strings.Count(text, "\n") != 1 {
		t.Errorf("got %v: %s", err, text)
	}
}

// A digest in another spelling must not give "0 boards are affected".
func TestAFirmwareIsFoundInEachSpellingOfItsDigest(t *testing.T) {
	dir, runs := aStation(t)
	digest := hex.EncodeToString(runs[0].Identity.FirmwareHash[:])
	var pairs []string
	for n := 0; n < len(digest); n += 2 {
		pairs = append(pairs, digest[n:n+2])
	}
	for _, spelling := range []string{digest, strings.ToUpper(digest), "sha256:" + digest, "SHA-256:" + digest, strings.ToUpper(strings.Join(pairs, ":"))} {
		if text, err := run(t, dir, "affected", "--firmware", spelling); err != nil || !strings.Contains(text, "1 board is affected") {
			t.Errorf("%s: %v: %s", spelling, err, text)
		}
	}
	text, err := run(t, dir, "affected", "--firmware", "9.9")
	if err != nil || !strings.Contains(text, `The record has no firmware "9.9". It has:`) || !strings.Contains(text, "1.0.0  "+digest) {
		t.Errorf("a firmware that no board had: %v: %s", err, text)
	}
}

// Zero boards for a name that nobody has looks like a correct answer.
func TestAnUnknownNameInAQuestionIsNamed(t *testing.T) {
	dir, runs := aStation(t)
	serial := fixtures.Entries(t, dir)[0].Details["hsm_serial"]
	none := strings.Repeat("0", 64)
	for _, test := range []struct{ kind, asked, has string }{
		{"operator", "bob", "  ann\n"},
		{"order", "WO-2", "  WO-1\n"},
		{"hsm", "another", "  " + serial + "\n"},
		{"profile", none, "  linaro  0200"},
		{"key", none, "  " + runs[1].Identity.ID.String() + "  0100"},
	} {
		text, err := run(t, dir, "affected", "--"+test.kind, test.asked)
		if want := "The record has no " + test.kind + ` "` + test.asked + `". It has:` + "\n" + test.has; err != nil || !strings.Contains(text, "0 boards are affected. "+want) {
			t.Errorf("%v: got %s, want %s", err, text, want)
		}
	}
	if text, err := run(t, dir, "affected", "--operator", "ann", "--until", "2001-01-01"); err != nil || strings.Contains(text, "has no") {
		t.Errorf("a name that the record has: %v: %s", err, text)
	}
}

// A bundle that leaves the building says what it was asked for.
func TestAPartSaysWhichQuestionItAnswers(t *testing.T) {
	dir, runs := aStation(t)
	id := runs[1].Identity.ID.String()
	for want, args := range map[string][]string{
		"station affected --from 2001-01-01 --operator ann: 6 entries about 2 boards": {"affected", "--operator", "ann", "--from", "2001-01-01", "--sign"},
		"station audit export --order WO-1: 7 entries about 2 boards":                 {"audit", "export", "--order", "WO-1"},
		"station audit proof --board " + id + ": 4 entries about 1 board":             {"audit", "proof", "--board", id},
	} {
		bundle := filepath.Join(t.TempDir(), "part.tar")
		_, err := run(t, dir, append(args, "--out", bundle)...)
		must(t, err)
		if v := checked(t, bundle); !v.Good() || v.Question == nil || v.Question.String() != want {
			t.Errorf("got %v, want %s", v.Question, want)
		}
	}
}

// What the kernel says of a path is no next step.
func TestAMissingDirectoryIsNamedWithTheNextStep(t *testing.T) {
	dir, runs := aStation(t)
	gone := filepath.Join(t.TempDir(), "gone")
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, args := range [][]string{
		{"audit", "export"}, {"audit", "proof", "--board", runs[0].Identity.ID.String()}, {"affected", "--operator", "ann"}, {"audit", "archive", "--until", "2"},
	} {
		text, err := run(t, dir, append(args, "--out", filepath.Join(gone, "x.tar"))...)
		if err == nil || !strings.Contains(err.Error(), "the directory "+gone+" does not exist; make it, or name another path") || text != "" {
			t.Errorf("%v: %v %s", args, err, text)
		}
		if _, err := run(t, dir, append(args, "--out", filepath.Join(file, "x.tar"))...); err == nil || !strings.Contains(err.Error(), file+" is no directory") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestALostAuditKeyIsGivenWithKey(t *testing.T) {
	dir, _ := aStation(t)
	kept := filepath.Join(t.TempDir(), "kept.vkey")
	must(t, os.Rename(dir.AuditKey(), kept))
	if _, err := run(t, dir, "audit", "verify"); err == nil || !strings.Contains(err.Error(), "name the copy from the key ceremony with --key") {
		t.Errorf("got %v", err)
	}
	_, err := run(t, dir, "audit", "verify", "--key", kept)
	must(t, err)
}

func checked(t *testing.T, bundle string) *evidence.Verdict {
	t.Helper()
	files := fixtures.Must(evidence.OpenFiles(bundle))(t)
	defer files.Close()
	return fixtures.Must(evidence.Check(t.Context(), files, evidence.Options{}))(t)
}

func TestAnExportIsOnRecordAtTheNextStart(t *testing.T) {
	dir, runs := aStation(t)
	for _, args := range [][]string{
		{"audit", "export"}, {"audit", "export", "--sign"}, {"audit", "export", "--operator", "ann"}, {"audit", "proof", "--board", runs[0].Identity.ID.String()},
		{"affected", "--firmware", "1.0.0"},
	} {
		bundle := filepath.Join(t.TempDir(), "b")
		_, err := run(t, dir, append(args, "--out", bundle)...)
		must(t, err)
		if v := checked(t, bundle); !v.Good() {
			t.Errorf("%v: %v", args, v.Findings)
		}
	}
	in := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	must(t, in.Close())
	count, signed := 0, 0
	for _, e := range fixtures.Entries(t, dir) {
		if e.Type == instance.ExportDone && len(e.Details["sums_sha256"]) == 64 && e.Details["to"] == "b" && e.Actor.ID == instance.LocalUser() {
			count++
			if e.Details["signed"] == "true" {
				signed++
			}
		}
	}
	if count != 5 || signed != 1 {
		t.Errorf("%d exports are on record, %d of them signed; want 5 and 1", count, signed)
	}
}

func TestAnExportThatLeavesNoNoticeSaysSo(t *testing.T) {
	dir, _ := aStation(t)
	must(t, errors.Join(os.RemoveAll(dir.Notices()), os.WriteFile(dir.Notices(), nil, 0o600))) // so that it cannot be a directory
	text, err := run(t, dir, "audit", "export", "--out", filepath.Join(t.TempDir(), "b"))
	if err != nil || !strings.Contains(text, "This export will not be on record") {
		t.Errorf("%v: %s", err, text)
	}
}

// Directories of older versions have no certificate of the audit key. Here the genesis entry names one,
// so the checker asks for it.
func TestWithoutTheCertificateOfTheAuditKeyNothingIsSigned(t *testing.T) {
	dir, _ := aStation(t)
	must(t, os.Remove(dir.AuditCertificate()))
	bundle := filepath.Join(t.TempDir(), "b")
	if _, err := run(t, dir, "audit", "export", "--out", bundle, "--sign"); err == nil || !strings.Contains(err.Error(), "has no certificate of its audit key") {
		t.Errorf("got %v", err)
	}
	_, err := run(t, dir, "audit", "export", "--out", bundle)
	must(t, err)
	v := checked(t, bundle)
	if v.AuditCertificate || v.Signed != nil || len(v.Findings) != 1 || !strings.Contains(v.Findings[0].Meaning, "the audit certificate that the entry names is missing") {
		t.Errorf("got %+v", v)
	}
}

func TestWhatTheCommandsRefuse(t *testing.T) {
	dir, _ := aStation(t)
	out := filepath.Join(t.TempDir(), "b")
	for _, test := range []struct {
		args   []string
		saying string
	}{
		{[]string{"audit"}, "no subcommand given"},
		{[]string{"audit", "export"}, "--out is missing"},
		{[]string{"audit", "export", "--out", string(dir)}, "exists already"},
		{[]string{"audit", "export", "--out", out, "--lang", "xx"}, "no such language"},
		{[]string{"audit", "export", "--out", out, "--serial", "12"}, "want 32 hexadecimal digits"},
		{[]string{"audit", "export", "--out", out, "--operator", "nobody"}, "no entry up to the newest checkpoint fits"},
		{[]string{"audit", "proof", "--out", out}, "name one board"},
		{[]string{"audit", "show", "--since", "2026-11-28", "--until", "2026-11-28"}, "is not after"},
		{[]string{"audit", "show", "--status", "good"}, "want one of issued,"},
		{[]string{"audit", "verify", "--anchor", "missing"}, "reading an anchor"},
		{[]string{"audit", "verify", "--key", "missing"}, "reading the audit key"},
		{[]string{"audit", "verify", "--key", "/dev/zero"}, "more than 65536 octets"},
		{[]string{"boards", "--status", "good"}, "want one of"},
		{[]string{"boards", "--limit", "0"}, "want 1 or more"},
		{[]string{"runs", "--limit", "-1"}, "want 1 or more"},
		{[]string{"runs", "--json", "--csv"}, "want one of them"},
		{[]string{"runs", "--type", "cert"}, "selects entries of the audit log"},
		{[]string{"affected"}, "name what the boards have in common"},
		{[]string{"affected", "--hsm", "1", "--sign"}, "which is missing"},
		{[]string{"affected", "--profile", "1"}, "want a SHA-256"},
		{[]string{"affected", "--firmware", strings.Repeat("ab", 31)}, "want a version, or a SHA-256"},
		{[]string{"affected", "--firmware", "sha256:12"}, "want a version, or a SHA-256"},
		{[]string{"affected", "--from", "2026-11-28", "--until", "2026-11-27"}, "is not after --from"},
		{[]string{"boards", "--serial", "12"}, "want 32 hexadecimal digits"},
		{[]string{"certificates", "list", "--serial", "12"}, "want 32 hexadecimal digits"},
		{[]string{"audit", "export", "--out", out + ".tar.gz"}, "is not compressed"},
	} {
		if _, err := run(t, dir, test.args...); err == nil || !strings.Contains(err.Error(), test.saying) {
			t.Errorf("%v: got %v, want %q", test.args, err, test.saying)
		}
		if _, err := os.Lstat(out); err == nil {
			t.Fatalf("%v: a bundle is left", test.args)
		}
	}
}

// The screen exports what the lists print, and never over a file of the station.
func TestRunsOfTheScreenAreExportedAsTheListsPrintThem(t *testing.T) {
	dir, runs := aStation(t)
	in := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	defer func() { must(t, in.Close()) }()
	for name, test := range map[string]struct {
		json   bool
		folder string
	}{"CSV": {}, "JSON lines": {json: true}, "a folder that was given": {folder: t.TempDir()}} {
		t.Run(name, func(t *testing.T) {
			e := auditor.RunExport{Record: in.Record, Folder: test.folder}
			path, count, err := e.Export(t.Context(), "ann", "WO-1", station.Fault, test.json)
			must(t, err)
			flag := "--csv"
			if test.json {
				flag = "--json"
			}
			var out bytes.Buffer
			c := auditor.Commands{Dir: (*string)(&dir), Stdout: &out}
			root := &cobra.Command{Use: "station"}
			root.AddCommand(c.All()...)
			root.SetArgs([]string{"runs", flag, "--order", "WO-1", "--ending", "fault"})
			must(t, root.ExecuteContext(t.Context()))
			text := fixtures.Must(os.ReadFile(path))(t)
			if count != len(runs) || string(text) != out.String() {
				t.Errorf("%d Runs\n%s\nthe list prints\n%s", count, text, out.String())
			}
			if test.folder != "" && filepath.Dir(path) != test.folder {
				t.Errorf("the file is %s", path)
			}
			last := fixtures.Entries(t, dir)
			want := map[string]string{"to": filepath.Base(path), "runs": "2", "text": "WO-1", "ending": "fault", "sha256": fmt.Sprintf("%x", sha256.Sum256(text))}
			if e := last[len(last)-1]; e.Type != "export.runs" || e.Actor.ID != "ann" || !maps.Equal(e.Details, want) {
				t.Errorf("on record is %s by %s %v, want %v", e.Type, e.Actor.ID, e.Details, want)
			}
		})
	}
	for _, folder := range []string{string(dir), filepath.Join(string(dir), "pki"), filepath.Join(t.TempDir(), "none")} {
		e := auditor.RunExport{Record: in.Record, Folder: folder}
		if path, _, err := e.Export(t.Context(), "ann", "", "", false); err == nil || !strings.Contains(err.Error(), folder) {
			t.Errorf("%s: wrote %q, %v", folder, path, err)
		}
	}
}
