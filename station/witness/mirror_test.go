package witness

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// noEntries is a log whose mirror has all entries.
type noEntries struct{}

func (noEntries) Hashes(context.Context) tlog.HashReader                 { return nil }
func (noEntries) Bodies(context.Context, int64, int64) ([][]byte, error) { return nil, nil }

// An answer that has the form of an answer and cannot be one is named in whole words.
func TestAnAnswerThatNoMirrorGivesIsNamed(t *testing.T) {
	for name, answer := range map[string]struct{ kind, body string }{
		"another content type":          {"text/plain", "7\n7\n\n"},
		"more entries than the log has": {TypeMirrorInfo, "9\n9\n\n"},
		"no sizes":                      {TypeMirrorInfo, "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", answer.kind)
				w.WriteHeader(http.StatusAccepted)
				_, _ = w.Write([]byte(answer.body))
			}))
			defer server.Close()
			key, err := GenerateKey("hq.example/w1", strings.NewReader(strings.Repeat("x", 99)))
			if err != nil {
				t.Fatal(err)
			}
			client, err := NewClient(Config{Name: "hq", URL: server.URL, Key: key.VerifierKey(), MirrorKey: key.VerifierKey()})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.AddEntries(t.Context(), noEntries{}, []byte("hallmark/demo\n7\n"), 7, 7)
			if !errors.Is(err, ErrLies) || strings.Contains(err.Error(), "%!") {
				t.Errorf("got %v", err)
			}
		})
	}
}
