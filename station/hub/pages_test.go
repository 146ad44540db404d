package hub

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"hallmark/fixtures/stationlog"
)

func (p *plant) get(path string) (int, string, http.Header) {
	p.t.Helper()
	w := httptest.NewRecorder()
	NewPages(p.Store, slog.New(slog.DiscardHandler)).Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String(), w.Header()
}

func TestThePagesShowThePlant(t *testing.T) {
	p := newPlant(t, "bench-1", "bench-2")
	p.opensOrder("WO-<1>", 100, 10)
	board := stationlog.NewBoard()
	board.Serial = strings.Repeat("2a", 16)
	for _, s := range p.stations {
		p.tellAll(s)
		s.Run(board, "WO-<1>")
		s.Run(stationlog.NewBoard(), "no such order")
		p.tellAll(s)
	}
	for path, wants := range map[string][]string{
		"/":                     {"bench-1", "bench-2", "live", "board-twice", "WO-&lt;1&gt;", "quota", "handshake"},
		"/orders":               {"bench-1 1/10, bench-2 1/10"},
		"/findings":             {board.ID, "serial-twice"},
		"/search":               {"Type or scan"},
		"/search?q=" + board.ID: {board.ID, "active", "Runs", "bench-2", "pass"},
		"/search?q=" + strings.ToUpper(board.Serial):                 {board.ID},
		"/search?q=2a:2a" + strings.Repeat(":2a", 14):                {board.ID},
		"/search?q=" + url.QueryEscape("<script>"):                   {"No station has told"},
		"/search?q=" + strings.Repeat("x", 5000):                     {"No station has told"},
		"/affected":                                                  {"SHA-256 of the firmware image"},
		"/affected?firmware=12":                                      {"want the SHA-256"},
		"/affected?firmware=" + stationlog.Firmware:                  {board.ID, "Boards that ran this image"},
		"/affected?form=csv&firmware=" + stationlog.Firmware:         {"board,station,newest Run,Runs\n", board.ID},
		"/affected?since=2099-01-01&firmware=" + stationlog.Firmware: {"None."},
	} {
		code, body, header := p.get(path)
		if code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s has no %q:\n%s", path, want, body[max(0, strings.Index(body, "<main")):])
			}
		}
		if strings.Contains(body, "<script") || !strings.Contains(path, "csv") && !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: a script, or no policy against one", path)
		}
	}
	if code, _, _ := p.get("/nothing"); code != http.StatusNotFound {
		t.Errorf("a page that is not there: %d", code)
	}
}

func TestAPageWithoutADatabaseSaysSo(t *testing.T) {
	p := newPlant(t, "bench-1")
	p.server.Kill()
	defer p.server.Open()
	for _, path := range []string{"/", "/search?q=" + stationlog.NewBoard().ID} {
		if code, body, _ := p.get(path); code != http.StatusServiceUnavailable || !strings.Contains(body, "The stations go on") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
