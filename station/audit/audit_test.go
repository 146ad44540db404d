package audit

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/fixtures/prerequisite"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const origin = "hallmark.test/line"

// testLog is a log in a database of its own.
type testLog struct {
	*Log
	t    testing.TB
	conn *sql.Conn
	key  *ecdsa.PrivateKey
	vkey string
	now  time.Time
}

func newTestLog(t testing.TB) *testLog {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(t.TempDir(), "log.db"))
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	b := &testLog{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	b.conn, err = db.Conn(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, b.conn.Close()) })
	b.exec(Schema)
	b.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	b.vkey, err = VerifierKey(origin, b.key.Public())
	must(t, err)
	b.open()
	b.commit(Entry{Actor: Itself(), Category: CategoryLog, Type: TypeGenesis, Outcome: Success, Details: map[string]string{"vkey": b.vkey}})
	return b
}

func (b *testLog) open() {
	b.t.Helper()
	log, err := Open(b.t.Context(), b.conn, Config{Station: "line-1", Now: func() time.Time { return b.now }, Random: rand.Reader})
	must(b.t, err)
	b.t.Cleanup(func() { must(b.t, log.Close()) })
	b.Log = log
}

func (b *testLog) exec(query string) {
	b.t.Helper()
	_, err := b.conn.ExecContext(b.t.Context(), query)
	must(b.t, err)
}

func (b *testLog) commit(entries ...Entry) {
	b.t.Helper()
	b.exec("BEGIN")
	batch := b.Begin()
	for _, e := range entries {
		_, err := batch.Append(b.t.Context(), e)
		must(b.t, err)
	}
	b.exec("COMMIT")
	batch.Committed()
}

func event(n int) Entry {
	return Entry{Actor: Itself(), Category: CategorySystem, Type: "test.event", Outcome: Success, Details: map[string]string{"n": fmt.Sprint(n)}}
}

func (b *testLog) checkpoint() []byte {
	b.t.Helper()
	signed, err := Sign(origin, b.Head(), b.key, rand.Reader)
	must(b.t, err)
	must(b.t, Store(b.t.Context(), b.conn, b.Head(), signed))
	return signed
}

// Each size is compared with the tree of golang.org/x/mod/sumdb/tlog, in memory and
// as read back from the database.
func TestTheTreeIsTheOneOfRFC6962(t *testing.T) {
	b := newTestLog(t)
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var all []tlog.Hash
		for _, index := range indexes {
			level, n := tlog.SplitStoredHashIndex(index)
			hash, err := node(t.Context(), b.conn, (n+1)<<level-1, level)
			if err != nil {
				return nil, err
			}
			all = append(all, hash)
		}
		return all, nil
	})
	for n := 1; n < 70; n++ {
		want, err := tlog.TreeHash(int64(n), reader)
		must(t, err)
		stored, err := edgeAt(t.Context(), b.conn, int64(n))
		must(t, err)
		if head := b.Head(); head.Size != int64(n) || head.Root != want || stored.root() != want {
			t.Fatalf("size %d: %v in memory, %v stored, want %v", n, head, stored.root(), want)
		}
		b.commit(event(n))
	}
	if (&edge{}).root().String() != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Error("the empty tree is not SHA-256 of nothing")
	}
}

func TestARolledBackTransactionDoesNotPoisonTheLog(t *testing.T) {
	b := newTestLog(t)
	b.exec("BEGIN")
	lost := b.Begin()
	for n := range 5 {
		_, err := lost.Append(t.Context(), event(n))
		must(t, err)
	}
	b.exec("ROLLBACK")
	b.exec("BEGIN")
	batch := b.Begin()
	mark := batch.Mark
	b.exec("SAVEPOINT s")
	_, err := batch.Append(t.Context(), event(10))
	must(t, err)
	b.exec("ROLLBACK TO s")
	batch.Rewind(mark)
	_, err = batch.Append(t.Context(), event(11))
	must(t, err)
	b.exec("COMMIT")
	batch.Committed()
	b.checkpoint()
	report, err := verifyAll(t.Context(), b.conn, b.vkey)
	must(t, err)
	if report.Size != 2 || report.Covered != 2 || report.Checkpoints != 1 {
		t.Errorf("got %+v", report)
	}
	b.open()
	if b.Head() != report.Head {
		t.Errorf("opened again the head is %v, want %v", b.Head(), report.Head)
	}
}

