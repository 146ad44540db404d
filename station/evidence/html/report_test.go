package html

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"hallmark/station/audit"
)

var update = flag.Bool("update", false, "write the golden reports anew")

func (r *record) write(t testing.TB, language string) string {
	t.Helper()
	return r.writeWith(t, Options{Language: language, Checkpoint: r.signed()})
}

func (r *record) writeWith(t testing.TB, o Options) string {
	t.Helper()
	report, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.entries {
		report.Add(&r.entries[i])
	}
	var out bytes.Buffer
	if err := report.Write(&out, r.head()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// text gives the text of a page or of one of its sections, with one space between words.
func text(page, section string) string {
	if section != "" {
		_, page, _ = strings.Cut(page, `<section id="`+section+`"`)
		page, _, _ = strings.Cut(page, "</section>")
		_, page, _ = strings.Cut(page, ">")
	}
	page = regexp.MustCompile(`</?(bdi|br)[^>]*>`).ReplaceAllString(page, "")
	page = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " ")
	page = strings.NewReplacer("&#43;", "+", "&#39;", "'", "&#34;", `"`, "\u00a0", " ").Replace(page)
	return strings.Join(strings.Fields(page), " ")
}

func TestTheReportOfAShiftIsAsStored(t *testing.T) {
	for _, language := range Languages() {
		path := filepath.Join("testdata", "report."+language+".html")
		got := shift().write(t, language)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("the report differs from %s; look at the difference after go test -update, and give format another number if bundles with the old one exist", path)
		}
	}
}

func TestSections(t *testing.T) {
	page := shift().write(t, "en")
	for _, c := range []struct{ name, section, want string }{
		{"a board with two Runs is one board", "summary", "Boards that had a Run 9 Boards that passed 4 yield 44.4 % Boards whose first Run passed 4"},
		{"the outcomes of a Pass stand apart", "summary", "Passes: issued 4 Passes: reworked 1 Passes: confirmed 1"},
		{"each intent has a result", "summary", "agrees Each signature has an intent before, and each intent has a result. Intents: 8 = 6 issued + 1 failed + 1 unresolved + 0 without a result"},
		{"a refused Run counts, too", "summary", "agrees Each Run has one end: 11 admitted + 1 refused = 12 ended + 0 not ended. Ended without a beginning: 0"},
		{"the work orders agree", "summary", "agrees Work orders: 1."},
		{"a certificate has its newest status", "certificates", "Issued, not delivered 1 Active: read back, and proven by a handshake 3 Superseded by a newer certificate 1 Revoked 1 All issued certificates 6"},
		{"a refused signature is counted by its reason", "certificates", "Signatures that the station refused Reason Number quota 1"},
		{"a revocation names the serial number and who did it", "certificates", "cert.revoked by ann reason: lost serial number: 00000000000000000000000000000004"},
		{"Runs are counted by ending", "runs", "Pass 6 50.0 % of which issued 4 33.3 %"},
		{"Rejects and Faults have reasons", "runs", "Reject clone 1 8.3 % Reject handshake 1 8.3 % Reject quota 1 8.3 %"},
		{"plots have a text", "throughput", "Runs over time, by ending Each column is a span of time; columns: "},
		{"steps have times", "throughput", "sign 11 1.5 ms 1.5 ms 11"},
		{"the parts of an order make its quota", "orders", "LOT-1 thermostat only firmware aa11 only firmware bb22 8 4 0 1 1 2 agrees"},
		{"the Runs of an order are counted", "orders", "LOT-1 4 2 2 0 1"},
		{"operators have Runs and sign-ins", "operators", "ann 6 4 1 1 0 1 1 0 bob 6 2 2 1 1 0 0 0"},
		{"a badge that nobody knows is counted", "operators", "no name 0 0 0 0 0 0 0 1"},
		{"the ceremony names the HSM", "ceremony", "(entry 0) is the ceremony of 2026-11-02 06:00:00 (UTC), by ceremony master. HSM model nShield 5c serial number 5c-0042"},
		{"the ceremony names the keys", "ceremony", "hallmark-audit CKA_SENSITIVE yes, CKA_EXTRACTABLE no"},
		{"the ceremony names the audit key", "ceremony", "hallmark/line-1+0badc0de+AjBZ"},
		{"a renewed certificate comes later", "ceremony", "verifier.renewed by ann not_after: 2027-12-01T00:00:00Z"},
		{"a certificate for OCSP answers comes later", "ceremony", "ocsp.issued by bob not_after: 2026-12-02T00:00:00Z"},
		{"a proof for a cloud is a signature of the issuing key", "ceremony", "prove.issued by bob code: C0DE"},
		{"a changed configuration has its new digest", "config", "changed: configuration_sha256 version version: 1.1.0 configuration_sha256: bb22"},
		{"an order names who opened it", "config", "Work order: LOT-1 Ordered: 8"},
		{"a hold names the board and who did it", "certificates", "board.held by carl reason: antenna board: board-1"},
		{"an export names who did it", "log", "export.done by carl to: bundle.tar"},
		{"a lost HSM is an incident", "incidents", "hsm.away failure by station error: the token is gone: CKR_DEVICE_REMOVED"},
		{"a clock that went back is an incident", "incidents", "clock.step refused by station behind: 3h0m0s"},
		{"a bay that nobody acknowledged is named", "incidents", "Stopped when the checkpoint was made: bay-3 "},
		{"a stopped bay names bay, reason and board", "incidents", "bay.stopped refused by station reason: clone bay: bay-2 board: board-2"},
		{"other refusals are listed", "incidents", "operator.login.fail refused by station badge: 0001"},
		{"an accepted registry is listed", "log", "log.accepted by ann mark_size: 44"},
		{"a migration is listed", "log", "log.migrated by station from: 2 to: 3"},
		{"all entries are counted by type", "log", "cert.issue.intent success 8"},
		{"the checkpoint stands there with its signature", "checkpoint", "\u2014 hallmark/line-1 C63A3jBFAiEA"},
		{"the report says what it does not prove", "proof", "It does not prove That the newest entries are there"},
	} {
		if got := text(page, c.section); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q is not in %q", c.name, c.want, got)
		}
	}
	if strings.Contains(text(page, "config"), "configuration_sha256: aa11") {
		t.Error("a start at which nothing changed is among the changes")
	}
	if got := text(shift().write(t, "de"), "summary"); !strings.Contains(got, "Gute Platinen 4 Ausbeute 44,4 %") {
		t.Errorf("German: %q", got)
	}
}

