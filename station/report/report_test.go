package report

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/registry"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func aRun(ending station.Ending, reason string) *station.Run {
	run := &station.Run{
		ID: uuid.MustParse("00000000-0000-4000-8000-000000000001"), Bay: "qemu-1", Purpose: devices.PurposeTLS, Ending: ending, Reason: reason,
		Operator: "anna", Order: "L17",
		Identity: &devices.Identity{ID: devices.BoardID{1}, HardwareID: "\x01\x02", BoardType: "mps2-an385", Firmware: "1.2.3"},
		Started:  start, Finished: start.Add(1500 * time.Millisecond),
		Steps: []station.StepTime{{Name: "identify", Took: 1234567 * time.Nanosecond, Retries: 2}},
		Wire:  devices.WireCount{Sent: 10, Received: 20, Retries: 2},
	}
	if ending == station.Pass {
		run.Outcome = station.Issued
		run.Certificate = &issuance.Certificate{Serial: [16]byte{0x40}, SHA256: [32]byte{0xab}}
	} else {
		run.Err = errors.New("what \x00 happened <&>")
	}
	return run
}

func TestRecordOfAPassIsThisLine(t *testing.T) {
	line, err := recordOf(aRun(station.Pass, ""), "s", "restored-keys").line()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"run":"00000000-0000-4000-8000-000000000001","board_id":"01000000-0000-0000-0000-000000000000","purpose":"tls","bay":"qemu-1","ending":"pass","reason":"",` +
		`"serial_number":"40000000000000000000000000000000","certificate_sha256":"ab00000000000000000000000000000000000000000000000000000000000000",` +
		`"steps":[{"name":"identify","ms":1.234,"retries":2}],"wire_tx":10,"wire_rx":20,"started":"2026-03-04T05:06:07Z","finished":"2026-03-04T05:06:08.5Z",` +
		`"outcome":"issued","order":"L17","operator":"anna","station":"s","hardware_id":"0102","firmware":"1.2.3","message":"",` +
		`"probe":"","target":"","flash":"","image_sha256":"","lock":"","lock_recipe_sha256":"","lock_key":"","hsm_exceptions":"restored-keys"}` + "\n"
	if string(line) != want {
		t.Errorf("got  %swant %s", line, want)
	}
}

func TestRecordSaysWhatTheProbeDid(t *testing.T) {
	run := aRun(station.Pass, "")
	run.Probe = &station.ProbeRecord{Serial: "683806234", Target: "Cortex-M4 r0p1"}
	run.Flash = &station.FlashRecord{Image: [32]byte{0xcd}}
	run.Lock = &station.LockRecord{Recipe: station.LockRecipe{Kind: "APPROTECT", SHA256: [32]byte{0xef}, Key: "SHA256:k"}, State: station.LockLocked}
	r := recordOf(run, "s", "")
	if r.Probe != "683806234" || r.Target != "Cortex-M4 r0p1" || r.Flash != "written" || !strings.HasPrefix(r.ImageSHA256, "cd00") || r.Lock != "locked" ||
		!strings.HasPrefix(r.LockRecipeSHA256, "ef00") || r.LockKey != "SHA256:k" {
		t.Errorf("got %+v", r)
	}
	run.Flash = &station.FlashRecord{Image: [32]byte{0xcd}, Held: true}
	if r := recordOf(run, "s", ""); r.Flash != "held" {
		t.Errorf("got %q", r.Flash)
	}
	run.Flash, run.Lock = &station.FlashRecord{Held: true}, &station.LockRecord{State: station.LockLocked} // nobody read the image, and somebody else locked it
	if r := recordOf(run, "s", ""); r.Flash != "locked" || r.ImageSHA256 != "" || r.Lock != "locked" || r.LockRecipeSHA256 != "" {
		t.Errorf("got %+v", r)
	}
}

func TestBoardsShowTheStateOfTheDebugPort(t *testing.T) {
	var out bytes.Buffer
	rows := []registry.BoardRow{{Type: "a"}, {Type: "b", Lock: station.LockLocked, LockKind: "APPROTECT", LockRecipe: "0123456789abcdef0123", LockKey: "SHA256:k"}}
	if err := WriteBoards(&out, rows); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "locked (APPROTECT, recipe 0123456789abcdef, key SHA256:k)") || !strings.Contains(text, "DEBUG PORT") {
		t.Errorf("got\n%s", text)
	}
}

func TestRecordWithoutBoardHasEveryKey(t *testing.T) {
	run := aRun(station.Fault, "no-board")
	run.Identity, run.Steps = nil, nil
	line, err := recordOf(run, "s", "").line()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"board_id":""`, `"hardware_id":""`, `"firmware":""`, `"outcome":""`, `"message":"what ? happened \u003c\u0026\u003e"`, `"steps":[]`, `"serial_number":""`, `"certificate_sha256":""`, `"reason":"no-board"`} {
		if !strings.Contains(string(line), want) {
			t.Errorf("%s does not say %s", line, want)
		}
	}
}