func TestVerifyNamesWhatIsWrong(t *testing.T) {
	cases := []struct {
		name, tamper string
		want         error
	}{
		{"an octet of an entry", `UPDATE audit_entry SET body = CAST(replace(body, '"n":"3"', '"n":"4"') AS BLOB) WHERE seq = 3`, ErrHash},
		{"a space in an entry", `UPDATE audit_entry SET body = CAST(replace(body, ':', ': ') AS BLOB) WHERE seq = 3`, ErrEntry},
		{"an entry that is missing", `DELETE FROM audit_entry WHERE seq = 3`, ErrGap},
		{"the first entry is missing", `DELETE FROM audit_entry WHERE seq = 0`, ErrGap},
		{"two entries changed places", `UPDATE audit_entry SET body = (SELECT body FROM audit_entry WHERE seq = 4) WHERE seq = 3`, ErrEntry},
		{"a stored hash", `UPDATE audit_entry SET hashes = zeroblob(32) WHERE seq = 4`, ErrHash},
		{"the tail is cut below a checkpoint", `DELETE FROM audit_entry WHERE seq >= 5`, ErrRolledBack},
		{"an octet of a signature", `UPDATE audit_checkpoint SET note = CAST(substr(note, 1, length(note) - 4) || 'AAA' || x'0a' AS BLOB)`, ErrCheckpointSignature},
		{"the size of a checkpoint", `UPDATE audit_checkpoint SET size = 6`, ErrCheckpointText},
		{"everything is gone", `DELETE FROM audit_entry; DELETE FROM audit_checkpoint`, ErrNoGenesis},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newTestLog(t)
			for n := 1; n < 7; n++ {
				b.commit(event(n))
			}
			b.checkpoint()
			b.exec(`DROP TRIGGER audit_entry_stays; DROP TRIGGER audit_entry_fixed; DROP TRIGGER audit_checkpoint_stays; DROP TRIGGER audit_checkpoint_fixed`)
			b.exec(c.tamper)
			if _, err := verifyAll(t.Context(), b.conn, b.vkey); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// Somebody who holds the database can rewrite all of it consistently. A checkpoint
// that was signed before shows the change.
func TestARewrittenLogShows(t *testing.T) {
	b := newTestLog(t)
	b.commit(event(1), event(2))
	anchor := b.checkpoint()
	forged := newTestLog(t)
	forged.exec(`DROP TRIGGER audit_entry_stays; DELETE FROM audit_entry`)
	forged.open()
	forged.commit(Entry{Actor: Itself(), Category: CategoryLog, Type: TypeGenesis, Outcome: Success, Details: map[string]string{"vkey": b.vkey}})
	forged.commit(event(1), event(3))
	if _, err := verifyAll(t.Context(), forged.conn, b.vkey); !errors.Is(err, ErrCheckpointMissing) {
		t.Errorf("nobody signed the forged log: %v", err)
	}
	if _, err := verifyAll(t.Context(), forged.conn, b.vkey, anchor); !errors.Is(err, ErrRoot) {
		t.Errorf("got %v", err)
	}
	if _, err := verifyAll(t.Context(), forged.conn, forged.vkey); !errors.Is(err, ErrOtherKey) {
		t.Errorf("with another key: %v", err)
	}
}

// The auditor's way: openssl checks the signature.
func TestACheckpointNeedsOnlyOpenSSL(t *testing.T) {
	path := prerequisite.Program(t, "openssl", "openssl")
	b := newTestLog(t)
	text, signature, found := bytes.Cut(b.checkpoint(), []byte("\n\n"))
	if !found {
		t.Fatal("the note has no blank line")
	}
	fields := strings.Fields(string(signature))
	raw, err := base64.StdEncoding.DecodeString(fields[2])
	must(t, err)
	spki, err := x509.MarshalPKIXPublicKey(b.key.Public())
	must(t, err)
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"text": append(text, '\n'), "sig": raw[4:], "key": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}),
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	command := exec.CommandContext(t.Context(), path, "dgst", "-sha256", "-verify", "key", "-signature", "sig", "text")
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "Verified OK") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestVerifierKeys(t *testing.T) {
	b := newTestLog(t)
	name, rest, _ := strings.Cut(b.vkey, "+")
	for what, text := range map[string]string{
		"nothing": "", "no parts": "a", "another id": name + "+00000000" + rest[8:], "no key": name + "+00000000+Ag==",
		"Ed25519": "a+12345678+AQAA", "a space in the origin": "a b+" + rest,
	} {
		if _, err := OpenCheckpoint(b.checkpoint(), text); !errors.Is(err, ErrVerifierKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := VerifierKey("two words", b.key.Public()); !errors.Is(err, ErrOrigin) {
		t.Errorf("got %v", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	if _, err := VerifierKey(origin, key.Public()); !errors.Is(err, ErrKey) {
		t.Errorf("got %v", err)
	}
}

func TestEntriesThatAreRefused(t *testing.T) {
	b := newTestLog(t)
	for name, c := range map[string]struct {
		change func(*Entry)
		want   error
	}{
		"more than 64 KiB": {func(e *Entry) { e.Details["n"] = strings.Repeat("a", MaxEntry) }, ErrTooLarge},
		"no actor":         {func(e *Entry) { e.Actor = Actor{} }, ErrIncomplete},
		"no outcome":       {func(e *Entry) { e.Outcome = "" }, ErrIncomplete},
	} {
		e := event(1)
		c.change(&e)
		if _, err := b.Begin().Append(context.Background(), e); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// sorted writes any JSON value again, with sorted keys.
func sorted(t *testing.T, body []byte) []byte {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	must(t, decoder.Decode(&value))
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	must(t, encoder.Encode(value))
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// FuzzEntry checks the law of entries: an entry that decodes is encoded to the same
// octets, and its keys are sorted.
func FuzzEntry(f *testing.F) {
	b := newTestLog(f)
	b.commit(event(1))
	rows, err := b.conn.QueryContext(f.Context(), `SELECT body FROM audit_entry`)
	must(f, err)
	defer rows.Close()
	for rows.Next() {
		var body []byte
		must(f, rows.Scan(&body))
		f.Add(body)
	}
	must(f, rows.Err())
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := Decode(body)
		if err != nil {
			return
		}
		again, err := Encode(e)
		must(t, err)
		if !bytes.Equal(again, body) || !bytes.Equal(sorted(t, body), body) {
			t.Fatalf("%s\nbecomes\n%s", body, again)
		}
	})
}

// FuzzCheckpoint checks the law of checkpoints: only a signed checkpoint opens.
func FuzzCheckpoint(f *testing.F) {
	b := newTestLog(f)
	signed := b.checkpoint()
	f.Add(signed)
	f.Fuzz(func(t *testing.T, note []byte) {
		h, err := OpenCheckpoint(note, b.vkey)
		if err == nil && h != b.Head() {
			t.Fatalf("opened %v", h)
		}
	})
}

// verifyAll is Verify for whoever looks at no entry.
func verifyAll(ctx context.Context, q Querier, verifierKey string, anchors ...[]byte) (Report, error) {
	return Verify(ctx, q, Verification{Key: verifierKey, Each: func(Entry) error { return nil }, Anchors: anchors})
}
