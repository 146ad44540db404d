package hub

import (
	"bytes"
	"context"
	"crypto/tls"
	"embed"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"math"
	"net"
	"net/http"
	"time"

	"hallmark/station/reason"
	"hallmark/station/web"
)

//go:embed pages/*.html pages/style.css
var pageFiles embed.FS

// Pages are the web page of a hub: drawn by the server, without script.
type Pages struct {
	store    *Store
	audience Audience
	log      *slog.Logger
	page     *template.Template
	style    template.CSS
	busy     chan struct{}
}

// maxPages is how many pages are drawn at the same time. The other connections of the database are for the stations.
const maxPages = 4

// NewPages makes the pages of a Store.
func NewPages(store *Store, audience Audience, log *slog.Logger) *Pages {
	style, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		panic(err) // cannot happen: the file is embedded
	}
	page := template.Must(template.New("page.html").Funcs(template.FuncMap{"first": func(i int) bool { return i == 0 }, "can": func(p Person, role Role) bool { return p.Role.atLeast(role) }}).ParseFS(pageFiles, "pages/*.html"))
	return &Pages{store, audience, log, page, template.CSS(style), make(chan struct{}, maxPages)}
}

// pageTimeout bounds one page.
const pageTimeout = 10 * time.Second

// Serve shows the pages until ctx ends, over TLS if there is a configuration for it.
func (p *Pages) Serve(ctx context.Context, listener net.Listener, config *tls.Config) error {
	server := &http.Server{Handler: p.Handler(), TLSConfig: config, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
		IdleTimeout: idleTimeout, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelInfo)}
	return web.Serve(ctx, server, web.Bound(listener, 128), endTimeout)
}

// Handler gives all pages.
func (p *Pages) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", p.of(Viewer, p.show("Plant", []part{{"Stations", stationsQuery}, {"Open findings", findingsQuery}, {"Work orders", ordersQuery}, {"Rejects and faults in 24 hours, by reason", rejectsQuery}, {"Steps, the slowest first", stepsQuery}}, nil)))
	mux.Handle("GET /orders", p.of(Viewer, p.show("Work orders", []part{{"Work orders", ordersQuery}}, closesOrder)))
	mux.Handle("GET /findings", p.of(Viewer, p.show("Findings", []part{{"Open findings", findingsQuery}}, closesFinding)))
	mux.Handle("GET /search", p.of(Viewer, p.search))
	mux.Handle("GET /affected", p.of(Auditor, p.affected))
	mux.Handle("POST /findings", p.of(Lead, p.act("/findings", p.closeFinding)))
	mux.Handle("POST /orders", p.of(Lead, p.act("/orders", p.store.CloseOrder)))
	return p.audience.admit(mux)
}

// of lets a person with a role pass, and a few at once.
func (p *Pages) of(role Role, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if person := personOf(r.Context()); !person.Role.atLeast(role) {
			p.draw(w, r, http.StatusForbidden, view{Title: "Not for this role", Text: "Your role is " + string(person.Role) + ". This page is for the role " + string(role) + "."})
			return
		}
		timeout := pageTimeout
		if r.URL.Query().Get("form") == "csv" {
			timeout = requestTimeout // a long list on a slow line
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		if !acquire(ctx, p.busy) {
			p.fault(w, r, errBusyPages)
			return
		}
		defer func() { <-p.busy }()
		next(w, r.WithContext(ctx))
	})
}

var errBusyPages = errors.New("too many pages at once")

// A part is one table of a page.
type part struct{ title, query string }

// form is an act of a lead: where it goes to, and what it names.
type form struct{ Action, Title, Label string }

var (
	closesFinding = &form{"/findings", "Close a finding", "Number of the finding"}
	closesOrder   = &form{"/orders", "Close a work order", "Name of the order"}
)

// view is what the template draws.
type view struct {
	Title, Text, Question, Firmware, Since, Until string
	Style                                         template.CSS
	At                                            string
	Person                                        Person
	Act                                           *form // what a lead may do here; nil: nothing
	Tables                                        []Table
}

func (p *Pages) show(title string, parts []part, act *form) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := view{Title: title, Act: act}
		for _, part := range parts {
			t, err := p.store.table(r.Context(), part.query)
			if err != nil {
				p.fault(w, r, err)
				return
			}
			t.Title = part.title
			v.Tables = append(v.Tables, t)
		}
		p.draw(w, r, http.StatusOK, v)
	}
}

