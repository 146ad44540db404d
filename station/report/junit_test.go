package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// parsed makes the report of a suite, and reads it again.
func parsed(t *testing.T, s Suite, runs []*station.Run) junitSuite {
	t.Helper()
	text, err := s.junit(runs)
	if err != nil {
		t.Fatal(err)
	}
	var back junitSuite
	if err := xml.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestJUnitTellsEndingsApart(t *testing.T) {
	runs := []*station.Run{aRun(station.Pass, ""), aRun(station.Reject, "read-back-differs"), aRun(station.Fault, "line"), aRun(station.Aborted, "draining")}
	runs[2].Identity = nil
	suite := Suite{Name: "s", Boards: "qemu:4", Profiles: []*issuance.Profile{fixtures.Profile(t)}, Order: "L<17>", Bays: []string{"qemu-1"}, Count: 4, Started: start, Took: time.Second}
	back := parsed(t, suite, runs)
	if back.Tests != 4 || back.Failures != 1 || back.Errors != 2 || back.Skipped != 0 || back.Time != "1.000" || back.Timestamp != "2026-03-04T05:06:07" {
		t.Errorf("sums %+v", back)
	}
	cases := back.Cases
	if len(cases) != 4 || cases[0].Failure != nil || cases[0].Error != nil || cases[0].Skipped != nil || cases[0].Time != "1.500" {
		t.Fatalf("cases %+v", cases)
	}
	for i, want := range []string{"qemu-1", "qemu-1/2", "qemu-1/3", "qemu-1/4"} {
		if cases[i].Name != want || cases[i].ClassName != "s/linaro" {
			t.Errorf("case %d is %s of %s, want %s", i, cases[i].Name, cases[i].ClassName, want)
		}
	}
	if p := cases[0].Properties; p == nil || p.Properties[0] != (junitProperty{"board_id", "01000000-0000-0000-0000-000000000000"}) || p.Properties[2] != (junitProperty{"outcome", "issued"}) {
		t.Errorf("properties of a pass: %+v", p)
	}
	if f := cases[1].Failure; f == nil || f.Type != "read-back-differs" || !strings.Contains(f.Message, "happened <&>") {
		t.Errorf("reject: %+v", cases[1])
	} else if want := "reject: read-back-differs\nwhat ? happened <&>\nnext: " + reason.Next(station.Reject, "read-back-differs"); f.Text != want {
		t.Errorf("the text inside is %q, want %q", f.Text, want)
	}
	if e := cases[2].Error; e == nil || e.Type != "line" || !strings.HasPrefix(e.Text, "fault: line\n") || cases[2].Properties != nil {
		t.Errorf("fault: %+v", cases[2])
	}
	if e := cases[3].Error; e == nil || e.Type != "draining" || cases[3].Skipped != nil {
		t.Errorf("an aborted Run looks passed: %+v", cases[3])
	}
}

func coseProfile(t *testing.T) *issuance.Profile {
	t.Helper()
	const path = "../../configs/profiles/linaro-cose.yaml"
	return fixtures.Must(configs.ParseProfileFor(devices.PurposeCOSE, path, fixtures.Must(os.ReadFile(path))(t)))(t)
}

// of makes a Run of a bay and a key.
func of(bay string, purpose devices.Purpose, ending station.Ending, word string) *station.Run {
	run := aRun(ending, word)
	run.Bay, run.Purpose = bay, purpose
	return run
}

func TestJUnitNamesAreTheSameWhateverHappens(t *testing.T) {
	const tls, cose = devices.PurposeTLS, devices.PurposeCOSE
	profiles := []*issuance.Profile{fixtures.Profile(t), coseProfile(t)}
	short := errors.New("2 of 4 boards were not begun\nstopped")
	for _, test := range []struct {
		name  string
		runs  []*station.Run
		short error
		want  string // name and kind of each test case
	}{
		{"all pass", []*station.Run{
			of("a", tls, station.Pass, ""), of("a", cose, station.Pass, ""), of("b", tls, station.Pass, ""), of("b", cose, station.Pass, ""),
			of("a", tls, station.Pass, ""), of("a", cose, station.Pass, ""), of("b", tls, station.Pass, ""), of("b", cose, station.Pass, ""),
		}, nil, "a tls ok, a cose ok, b tls ok, b cose ok, a/2 tls ok, a/2 cose ok, b/2 tls ok, b/2 cose ok"},
		{"a board without its second Run, and boards that were not begun", []*station.Run{
			of("b", tls, station.Fault, "line"), of("a", tls, station.Pass, ""), of("a", cose, station.Reject, "sealed"),
		}, short, "b tls error, a tls ok, a cose failure, b cose skipped, a/2 tls skipped, a/2 cose skipped, b/2 tls skipped, b/2 cose skipped, batch error"},
		{"no board was begun", nil, short,
			"a tls skipped, a cose skipped, b tls skipped, b cose skipped, a/2 tls skipped, a/2 cose skipped, b/2 tls skipped, b/2 cose skipped, batch error"},
		{"one bay did all", []*station.Run{
			of("a", tls, station.Reject, "x"), of("a", tls, station.Reject, "x"), of("a", tls, station.Reject, "x"), of("a", tls, station.Pass, ""), of("a", cose, station.Pass, ""),
		}, nil, "a tls failure, a/2 tls failure, a/3 tls failure, a/4 tls ok, a/4 cose ok, a cose skipped, a/2 cose skipped, a/3 cose skipped"},
	} {
		t.Run(test.name, func(t *testing.T) {
			back := parsed(t, Suite{Name: "s", Profiles: profiles, Bays: []string{"a", "b"}, Count: 4, Short: test.short}, test.runs)
			var got []string
			for _, one := range back.Cases {
				got = append(got, strings.TrimSpace(fmt.Sprint(one.Name, " ", keyOf(one.ClassName), kindOf(one))))
			}
			if all := strings.Join(got, ", "); all != test.want {
				t.Errorf("got  %s\nwant %s", all, test.want)
			}
			if back.Tests != len(back.Cases) || (test.short != nil) != (back.Errors > 0 && back.Cases[len(back.Cases)-1].Name == "batch") {
				t.Errorf("sums %+v", back)
			}
		})
	}
}

func keyOf(class string) string {
	return map[string]string{"s/linaro": "tls ", "s/linaro-cose": "cose "}[class]
}

func kindOf(one junitCase) string {
	switch {
	case one.Failure != nil:
		return "failure"
	case one.Error != nil:
		return "error"
	case one.Skipped != nil:
		return "skipped"
	}
	return "ok"
}
