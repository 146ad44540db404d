package hub

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hallmark/fixtures/stationlog"
	"hallmark/station/audit"
	"hallmark/station/outbox"
)

func TestTheHubHoldsTheLogOfAStation(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	for range 3 {
		s.Run(stationlog.NewBoard(), "")
	}
	s.Sign()
	s.Run(stationlog.NewBoard(), "")
	a := p.tellAll(s)
	if a.Next != 25 || a.Signed != 19 || len(a.Findings) != 0 {
		t.Errorf("next %d, signed %d, findings %v", a.Next, a.Signed, a.Findings)
	}
	p.is(`SELECT count(*) || ' ' || min(seq) || ' ' || max(seq) FROM entry`, "25 0 24")
	p.is(`SELECT count(*), (SELECT count(*) FROM board), (SELECT count(*) FROM board_key), (SELECT count(*) FROM certificate), (SELECT count(*) FROM certificate_event) FROM run`, "4|4|4|4|12")
	// A restart loses nothing.
	p.reopen()
	s.Run(stationlog.NewBoard(), "")
	s.Sign()
	if a = p.tellAll(s); a.Next != 31 || a.Signed != 31 || !a.Taken {
		t.Errorf("after a restart: %+v", a)
	}
}

func TestAPushIsTakenOnce(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	p.tellAll(s)
	s.Run(stationlog.NewBoard(), "")
	first := p.pushOf(s)
	p.push(s)
	s.Run(stationlog.NewBoard(), "")
	p.push(s)
	// The copy of a Push, and one that comes late, change nothing, and say what the hub has.
	for range 2 {
		if a := must(p.Take(t.Context(), s.id, first))(t); a.Taken || a.Next != 13 || len(a.Findings) != 0 {
			t.Errorf("a copy: %+v", a)
		}
	}
	// A Push that begins too late leaves a gap, and is not taken.
	s.Run(stationlog.NewBoard(), "")
	early := p.pushOf(s)
	early.From, early.Entries = early.From+1, early.Entries[1:]
	if a := must(p.Take(t.Context(), s.id, early))(t); a.Taken || a.Next != 13 || len(a.Findings) != 0 {
		t.Errorf("out of order: %+v", a)
	}
	p.tellAll(s)
	p.is(`SELECT count(*) FROM entry`, "19")
	p.is(`SELECT count(*) FROM finding`, "0")
}

func TestWhatIsNotOfTheLogIsRefusedAndFound(t *testing.T) {
	for _, test := range []struct {
		name string
		harm func(p *plant, push *outbox.Push)
	}{
		{"an octet of an entry", func(_ *plant, push *outbox.Push) {
			push.Entries[1] = []byte(strings.Replace(string(push.Entries[1]), `"cert.issue.intent"`, `"cert.issue.Intent"`, 1))
		}},
		{"a text that no database holds", func(p *plant, push *outbox.Push) {
			f := p.stations[0].Fork(1)
			f.Add(audit.Entry{Category: audit.CategoryLine, Type: "run.pass", Outcome: audit.Success, Run: &audit.Run{ID: uuid.NewString(), Bay: "A\x00B"}})
			push.Entries, push.Checkpoint, push.Size = must(f.Bodies(t.Context(), 1, 2))(t), nil, 2
		}},
		{"a text that is too long for an index", func(p *plant, push *outbox.Push) {
			f := p.stations[0].Fork(1)
			long := make([]byte, 20_000) // that PostgreSQL cannot compress
			_, _ = rand.Read(long)
			f.Add(audit.Entry{Category: audit.CategoryLine, Type: "run.reject", Outcome: audit.Denied, Reason: hex.EncodeToString(long), Run: &audit.Run{ID: uuid.NewString()}})
			push.Entries, push.Checkpoint, push.Size = must(f.Bodies(t.Context(), 1, 2))(t), nil, 2
		}},
		{"an entry that is not canonical", func(_ *plant, push *outbox.Push) { push.Entries[1] = append([]byte(" "), push.Entries[1]...) }},
		{"two entries in the other order", func(_ *plant, push *outbox.Push) { push.Entries[0], push.Entries[1] = push.Entries[1], push.Entries[0] }},
		{"entries of another station", func(p *plant, push *outbox.Push) {
			p.stations[1].Run(stationlog.NewBoard(), "")
			p.stations[1].Sign()
			other := p.pushOf(p.stations[1])
			push.Checkpoint = other.Checkpoint
		}},
		{"a checkpoint that nobody signed", func(_ *plant, push *outbox.Push) {
			push.Checkpoint = []byte(strings.Replace(string(push.Checkpoint), "\n7\n", "\n6\n", 1))
		}},
		{"a checkpoint beyond the entries", func(p *plant, push *outbox.Push) {
			p.stations[0].Run(stationlog.NewBoard(), "")
			push.Checkpoint = p.stations[0].Sign()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlant(t, "bench-1", "bench-2")
			s := p.stations[0]
			p.tellAll(s)
			p.tellAll(p.stations[1])
			s.Run(stationlog.NewBoard(), "")
			s.Sign()
			push := p.pushOf(s)
			test.harm(p, push)
			a, err := p.Take(t.Context(), s.id, push)
			// One octet of a signed entry shows as a fork: the checkpoint has another root.
			if fork := slices.Contains(kinds(a), outbox.FindingFork); !fork && !errors.Is(err, ErrForged) {
				t.Errorf("%+v, %v", a, err)
			}
			if a.Taken || a.Next != 1 {
				t.Errorf("it was taken: %+v", a)
			}
			p.is(`SELECT count(*) FROM finding`, "1")
			p.is(`SELECT count(*) FROM entry WHERE station = (SELECT id FROM station WHERE name = 'bench-1')`, "1")
		})
	}
}

