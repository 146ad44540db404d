package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"
)

// A stranger who opens as many connections as there may be keeps no station out, and does not end the connection of a
// station. Loopback has many addresses, so the stranger and the station have different ones.
func TestAStrangerWithManyConnectionsKeepsNobodyOut(t *testing.T) {
	h := newHeadquarters(t, newStation(t).vkey)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- NewServer(h.Store, slog.New(slog.DiscardHandler)).Serve(ctx, listener, nil) }()
	defer func() {
		stop()
		must(t, <-ended)
	}()
	at := listener.Addr().String()
	station := &http.Client{Transport: &http.Transport{DialContext: from(t, "127.0.0.2").DialContext}, Timeout: headerTimeout / 2}
	defer station.CloseIdleConnections()
	var strangers []net.Conn
	for _, kept := range []bool{false, true} {
		for range maxConnections {
			conn, err := from(t, "127.0.0.3").Dial("tcp", at)
			must(t, err)
			defer conn.Close()
			_, err = fmt.Fprint(conn, "GET /status HTTP/1.1\r\n") // and no end of the header
			must(t, err)
			strangers = append(strangers, conn)
		}
		if reused := asks(t, station, "http://"+at+"/status"); reused != kept {
			t.Errorf("the connection of the station is still there: %v, want %v", reused, kept)
		}
	}
	must(t, strangers[0].SetReadDeadline(time.Now().Add(headerTimeout/2)))
	if n, err := strangers[0].Read(make([]byte, 1)); err == nil || n > 0 {
		t.Errorf("the first connection of the stranger: %d octets, %v", n, err)
	}
}

func from(t *testing.T, address string) *net.Dialer {
	t.Helper()
	local, err := net.ResolveTCPAddr("tcp", address+":0")
	must(t, err)
	return &net.Dialer{LocalAddr: local}
}

// asks reports whether the answer came over a connection that was there already.
func asks(t *testing.T, client *http.Client, url string) (reused bool) {
	t.Helper()
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, url, nil)
	must(t, err)
	answer, err := client.Do(request)
	must(t, err)
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v", answer.StatusCode, err)
	}
	return reused
}
