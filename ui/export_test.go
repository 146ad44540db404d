package ui

import (
	"errors"
	"io/fs"
	"testing"
	"time"
)

func TestTheHistoryIsExportedAsItIsFiltered(t *testing.T) {
	d := drive(t, 2, 120, 40, "en")
	d.station.rows = []Row{{BoardID: boardOf(1).String()}, {BoardID: boardOf(2).String()}}
	d.key("h")
	d.key("f")
	d.key("/")
	d.key("WO-7")
	d.key("enter")
	d.key("go")
	d.shows("2 Runs are in /copies/runs.csv")
	d.key(":")
	d.enters("json lines")
	d.key("go")
	d.asked(`export "WO-7" pass json false by op17; export "WO-7" pass json true by op17`)
	if d.screen != screenHistory {
		t.Error("the export from the palette left the history")
	}
}

func TestAnExportThatFailsSaysWhy(t *testing.T) {
	for _, language := range []string{"en", "de", "es"} {
		d := drive(t, 2, 120, 40, language)
		d.station.refusal = &fs.PathError{Op: "open", Path: "/media/stick", Err: errors.New("no space left on device")}
		d.key("h")
		d.later(time.Second)
		d.key("go")
		d.shows("/media/stick: no space left on device")
		d.shows(d.Model.t("export.failed", "")[:8])
	}
}

// A screen without files says so, and the other keys of the history work.
func TestAScreenWithoutFilesExportsNothing(t *testing.T) {
	s := newFakeStation()
	o := options(t, s, 2, "en")
	o.Exporter = nil
	d := open(t, s, o, 120, 40)
	d.screen, d.checks.done = screenDashboard, true
	d.key("h")
	d.key("go")
	d.shows("this screen writes no files")
}

// The audit log says who took Runs out of the station.
func TestAnExportNeedsAnOperator(t *testing.T) {
	d := drive(t, 2, 120, 40, "en")
	d.operator = Operator{}
	d.key("h")
	d.key("go")
	d.shows("sign in first")
	d.asked("")
}
