package html

import (
	"cmp"
	"strings"
	"time"

	"hallmark/station/audit"
	"hallmark/station/barcode"
)

// page is what the template shows.
type page struct {
	Language, Title, Station string
	Size, Seen               int64
	First, Last              moment
	Checks                   []check
	Figures                  []figure
	Intents                  []row
	Statuses                 []row
	Denied                   []row
	Ended, Reasons, Steps    []row
	Plots                    []plot
	Columns                  []columnRow
	Span                     string
	Operators                []*operator
	Orders                   []*order
	OrdersLeftOut            int
	Genesis                  *genesis
	Lists                    map[string]*listView
	Stopped                  []string
	Types                    []row
	Note                     string
	Signed                   bool
	QR                       barcode.Symbol
	Checkpoints              int
}

// A moment is a time for people and for programs.
type moment struct{ Text, Machine string }

func momentOf(t audit.Time) moment {
	return moment{t.UTC().Format("2006-01-02 15:04:05"), t.UTC().Format(time.RFC3339)}
}

// A check is one sum that the report makes.
type check struct {
	Holds bool
	Text  string
}

// A figure is a number at the beginning of the report.
type figure struct{ Value, Name, Note string }

// A row is one line of a table of numbers.
type row struct {
	Cells []string
	Total bool
}

type columnRow struct {
	Start moment
	column
}

type genesis struct {
	When                            moment
	Seq                             int64
	Actor                           string
	HSM, Keys, Certificates, Others []fact
	Key                             string
	Software                        bool
}

type listView struct {
	Rows    []eventRow
	Between int
	Gap     int // index of the row before which entries are left out
}

type eventRow struct {
	Seq            int64
	When           moment
	Kind           string
	Outcome, Actor string
	Bad            bool
	Facts          []fact
}

func (r *Report) page(head audit.Head) (view *page, err error) {
	t := r.texts
	view = &page{Language: t.language, Station: cmp.Or(r.station, "?"), Size: head.Size, Seen: r.seen, First: momentOf(r.first), Last: momentOf(r.last),
		Operators: r.operators.sorted(), Checkpoints: r.checkpoints, Lists: map[string]*listView{}}
	view.Title = t.text("title", view.Station)
	view.Note, view.Signed = r.note(head)
	if view.QR, err = barcode.QR(string(audit.Alone([]byte(view.Note)))); err != nil {
		return nil, err
	}
	for name, l := range r.events {
		view.Lists[string(name)] = r.listView(l)
	}
	r.orderTable(view)
	r.certificateTables(view)
	r.runTables(view)
	r.plots(view)
	r.summary(view, head)
	view.Stopped, view.Genesis, view.Types = r.stopped(), r.genesis(), r.typeTable()
	return view, nil
}

func (r *Report) listView(l *list) *listView {
	v := &listView{Between: l.between(), Gap: len(l.head)}
	for _, events := range [][]event{l.head, l.tail} {
		for i := range events {
			e := &events[i]
			v.Rows = append(v.Rows, eventRow{Seq: e.Seq, When: momentOf(e.Time), Kind: e.kind, Outcome: r.texts.word("outcome", e.outcome),
				Actor: e.actor, Bad: e.outcome != string(audit.Success), Facts: e.parts(r.texts)})
		}
	}
	return v
}

func (r *Report) genesis() *genesis {
	c := &r.ceremony
	if !c.there {
		return nil
	}
	g := &genesis{When: momentOf(c.event.Time), Seq: c.event.Seq, Actor: c.event.actor, HSM: c.facts("hsm_", ""), Keys: c.facts("key_", ""),
		Certificates: c.facts("certificate_", "_sha256"), Key: shown(c.details["vkey"]), Software: c.details["hsm_software"] == "true"}
	for i, f := range g.HSM {
		g.HSM[i] = fact{r.texts.word("token", f.Name), r.texts.word("answer", f.Value)}
	}
	g.Others = c.facts("profile", "")
	for i, f := range g.Others {
		g.Others[i].Name = "profile" + strings.TrimPrefix(f.Name, "\u2013")
	}
	return g
}
