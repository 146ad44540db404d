package hub

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures/postgres"
	"hallmark/fixtures/stationlog"
	"hallmark/station/reason"
)

func TestHubYAML(t *testing.T) {
	key := stationlog.New("bench-1").Key
	good := fmt.Sprintf(`database: dbname=hub
certificate: tls.pem
key: tls.key
ca: ca.pem
order_key: order.pem
mark: hub.mark
page: 127.0.0.1:8080
stations:
  - {name: bench-1, log: "%s", tls_key_sha256: %s}
`, key, strings.Repeat("ab", 32))
	file := filepath.Join(t.TempDir(), "hub.yaml")
	load := func(text string) (*Config, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return LoadConfig(file)
	}
	c, err := load(good)
	if err != nil || c.Listen != "127.0.0.1:8443" || c.path(c.Mark) != filepath.Join(filepath.Dir(file), "hub.mark") || len(c.clients()) != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, test := range []struct{ name, old, new, says string }{
		{"an unknown key", "mark:", "marc:", `did you mean "mark"`},
		{"no database", "database: dbname=hub\n", "", "database: want a value"},
		{"a password", "page: 127.0.0.1:8080", "password: hunter2", "does not belong in a configuration"},
		{"a page for strangers", "127.0.0.1:8080", "0.0.0.0:8080", "people who sign in"},
		{"a role that is none", "stations:", "people:\n  - {name: lena, role: boss, token_sha256: " + strings.Repeat("ab", 32) + "}\nstations:", "viewer, auditor or lead"},
		{"a token in the clear", "stations:", "people:\n  - {name: lena, role: lead, token_sha256: 1234}\nstations:", "`hub person` prints"},
		{"a person twice", "stations:", "people:\n" + strings.Repeat("  - {name: lena, role: lead, token_sha256: "+strings.Repeat("ab", 32)+"}\n", 2) + "stations:", "no other person"},
		{"no stations", good[strings.Index(good, "stations:"):], "stations: []\n", "stations: want 1"},
		{"a log that is none", key, "bench-1", "pki/audit.vkey"},
		{"a digest that is none", strings.Repeat("ab", 32), "abab", "64 hexadecimal digits"},
		{"a name with a slash", "name: bench-1", "name: ../x", "want a name"},
	} {
		_, err := load(strings.Replace(good, test.old, test.new, 1))
		if reason.ExitOf(err) != reason.ExitUsage || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error has the password", test.name)
		}
	}
}

func TestADatabaseOfAnotherVersionIsRefused(t *testing.T) {
	p := newPlant(t, "bench-1")
	if done, err := Migrate(t.Context(), p.server.Database("owner"), "hub_serve"); done != 0 || err != nil {
		t.Errorf("a second migration: %d steps, %v", done, err)
	}
	p.server.Query(`UPDATE schema_step SET sha256 = '\x00'`)
	if err := checkSchema(t.Context(), p.pool); err == nil || !strings.Contains(err.Error(), "step 1 is another one") {
		t.Errorf("another step: %v", err)
	}
	p.server.Query(`DELETE FROM schema_step`)
	if err := checkSchema(t.Context(), p.pool); err == nil || !strings.Contains(err.Error(), "it has schema 0, want 2") {
		t.Errorf("an older one: %v", err)
	}
	p.server.Query(`INSERT INTO schema_step (number, sha256) VALUES (1, '\x00'), (2, '\x00')`)
	if _, err := Migrate(t.Context(), p.server.Database("owner"), "hub_serve; DROP"); reason.ExitOf(err) != reason.ExitUsage {
		t.Errorf("a role that is no name: %v", err)
	}
}

// A database of schema 1 keeps what it has: an order that was closed stays closed, and counts as signed when a checkpoint comes.
func TestADatabaseOfTheFirstSchemaIsBroughtUp(t *testing.T) {
	p := newPlant(t, "bench-1")
	all := must(allSteps())(t)
	old := postgres.Database{Server: p.server.Server, Name: p.server.Name + "_first"}
	old.SQL("postgres", "CREATE DATABASE "+old.Name+" OWNER owner TEMPLATE template0")
	old.SQL(old.Name, all[0].text, stepTable, fmt.Sprintf(`INSERT INTO schema_step (number, sha256) VALUES (1, '\x%x')`, all[0].sha256),
		`INSERT INTO station (name, log_key) VALUES ('bench-1', 'k')`, `INSERT INTO station_state (station, next, signed) VALUES (1, 20, 20)`,
		`INSERT INTO work_order (id, product, lot, quota, profiles, images, until, chunk, hours, operator) VALUES ('WO-1', 'linaro', '', 20, '{}', '{}', now(), 5, 5, 'lead')`,
		`INSERT INTO lease (number, work_order, station, revision, share, until, file, signature) VALUES (1, 'WO-1', 1, 1, 20, now(), 'x', 'x')`,
		`INSERT INTO station_order (station, work_order, counted, share, revision, closed) VALUES (1, 'WO-1', 7, 20, 1, true)`)
	if done, err := Migrate(t.Context(), old.Database("owner"), "hub_serve"); done != len(all)-1 || err != nil {
		t.Fatalf("%d steps, %v", done, err)
	}
	if got := old.Query(`SELECT leased, share FROM order_share`); got != "20|7" {
		t.Errorf("leased and share are %s", got)
	}
}

func TestAConnectionStringWithAPasswordIsRefused(t *testing.T) {
	for _, text := range []string{"dbname=hub password=hunter2", "password = 'hunter2'", "postgres://hub:hunter2@db/hub", "postgresql://db/hub?user=hub&password=hunter2"} {
		if _, err := connect(t.Context(), text); reason.ExitOf(err) != reason.ExitUsage || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"host=/tmp dbname=hub passfile=/etc/pass", "postgres://hub@db/hub?sslmode=verify-full"} {
		pool, err := connect(t.Context(), text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		pool.Close()
	}
}