func TestWhatOneStationCannotSeeIsFound(t *testing.T) {
	for _, test := range []struct {
		kind  string
		other func(stationlog.Board) stationlog.Board // the board at the second station
	}{
		{outbox.FindingBoard, func(b stationlog.Board) stationlog.Board { return stationlog.Board{ID: b.ID, Key: b.Key} }},
		{outbox.FindingKey, func(b stationlog.Board) stationlog.Board {
			return stationlog.Board{ID: b.ID, Key: stationlog.NewBoard().Key}
		}},
		{outbox.FindingKey, func(b stationlog.Board) stationlog.Board {
			return stationlog.Board{ID: stationlog.NewBoard().ID, Key: b.Key}
		}},
		{outbox.FindingSerial, func(b stationlog.Board) stationlog.Board {
			other := stationlog.NewBoard()
			other.Serial = b.Serial
			return other
		}},
	} {
		t.Run(test.kind, func(t *testing.T) {
			p := newPlant(t, "bench-1", "bench-2")
			board := stationlog.NewBoard()
			board.Serial = strings.Repeat("17", 16)
			p.stations[0].Run(board, "")
			if a := p.tellAll(p.stations[0]); len(a.Findings) != 0 {
				t.Errorf("one station alone: %v", a.Findings)
			}
			p.stations[1].Run(test.other(board), "")
			for _, s := range []*benchStation{p.stations[1], p.stations[0], p.stations[1]} { // both are told, and once
				if a := p.tellAll(s); !slices.Contains(kinds(a), test.kind) {
					t.Errorf("%s is told %v", s.Name, a.Findings)
				}
			}
			p.is(`SELECT count(DISTINCT (kind, subject)) = count(*) FROM finding`, "t")
		})
	}
}