// Each type of entry of a station is listed, or it is counted by a decision that stands in families or daily.
func TestEachTypeOfEntryIsListedOrCounted(t *testing.T) {
	table, err := os.ReadFile(filepath.Join("..", "..", "audit", "testdata", "kinds.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		kind, _, _ := strings.Cut(line, "\t")
		if strings.HasPrefix(kind, "#") {
			continue
		}
		begins := func(prefix string) bool { return strings.HasPrefix(kind, prefix) }
		decided := slices.ContainsFunc(daily, begins) || kind == "log.startup"
		for _, family := range families {
			decided = decided || begins(family.prefix)
		}
		if !decided {
			t.Errorf("nobody decided where a report has %s", kind)
		}
		if _, is := sectionOf(&event{kind: kind, outcome: string(audit.Failure)}); !is && slices.ContainsFunc(daily, begins) {
			t.Errorf("a failed %s is not listed", kind)
		}
	}
	for kind, want := range map[string]section{"order.raised": configSection, "order.closed": configSection, "board.held": statusSection, "board.released": statusSection, "board.rework.marked": statusSection,
		"board.recovered": statusSection, "board.recover.intent": statusSection, "backup.done": logSection, "restore.done": logSection, "export.done": logSection, "export.intent": logSection} {
		if got, is := sectionOf(&event{kind: kind, outcome: string(audit.Success)}); !is || got != want {
			t.Errorf("%s is in %q, want %q", kind, got, want)
		}
	}
}

// The signatures of many witnesses do not fit into a QR code, which has the checkpoint with the signature of its log.
func TestACheckpointWithManyWitnessesHasItsQRCode(t *testing.T) {
	r := shift()
	alone := r.write(t, "en")
	page := r.writeWith(t, Options{Language: "en", Checkpoint: append(r.signed(), strings.Repeat("\u2014 witness.example/w "+strings.Repeat("A", 200)+"\n", 32)...)})
	path := regexp.MustCompile(`<path d="[^"]*" fill="#000"`)
	if !strings.Contains(page, "witness.example/w") || path.FindString(page) != path.FindString(alone) {
		t.Error("the QR code is another one, or the text lacks the witnesses")
	}
}

func TestSumsThatDisagreeAreShown(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(r *record)
	}{
		{"an intent without a result", "differs Each signature has an intent", func(r *record) {
			r.run(trial{board: "b", result: "none", ending: fault})
		}},
		{"a certificate without an intent", "differs Each certificate, and each change of a certificate, has an intent before it. Without an intent: 1", func(r *record) {
			r.add("cert.issued", audit.Success, audit.Entry{Cert: &audit.Cert{Serial: "f00", Status: "issued"}})
		}},
		{"a serial number with two results", "Without an intent: 1", func(r *record) {
			r.add("cert.issue.failed", audit.Failure, audit.Entry{Cert: &audit.Cert{Serial: fmt.Sprintf("%032x", 1), Status: "failed"}})
		}},
		{"a Run that ends twice", "Ended without a beginning: 1", func(r *record) {
			r.add("run.pass", audit.Success, audit.Entry{Run: &audit.Run{ID: "run-1", Outcome: "issued"}})
		}},
		{"more boards than ordered", "differs Work orders: 1.", func(r *record) {
			for n := range 3 {
				r.run(trial{board: fmt.Sprint("more-", n), order: "LOT-1", quota: 8, counted: int64(7 + n), result: "cert.issued", ending: pass, passed: "issued"})
			}
		}},
		{"a count that the boards do not make", "differs Work orders: 1.", func(r *record) {
			r.run(trial{board: "more", order: "LOT-1", quota: 8, counted: 3, result: "cert.issued", ending: pass, passed: "issued"})
		}},
	} {
		r := shift()
		c.change(r)
		if got := text(r.write(t, "en"), "summary"); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q is not in %q", c.name, c.want, got)
		}
	}
	report, err := New(Options{Language: "en"})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := report.Write(&out, audit.Head{Size: 7}); err != nil {
		t.Fatal(err)
	}
	if got := text(out.String(), ""); !strings.Contains(got, "differs Entries that are counted here: 0; the checkpoint is over 7") || !strings.Contains(got, "no entry of the key ceremony") {
		t.Errorf("a report of nothing: %q", got)
	}
}

