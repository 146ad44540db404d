package hub

import (
	"context"
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
	NewPages(p.Store, Audience{}, slog.New(slog.DiscardHandler)).Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost:8080"+path, nil))
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
		if strings.Contains(body, "<script") || !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'") {
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

// Each role has what the one before has, and a page says whom it is for.
func TestTheRolesOfThePage(t *testing.T) {
	p := newPlant(t, "bench-1", "bench-2")
	p.opensOrder("WO-1", 100, 10)
	board := stationlog.NewBoard()
	for _, s := range p.stations {
		s.Run(board, "")
		p.tellAll(s)
	}
	audience, tokens := Audience{Names: []string{"hub.example"}}, map[Role]string{"nobody": "x"}
	for _, role := range []Role{Viewer, Auditor, Lead} {
		token, sum := NewToken()
		audience.People, tokens[role] = append(audience.People, Person{"p-" + string(role), role, sum}), token
	}
	handler := NewPages(p.Store, audience, slog.New(slog.DiscardHandler)).Handler()
	ask := func(role Role, method, path, form string, header map[string]string) (int, string) {
		r := httptest.NewRequest(method, "https://hub.example"+path, strings.NewReader(form))
		if role != "" {
			r.SetBasicAuth("p-"+string(role), tokens[role])
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for key, value := range header {
			r.Header.Set(key, value)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	closes := "about=1&reason=the+clone+is+scrapped"
	for _, test := range []struct {
		role               Role
		method, path, form string
		header             map[string]string
		code               int
	}{
		{"", "GET", "/", "", nil, 401},
		{"nobody", "GET", "/", "", nil, 401},
		{Viewer, "GET", "/", "", nil, 200},
		{Viewer, "GET", "/search?q=" + board.ID, "", nil, 200},
		{Viewer, "GET", "/affected", "", nil, 403},
		{Auditor, "GET", "/affected?form=csv&firmware=" + stationlog.Firmware, "", nil, 200},
		{Auditor, "POST", "/findings", closes, nil, 403},
		{Lead, "GET", "/affected", "", nil, 200},
		{Lead, "POST", "/findings", closes, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{Lead, "POST", "/findings", closes, map[string]string{"Origin": "https://evil.example"}, 403},
		{Lead, "POST", "/findings", "about=1&reason=+", nil, 422},
		{Lead, "POST", "/findings", "about=one&reason=why", nil, 422},
		{Lead, "POST", "/findings", "about=99&reason=why", nil, 422},
		{Lead, "POST", "/findings", closes, map[string]string{"Origin": "https://hub.example"}, 303},
		{Lead, "POST", "/orders", "about=WO-9&reason=why", nil, 422},
		{Lead, "POST", "/orders", "about=WO-1&reason=delivered", nil, 303},
		{Lead, "POST", "/search", "", nil, 405},
	} {
		if code, body := ask(test.role, test.method, test.path, test.form, test.header); code != test.code {
			t.Errorf("%s %s %s %v: %d, want %d: %s", test.role, test.method, test.path, test.header, code, test.code, body)
		}
	}
	p.is(`SELECT finding || ' ' || operator || ' ' || reason FROM finding_closed`, "1 p-lead the clone is scrapped")
	p.is(`SELECT work_order || ' ' || operator || ' ' || reason FROM work_order_closed`, "WO-1 p-lead delivered")
	for role, sees := range map[Role]bool{Viewer: false, Auditor: false, Lead: true} {
		if _, body := ask(role, "GET", "/findings", "", nil); strings.Contains(body, "Close a finding") != sees {
			t.Errorf("%s: the form is there or is missing: %s", role, body)
		}
	}
}

// A page of somebody else, whose name leads to this machine (DNS rebinding), gets nothing.
func TestAnotherNameOfThePageIsRefused(t *testing.T) {
	p := newPlant(t, "bench-1")
	handler := NewPages(p.Store, Audience{Names: []string{"hub.example"}}, slog.New(slog.DiscardHandler)).Handler()
	for host, code := range map[string]int{"127.0.0.1:8080": 200, "[::1]:8080": 200, "localhost": 200, "HUB.example": 200, "evil.example": 421, "evil.example:8080": 421, "": 421} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != code {
			t.Errorf("%q: %d, want %d", host, w.Code, code)
		}
	}
}

// Pages never take all connections of the stations.
func TestPagesThatHangLeaveConnectionsToTheStations(t *testing.T) {
	p := newPlant(t, "bench-1")
	pages := NewPages(p.Store, Audience{}, slog.New(slog.DiscardHandler))
	for range maxPages {
		pages.busy <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	pages.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/", nil).WithContext(ctx))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}
