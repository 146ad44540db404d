package registry

import (
	"errors"
	"strings"
	"testing"

	"hallmark/station"
	"hallmark/station/audit"
)

// A scrapped board gets nothing more, at whatever step of its Run it was scrapped, and the
// replay of the log gives the same rows.
func TestAScrappedBoardGetsNothingMore(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(b *testRegistry, run *station.Run) error // scraps the board, and gives the refusal of the next call
	}{
		{"before its next Run", func(b *testRegistry, run *station.Run) error {
			b.enrol(run)
			b.scraps(Which{BoardID: run.Identity.ID})
			return b.Admit(b.t.Context(), again(run, ""))
		}},
		{"before the intent", func(b *testRegistry, run *station.Run) error {
			b.scraps(Which{BoardID: run.Identity.ID})
			return b.intends(intent(run))
		}},
		{"while the HSM signs", func(b *testRegistry, run *station.Run) error {
			in := intent(run)
			b.must(b.intends(in))
			b.scraps(Which{BoardID: run.Identity.ID})
			der := []byte("certificate")
			b.must(b.Issued(b.t.Context(), in.Serial, der))
			run.Certificate = certificateFor(in.Serial, der)
			rows, err := b.Certificates(b.t.Context(), Filter{BoardID: run.Identity.ID})
			b.must(err)
			if len(rows) != 1 || rows[0].Status != "scrapped" {
				b.t.Errorf("got %+v", rows)
			}
			return b.Delivered(b.t.Context(), proven(run))
		}},
		{"before the certificate is active", func(b *testRegistry, run *station.Run) error {
			b.issue(run)
			b.must(b.Delivered(b.t.Context(), proven(run)))
			b.scraps(Which{BoardID: run.Identity.ID})
			return b.Activate(b.t.Context(), run)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			run := b.run()
			if err := test.do(b, run); !errors.Is(err, ErrScrapped) {
				t.Errorf("got %v", err)
			}
			b.verify()
			b.reopen()
			b.verify()
		})
	}
}

// The replay refuses an entry that the registry would not have written, even where the rows agree with it.
func TestTheReplayRefusesWhatTheRegistryRefuses(t *testing.T) {
	board := func(hardware string) *audit.Board { return &audit.Board{ID: "b", HardwareID: hardware} }
	entry := func(kind string, run string, e audit.Entry) audit.Entry {
		e.Type = kind
		if run != "" {
			e.Run = &audit.Run{ID: run, Purpose: "tls"}
		}
		return e
	}
	admitted := func(run, hardware string) audit.Entry {
		return entry("board.admitted", run, audit.Entry{Board: board(hardware)})
	}
	intended := func(run, serial, key string) audit.Entry {
		return entry("cert.issue.intent", run, audit.Entry{Board: board(""), Cert: &audit.Cert{Serial: serial, SPKISHA256: key, Purpose: "tls"}})
	}
	status := func(serial, status string) audit.Entry {
		return entry("cert."+status, "", audit.Entry{Cert: &audit.Cert{Serial: serial, Status: status}})
	}
	scrapped := entry("board.scrapped", "", audit.Entry{Board: board("")})
	order := func(kind string, counted int64, e audit.Entry) audit.Entry {
		e.Type, e.WorkOrder = kind, &audit.WorkOrder{ID: "o", Quota: 1, Counted: counted}
		return e
	}
	for _, test := range []struct {
		name    string
		entries []audit.Entry
		words   string
	}{
		{"a scrapped board is admitted", []audit.Entry{admitted("1", "h"), scrapped, admitted("2", "h")}, "which was scrapped"},
		{"a board is admitted on other hardware", []audit.Entry{admitted("1", "h"), admitted("2", "g")}, "is known on h"},
		{"a Run is admitted twice", []audit.Entry{admitted("1", "h"), admitted("1", "h")}, "a second time"},
		{"a board is scrapped twice", []audit.Entry{admitted("1", "h"), scrapped, scrapped}, "a second time"},
		{"an intent for a scrapped board", []audit.Entry{admitted("1", "h"), scrapped, intended("1", "s", "k")}, "which was scrapped"},
		{"an intent without a Run", []audit.Entry{admitted("1", "h"), intended("2", "s", "k")}, "no open Run"},
		{"an intent of a Run that has ended", []audit.Entry{admitted("1", "h"), entry("run.fault", "1", audit.Entry{}), intended("1", "s", "k")}, "no open Run"},
		{"a serial number twice", []audit.Entry{admitted("1", "h"), intended("1", "s", "k"), intended("1", "s", "k")}, "was used"},
		{"the certificate of a scrapped board is delivered", []audit.Entry{admitted("1", "h"), intended("1", "s", "k"), status("s", "issued"), scrapped, status("s", "delivered")}, "whose board was scrapped"},
		{"a work order that was never opened", []audit.Entry{order("board.admitted", 0, admitted("1", "h"))}, "never opened"},
		{"a work order counts less than it signed", []audit.Entry{order("order.opened", 0, audit.Entry{}), order("board.admitted", 0, admitted("1", "h")),
			order("cert.issue.intent", 0, intended("1", "s", "k"))}, "counts 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newReplay()
			for n, e := range test.entries {
				err := s.apply(e)
				if last := n == len(test.entries)-1; last && (!errors.Is(err, ErrDiffers) || !strings.Contains(err.Error(), test.words)) || !last && err != nil {
					t.Errorf("entry %d: %v, want %q", n, err, test.words)
				}
			}
		})
	}
}
