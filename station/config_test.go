package station_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/station"
)

func TestMistakesOfTheCallerAreErrors(t *testing.T) {
	w := newFakes(t)
	s := w.station()
	ended := w.enrol(t.Context(), s)
	fresh, _ := s.NewRun("bay 1", "operator")
	for name, err := range map[string]error{
		"a Run that has ended": s.Enrol(t.Context(), w, ended),
		"a Run without id":     s.Enrol(t.Context(), w, &station.Run{}),
		"no Run":               s.Enrol(t.Context(), w, nil),
		"no board":             s.Enrol(t.Context(), nil, fresh),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestNewRefusesAConfigurationThatCannotWork(t *testing.T) {
	w := newFakes(t)
	good := station.Config{
		Issuer: issuer{w}, Registry: registry{w}, Known: registry{w}, Verifier: verifier{w},
		Keys:   []station.Key{{Purpose: devices.PurposeTLS}},
		Anchor: []byte("anchor"), Now: time.Now, Random: rand.Reader,
	}
	for _, test := range []struct {
		name   string
		change func(*station.Config)
		want   string
	}{
		{"no issuer", func(c *station.Config) { c.Issuer = nil }, "Issuer is not set"},
		{"no purpose", func(c *station.Config) { c.Keys = nil }, "want tls first"},
		{"a purpose before the one that attests it", func(c *station.Config) {
			c.Keys = []station.Key{{Purpose: devices.PurposeCOSE}, {Purpose: devices.PurposeTLS}}
		}, "want tls first"},
		{"a purpose twice", func(c *station.Config) { c.Keys = append(c.Keys[:1:1], c.Keys[0]) }, "there twice"},
		{"a purpose that nobody knows", func(c *station.Config) { c.Keys = append(c.Keys[:1:1], station.Key{Purpose: "email"}) }, `"email" is unknown`},
		{"no trust anchor", func(c *station.Config) { c.Anchor = nil }, "Anchor is not set"},
		{"a time-out for no step", func(c *station.Config) { c.Timeouts.Named = map[string]time.Duration{"readback": 1} }, `"readback" that does not exist`},
		{"a negative time-out", func(c *station.Config) { c.Timeouts.Named = map[string]time.Duration{"sign": -1} }, "not positive"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := good
			test.change(&config)
			if _, err := station.New(config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want …%s…", err, test.want)
			}
		})
	}
}