func (p *Pages) fault(w http.ResponseWriter, r *http.Request, err error) {
	p.log.Error("drawing a page", "error", err)
	p.draw(w, r, http.StatusServiceUnavailable, view{Title: "The hub cannot answer", Text: "The database does not answer. The stations go on. The log of the hub says more."})
}

func (p *Pages) draw(w http.ResponseWriter, r *http.Request, status int, v view) {
	v.Person = personOf(r.Context())
	v.Style, v.At = p.style, p.store.now().UTC().Format("2006-01-02 15:04:05 UTC")
	var out bytes.Buffer
	if err := p.page.ExecuteTemplate(&out, "page.html", v); err != nil {
		p.log.Error("drawing a page", "error", err)
		http.Error(w, "the page cannot be drawn", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	protect(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the client sees an answer that is cut off
}

// protect keeps an answer out of caches, frames and other pages.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin") // "no-referrer" would take the origin from forms
	h.Set("X-Content-Type-Options", "nosniff")
}

// maxQuestion bounds a search, in octets.
const maxQuestion = 100

// search shows a board by its BoardID or by the serial number of a certificate.
func (p *Pages) search(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	question := r.URL.Query().Get("q")
	v := view{Title: "Search", Question: reason.Printable(question[:min(len(question), maxQuestion)])}
	id, found, err := p.store.boardOf(ctx, question)
	switch {
	case err != nil:
		p.fault(w, r, err)
		return
	case question == "":
		v.Text = "Type or scan a BoardID or the serial number of a certificate."
	case !found:
		v.Text = "No station has told of such a board or certificate."
	default:
		v.Title, v.Text = "Board", id.String()
		for _, part := range []part{{"Certificates", certificatesQuery}, {"Runs", runsQuery}} {
			t, err := p.store.table(ctx, part.query, id)
			if err != nil {
				p.fault(w, r, err)
				return
			}
			t.Title = part.title
			v.Tables = append(v.Tables, t)
		}
	}
	p.draw(w, r, http.StatusOK, v)
}

// maxAffected bounds a list on the page. A file has all.
const maxAffected = 500

var errQuestion = errors.New("want the SHA-256 of a firmware image, and days such as 2026-12-24")

// affected lists the boards that ran a firmware image, on a page or as CSV.
func (p *Pages) affected(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	v := view{Title: "Affected boards", Firmware: reason.Printable(q.Get("firmware")), Since: reason.Printable(q.Get("since")), Until: reason.Printable(q.Get("until"))}
	sum, err := hex.DecodeString(q.Get("firmware"))
	since, bad := dayOr(q.Get("since"), time.Unix(0, 0))
	until, worse := dayOr(q.Get("until"), p.store.now().AddDate(1, 0, 0))
	if err != nil || len(sum) != 32 || bad != nil || worse != nil {
		if v.Firmware != "" {
			v.Text = reason.OneLine(errQuestion)
		}
		p.draw(w, r, http.StatusOK, v)
		return
	}
	until = until.AddDate(0, 0, 1) // the day counts
	if q.Get("form") == "csv" {
		p.export(w, r, sum, since, until)
		return
	}
	t, err := p.store.table(r.Context(), affectedQuery, sum, since, until, maxAffected+1)
	if err != nil {
		p.fault(w, r, err)
		return
	}
	if t.Title = "Boards that ran this image"; len(t.Rows) > maxAffected {
		t.Title, t.Rows = fmt.Sprintf("The newest %d boards that ran this image; the export has all", maxAffected), t.Rows[:maxAffected]
	}
	v.Tables = []Table{t}
	p.draw(w, r, http.StatusOK, v)
}

func dayOr(text string, other time.Time) (time.Time, error) {
	if text == "" {
		return other, nil
	}
	return time.Parse(time.DateOnly, text)
}

// export writes boards as CSV, row by row, so that a long list takes no memory.
func (p *Pages) export(w http.ResponseWriter, r *http.Request, args ...any) {
	out, begun := csv.NewWriter(w), false
	err := p.store.each(r.Context(), affectedQuery, func(row []string) error {
		if !begun {
			begun = true
			protect(w.Header())
			w.Header().Set("Content-Type", "text/csv; charset=utf-8")
			w.Header().Set("Content-Disposition", `attachment; filename="affected.csv"`)
		}
		return out.Write(row)
	}, append(args, math.MaxInt32)...)
	if err != nil && !begun {
		p.fault(w, r, err)
		return
	}
	if out.Flush(); err != nil {
		p.log.Error("writing a list", "error", err)
		panic(http.ErrAbortHandler) // so the client sees that the list is cut off
	}
}
