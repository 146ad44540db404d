package hub

import (
	"bytes"
	"context"
	"embed"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"hallmark/station/reason"
	"hallmark/station/web"
)

//go:embed pages/*.html pages/style.css
var pageFiles embed.FS

// Pages are the web page of a hub: drawn by the server, without script. They only read.
type Pages struct {
	store *Store
	log   *slog.Logger
	page  *template.Template
	style template.CSS
}

// NewPages makes the pages of a Store.
func NewPages(store *Store, log *slog.Logger) *Pages {
	style, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		panic(err) // cannot happen: the file is embedded
	}
	return &Pages{store, log, template.Must(template.New("page.html").Funcs(template.FuncMap{"first": func(i int) bool { return i == 0 }}).ParseFS(pageFiles, "pages/*.html")), template.CSS(style)}
}

// pageTimeout bounds one page.
const pageTimeout = 10 * time.Second

// Serve shows the pages until ctx ends.
func (p *Pages) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: p.Handler(), MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
		IdleTimeout: idleTimeout, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelInfo)}
	return web.Serve(ctx, server, web.Bound(listener, 128), endTimeout)
}

// Handler gives all pages.
func (p *Pages) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.show("Plant", []part{{"Stations", stationsQuery}, {"Open findings", findingsQuery}, {"Work orders", ordersQuery}, {"Rejects and faults in 24 hours, by reason", rejectsQuery}, {"Steps, the slowest first", stepsQuery}}))
	mux.HandleFunc("GET /orders", p.show("Work orders", []part{{"Work orders", ordersQuery}}))
	mux.HandleFunc("GET /findings", p.show("Findings", []part{{"Open findings", findingsQuery}}))
	mux.HandleFunc("GET /search", p.search)
	mux.HandleFunc("GET /affected", p.affected)
	return mux
}

// A part is one table of a page.
type part struct{ title, query string }

// view is what the template draws.
type view struct {
	Title, Text, Question, Firmware, Since, Until string
	Style                                         template.CSS
	At                                            string
	Tables                                        []Table
}

func (p *Pages) show(title string, parts []part) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
		defer cancel()
		v := view{Title: title}
		for _, part := range parts {
			t, err := p.store.table(ctx, part.query)
			if err != nil {
				p.fault(w, err)
				return
			}
			t.Title = part.title
			v.Tables = append(v.Tables, t)
		}
		p.draw(w, http.StatusOK, v)
	}
}

func (p *Pages) fault(w http.ResponseWriter, err error) {
	p.log.Error("drawing a page", "error", err)
	p.draw(w, http.StatusServiceUnavailable, view{Title: "The hub cannot answer", Text: "The database does not answer. The stations go on. The log of the hub says more."})
}

func (p *Pages) draw(w http.ResponseWriter, status int, v view) {
	v.Style, v.At = p.style, p.store.now().UTC().Format("2006-01-02 15:04:05 UTC")
	var out bytes.Buffer
	if err := p.page.ExecuteTemplate(&out, "page.html", v); err != nil {
		p.log.Error("drawing a page", "error", err)
		http.Error(w, "the page cannot be drawn", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the client sees an answer that is cut off
}

// maxQuestion bounds a search, in octets.
const maxQuestion = 100

// search shows a board by its BoardID or by the serial number of a certificate.
func (p *Pages) search(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	question := r.URL.Query().Get("q")
	v := view{Title: "Search", Question: reason.Printable(question[:min(len(question), maxQuestion)])}
	id, found, err := p.store.boardOf(ctx, question)
	switch {
	case err != nil:
		p.fault(w, err)
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
				p.fault(w, err)
				return
			}
			t.Title = part.title
			v.Tables = append(v.Tables, t)
		}
	}
	p.draw(w, http.StatusOK, v)
}

// maxAffected bounds a list on the page, and maxExported in a file.
const (
	maxAffected = 500
	maxExported = 1_000_000
)

var errQuestion = errors.New("want the SHA-256 of a firmware image, and days such as 2026-12-24")

// affected lists the boards that ran a firmware image, on a page or as CSV.
func (p *Pages) affected(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	q := r.URL.Query()
	v := view{Title: "Affected boards", Firmware: reason.Printable(q.Get("firmware")), Since: reason.Printable(q.Get("since")), Until: reason.Printable(q.Get("until"))}
	sum, err := hex.DecodeString(q.Get("firmware"))
	since, bad := dayOr(q.Get("since"), time.Unix(0, 0))
	until, worse := dayOr(q.Get("until"), p.store.now().AddDate(1, 0, 0))
	if err != nil || len(sum) != 32 || bad != nil || worse != nil {
		if v.Firmware != "" {
			v.Text = reason.OneLine(errQuestion)
		}
		p.draw(w, http.StatusOK, v)
		return
	}
	limit := maxAffected
	if q.Get("form") == "csv" {
		limit = maxExported
	}
	t, err := p.store.table(ctx, affectedQuery, sum, since, until, limit)
	if err != nil {
		p.fault(w, err)
		return
	}
	if q.Get("form") == "csv" {
		writeCSV(w, &t)
		return
	}
	t.Title = "Boards that ran this image"
	v.Tables = []Table{t}
	p.draw(w, http.StatusOK, v)
}

func dayOr(text string, other time.Time) (time.Time, error) {
	if text == "" {
		return other, nil
	}
	return time.Parse(time.DateOnly, text)
}

func writeCSV(w http.ResponseWriter, t *Table) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="affected.csv"`)
	w.Header().Set("Cache-Control", "no-store")
	out := csv.NewWriter(io.Writer(w))
	_ = out.Write(t.Head) // the client sees an answer that is cut off
	_ = out.WriteAll(t.Rows)
}