// Boards that two stations tell of at the same moment are found as well.
func TestStationsThatTellOfOneBoardAtOnce(t *testing.T) {
	p := newPlant(t, "bench-1", "bench-2")
	var boards []stationlog.Board
	for range 20 {
		boards = append(boards, stationlog.NewBoard())
	}
	for i, s := range p.stations {
		p.tellAll(s)
		if i == 1 {
			slices.Reverse(boards)
		}
		for _, b := range boards {
			s.Run(b, "")
		}
	}
	ended := make(chan error)
	for _, s := range p.stations {
		push := p.pushOf(s)
		go func() { _, err := p.Take(t.Context(), s.id, push); ended <- err }()
	}
	for range p.stations {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	p.is(`SELECT count(*), count(DISTINCT board_id) FROM finding WHERE kind = 'board-twice'`, "20|20")
}

func TestALogThatWentBackInTime(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	for range 3 {
		s.Run(stationlog.NewBoard(), "")
	}
	s.Sign()
	p.tellAll(s)
	before := s.Log
	t.Run("is found when it is shorter", func(t *testing.T) {
		s.Log = before.Fork(7)
		if a := p.push(s); a.Taken || !slices.Contains(kinds(a), outbox.FindingRollback) {
			t.Errorf("%+v", a)
		}
		// It stays found when it has grown again, until a person accepts.
		for range 4 {
			s.Run(stationlog.NewBoard(), "")
		}
		if a := p.push(s); a.Taken || len(a.Findings) != 1 {
			t.Errorf("%+v", a)
		}
	})
	t.Run("goes on after a person has accepted", func(t *testing.T) {
		if err := p.CloseFinding(t.Context(), 1, "lead", "no"); !errors.Is(err, ErrFinding) {
			t.Errorf("a rollback is closed like another finding: %v", err)
		}
		if err := p.Accept(t.Context(), p.Station("bench-1"), 7, "lead", "restored after a broken disk"); err != nil {
			t.Fatal(err)
		}
		s.Sign()
		if a := p.tellAll(s); !a.Taken || a.Signed != 31 || len(a.Findings) != 0 {
			t.Errorf("%+v", a)
		}
		p.is(`SELECT count(*) FROM entry WHERE branch = 0`, "19") // what was there stays
		p.is(`SELECT count(*), min(seq) FROM entry WHERE branch = 1`, "24|7")
		p.is(`SELECT count(*) FROM lease_freeze`, "0")
		p.reopen() // the tree comes from both branches
		s.Run(stationlog.NewBoard(), "")
		if a := p.tellAll(s); !a.Taken {
			t.Errorf("after a restart: %+v", a)
		}
	})
}

func TestAForkedLogIsFound(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	s.Run(stationlog.NewBoard(), "")
	p.tellAll(s)
	// Two machines that were restored from one backup have one audit key.
	twin := &benchStation{Log: s.Fork(7), id: s.id, turn: -1}
	s.Run(stationlog.NewBoard(), "")
	p.tellAll(s)
	twin.Run(stationlog.NewBoard(), "")
	if a := p.tellAll(twin); a.Taken || !slices.Contains(kinds(a), outbox.FindingFork) {
		t.Errorf("%+v", a)
	}
	if a := p.push(s); a.Taken {
		t.Error("the hub takes entries while nobody has looked at a fork")
	}
}

func TestAClockThatIsAheadIsFound(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	s.Now = func() time.Time { return p.clock.Now().Add(time.Hour) }
	s.Run(stationlog.NewBoard(), "")
	if a := p.tellAll(s); !slices.Contains(kinds(a), outbox.FindingClock) || !a.Taken {
		t.Errorf("%+v", a)
	}
}

// A station that had a link a moment ago makes no entries of yesterday. One that had none does.
func TestAClockThatIsBehindIsFound(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	p.tellAll(s)
	s.Run(stationlog.NewBoard(), "") // and then no link for a day
	p.clock.add(24 * time.Hour)
	if a := p.tellAll(s); len(a.Findings) != 0 {
		t.Errorf("a day without a link: %v", a.Findings)
	}
	s.Now = func() time.Time { return p.clock.Now().Add(-time.Hour) }
	s.Run(stationlog.NewBoard(), "")
	if a := p.tellAll(s); !slices.Contains(kinds(a), outbox.FindingClock) || !a.Taken {
		t.Errorf("%+v", a)
	}
}

// Who has the TLS key of a station cannot push other findings out of sight.
func TestForgedMessagesAreOneFinding(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	p.tellAll(s)
	s.Run(stationlog.NewBoard(), "")
	for n := range 3 {
		push := p.pushOf(s)
		push.Entries[n] = append([]byte(" "), push.Entries[n]...)
		a, err := p.Take(t.Context(), s.id, push)
		if !errors.Is(err, ErrForged) {
			t.Errorf("got %v", err)
		}
		p.heed(s, push, a)
	}
	p.is(`SELECT count(*) FROM finding`, "1")
}

func TestTheServersRoleChangesNoEvidence(t *testing.T) {
	p := newPlant(t, "bench-1")
	p.tellAll(p.stations[0])
	for _, statement := range []string{"DELETE FROM entry", "UPDATE entry SET body = ''", "TRUNCATE entry", "DELETE FROM finding", "UPDATE lease SET share = 9", "DELETE FROM station_state", "DROP TABLE entry",
		"UPDATE schema_step SET number = 9", "CREATE TABLE x (a int)", "ALTER TABLE entry DISABLE TRIGGER ALL"} {
		if _, err := p.pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s: no error", statement)
		}
	}
	// Nobody changes evidence, also not the owner by mistake.
	if _, err := Open(t.Context(), func() Options { o := p.options; o.Database = p.server.Database("owner"); o.Mark += "2"; return o }()); !errors.Is(err, ErrRights) {
		t.Errorf("the owner's role: %v", err)
	}
	pool := must(connect(t.Context(), p.server.Database("owner")))(t)
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), "DELETE FROM entry"); err == nil {
		t.Error("the owner deletes an entry")
	}
}

// A database that takes nothing, as a standby or a full disk, loses nothing: the station sends again.
func TestADatabaseThatIsReadOnly(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	p.tellAll(s)
	s.Run(stationlog.NewBoard(), "")
	cut := `SELECT count(pg_terminate_backend(pid)) >= 0 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`
	p.server.Query(`ALTER DATABASE ` + p.server.Name + ` SET default_transaction_read_only = on`)
	p.server.Query(cut)
	beside := must(OpenBeside(t.Context(), p.options))(t) // lists work
	must(beside.table(t.Context(), findingsQuery))(t)
	if err := beside.Close(); err != nil {
		t.Error(err)
	}
	push := p.pushOf(s)
	for range 2 * maxConnections {
		if a, err := p.Take(t.Context(), s.id, push); err == nil {
			t.Fatalf("a database that is read-only takes entries: %+v", a)
		}
	}
	p.server.SQL("postgres", `SET default_transaction_read_only = off; ALTER DATABASE `+p.server.Name+` RESET default_transaction_read_only`)
	p.server.Query(cut)
	if a := p.tellAll(s); !a.Taken || a.Next != 7 {
		t.Errorf("afterwards: %+v", a)
	}
	p.is(`SELECT count(*) FROM finding`, "0")
}