func TestTableShowsEveryRunThatDidNotPass(t *testing.T) {
	var runs []*station.Run
	for range tableLimit + 5 {
		runs = append(runs, aRun(station.Pass, ""))
	}
	runs = append(runs, aRun(station.Reject, "sealed"))
	out := bytes.NewBuffer(Table{Runs: runs, Took: 2 * time.Second, Certificates: "D/certificates", Root: "D/root", Software: true, Unwitnessed: "hq: gone"}.Text())
	for _, want := range []string{"reject        sealed", "and 5 more", "46 Runs: 45 pass, 1 reject, 0 fault, 0 aborted; 2s, 23.0 Runs/s; 45 issued\n", "pass, issued ", "certificates in D/certificates, root in D/root", SoftwareWarning, "warning: the audit log is not confirmed from outside by all: hq: gone\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

func TestEveryEndingThatIsNotPassSaysWhatToDo(t *testing.T) {
	runs := []*station.Run{aRun(station.Pass, ""), aRun(station.Reject, "clone"), aRun(station.Reject, "clone"), aRun(station.Reject, "csr-signature"),
		aRun(station.Fault, "panic"), aRun(station.Aborted, "other")}
	var out bytes.Buffer
	writeAdvice(&out, runs)
	for _, want := range []string{"clone  ", "call engineering", "csr-signature  set the board aside", "panic  ", "station doctor", "other  "} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("want %q once in:\n%s", want, &out)
		}
	}
	out.Reset()
	if writeAdvice(&out, runs[:1]); out.Len() != 0 {
		t.Errorf("advice without need: %q", &out)
	}
}

func TestProgressIsOneLineOnATerminalAndOneForEachRunElsewhere(t *testing.T) {
	var out bytes.Buffer
	screen := NewQueue("out", &out, QueueLimit, time.Minute)
	plain := NewProgress(screen, progressPlain)
	plain.Expect(2)
	plain.Start()
	plain.Event(station.Event{Kind: station.RunStarted, Bay: "qemu-1"})
	plain.End([]*station.Run{aRun(station.Pass, "")})
	plain.End([]*station.Run{aRun(station.Reject, "sealed")})
	plain.Finish()
	if err := screen.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "[2/2] qemu-1: 01000000-0000-0000-0000-000000000000 reject 1.5s (sealed: what") {
		t.Errorf("plain: %q", got)
	}
	out.Reset()
	line := NewProgress(screen, progressLine)
	line.Expect(3)
	line.Start()
	line.Event(station.Event{Kind: station.RunStarted, Bay: "qemu-1"})
	line.Event(station.Event{Kind: station.StepStarted, Bay: "qemu-1", Step: "sign"})
	line.End([]*station.Run{aRun(station.Pass, "")})
	line.Finish()
	if err := screen.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasSuffix(got, "\r\x1b[K1 of 3 Runs: 1 pass, 0 reject, 0 fault, 0 aborted | 1 on the line: qemu-1 sign\n") {
		t.Errorf("line: %q", got)
	}
	if _, err := ParseMode("loud", &out); reason.ExitOf(err) != reason.ExitUsage {
		t.Errorf("loud: %v", err)
	}
	if mode, err := ParseMode("auto", &out); mode != progressPlain || err != nil {
		t.Errorf("auto without terminal: %s, %v", mode, err)
	}
}