func TestACheckpointOfOtherEntriesIsNotShown(t *testing.T) {
	r := shift()
	page := r.writeWith(t, Options{Language: "en", Checkpoint: []byte("hallmark/line-1\n9999\nAAAA\n\n\u2014 hallmark/line-1 C63A\n")})
	if got := text(page, "checkpoint"); strings.Contains(got, "9999") || !strings.Contains(got, "The signature is not in this report") {
		t.Errorf("%q", got)
	}
}

// hostile are texts that a board, a badge or a file may bring.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</td></tr></table><h1>Pass</h1>`, `'; --><!--`, "</svg></style><style>*{display:none}",
	"\u202edetset\u202c", "\u2066good\u2069", "a\u200bb\u200d\ufeff", "\x00\x07\x1b[31mred\x7f\u0085", "line\nline\r\n", "\u00ad\u034f", "z" + strings.Repeat("\u0301", 300),
	"\xff\xfe", strings.Repeat("w", 100_000), "\U000e0041\U000e007f", "{{.}}", "%s%n", "\u05d0\u05d1 3 \u05d2", "javascript:alert(1)", "\u2028\u2029",
}

// attack puts one text into every part of an entry of each kind.
func attack(bad string) *record {
	r := shift()
	for _, kind := range []string{audit.TypeGenesis, "log.startup", "board.admitted", "cert.issue.intent", "cert.issued", "cert.issue.denied", "cert.revoked", "run.pass", "run.reject",
		"bay.stopped", "bay.acknowledged", "hsm.away", "operator.login.ok", "order.opened", "log.accepted", "verifier.renewed", "odd" + bad, "run." + bad, bad} {
		r.add(kind, audit.Outcome(bad), audit.Entry{Actor: audit.Actor{ID: bad, Kind: bad}, Board: &audit.Board{ID: bad, HardwareID: bad, Type: bad, Firmware: bad}, Reason: bad,
			Run:       &audit.Run{ID: bad, Bay: bad, Operator: bad, Outcome: bad, Steps: []audit.Step{{Name: bad, TookUS: -5, Retries: -1}, {TookUS: math.MaxInt64}}},
			Cert:      &audit.Cert{Serial: bad, Status: bad, Purpose: bad, Profile: bad},
			WorkOrder: &audit.WorkOrder{ID: bad, Product: bad, Quota: -1}, Details: map[string]string{bad: bad, "vkey": bad, "hsm_" + bad: bad, "changed": bad, "bay": bad}})
	}
	return r
}

func TestHostileTextsAreOnlyText(t *testing.T) {
	plain := strings.Count(shift().write(t, "en"), "<h1")
	for _, bad := range hostile {
		page := attack(bad).writeWith(t, Options{Language: "en", Checkpoint: []byte(bad)})
		for _, r := range page {
			if r != '\n' && r != '\u00a0' && !unicode.IsPrint(r) {
				t.Errorf("%.40q: the character %U is in the report", bad, r)
				break
			}
		}
		if lower := strings.ToLower(page); strings.Contains(lower, "<script") || strings.Contains(lower, "<img") || strings.Count(page, "<style") != 1 || strings.Count(page, "<h1") != plain {
			t.Errorf("%.40q: markup came through", bad)
		}
		if strings.Contains(page, strings.Repeat("\u0301", maxMarks+1)) || strings.Contains(page, strings.Repeat("w", maxText+1)) {
			t.Errorf("%.40q: the text has no end", bad)
		}
		wellFormed(t, page)
	}
}

// wellFormed reads a report as nested elements: each element that begins ends.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	page = regexp.MustCompile(`<((?:meta|br)[^>]*)>`).ReplaceAllString(strings.Replace(page, "<!DOCTYPE html>", "", 1), "<$1/>")
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Entity = xml.HTMLEntity
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("the report is not well-formed: %v", err)
		}
	}
}

func TestEntriesMayLackEveryPart(t *testing.T) {
	wellFormed(t, bare().write(t, "en"))
}

// bare is a record whose entries lack parts, or have parts without content.
func bare() *record {
	r := &record{}
	for _, kind := range append([]string{""}, kindsOf(shift())...) {
		r.entries = append(r.entries, audit.Entry{Type: kind})
		for _, part := range []audit.Entry{{Board: &audit.Board{}}, {Run: &audit.Run{}}, {Cert: &audit.Cert{}}, {WorkOrder: &audit.WorkOrder{}}, {Details: map[string]string{}},
			{Seq: math.MinInt64, Time: audit.Time{Time: time.Date(-290_000, 1, 1, 0, 0, 0, 0, time.UTC)}}, {Seq: math.MaxInt64, Time: audit.Time{Time: time.Date(290_000, 1, 1, 0, 0, 0, 0, time.UTC)}}} {
			part.Type = kind
			r.entries = append(r.entries, part)
		}
	}
	return r
}

func kindsOf(r *record) (kinds []string) {
	seen := map[string]bool{}
	for _, e := range r.entries {
		if !seen[e.Type] {
			seen[e.Type] = true
			kinds = append(kinds, e.Type)
		}
	}
	return kinds
}

func TestALongLogMakesAShortReport(t *testing.T) {
	r := newRecord()
	for n := range 5000 {
		r.note("hsm.away", audit.Failure, "", map[string]string{"n": fmt.Sprint(n)})
		r.note(fmt.Sprint("made.up.", n), audit.Success, fmt.Sprint("operator ", n), nil)
		r.note("operator.login.ok", audit.Success, fmt.Sprint("operator ", n), nil)
		r.now = r.now.Add(97 * time.Minute)
		r.add("run.fault", audit.Failure, audit.Entry{Run: &audit.Run{ID: fmt.Sprint(n)}, Reason: fmt.Sprint("reason ", n)})
	}
	page := r.write(t, "en")
	if len(page) > 1<<20 {
		t.Errorf("the report has %d octets", len(page))
	}
	if got := text(page, "incidents"); !strings.Contains(got, "Entries between these: 4,900; views/events.csv has them") || !strings.Contains(got, "n: 0 ") || !strings.Contains(got, "n: 4999 ") {
		t.Errorf("%.300q", got)
	}
	if bars := strings.Count(page, `<rect class="fault" x=`); bars == 0 || bars > maxSpans {
		t.Errorf("%d columns", bars)
	}
}

func TestEqualRecordsMakeEqualReports(t *testing.T) {
	if shift().write(t, "en") != shift().write(t, "en") {
		t.Error("two reports of one record differ")
	}
}

func TestWidthsJoin(t *testing.T) {
	for i := 1; i < len(widths); i++ {
		if widths[i]%widths[i-1] != 0 && widths[i] != widths[i-1]*2 {
			t.Errorf("%v is no multiple of %v", widths[i], widths[i-1])
		}
	}
}

func FuzzNoEntryMakesAPanic(f *testing.F) {
	for _, bad := range hostile {
		f.Add(bad, bad, bad, int64(0))
	}
	f.Fuzz(func(t *testing.T, kind, word, more string, when int64) {
		r := &record{entries: []audit.Entry{{Type: kind, Reason: word, Time: audit.Time{Time: time.Unix(when, 0)}, Run: &audit.Run{ID: word, Outcome: more}, Board: &audit.Board{ID: more},
			Cert: &audit.Cert{Serial: word, Status: more}, WorkOrder: &audit.WorkOrder{ID: more, Quota: when}, Details: map[string]string{word: more}}}}
		page := r.write(t, "en")
		if strings.ContainsFunc(page, func(c rune) bool { return c != '\n' && c != '\u00a0' && !unicode.IsPrint(c) }) {
			t.Errorf("a character that nobody sees is in the report")
		}
	})
}
