package hub

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/fixtures/stationlog"
	"hallmark/station/outbox"
	"hallmark/station/workorder"
)

// certified counts the boards that all stations have certified for an order, in their own logs.
func (p *plant) certified(order string) (sum int64) {
	for _, s := range p.stations {
		counted, _ := s.Counted(order)
		sum += counted
	}
	return sum
}

func TestAnOrderIsWorkedOffOverThreeStations(t *testing.T) {
	p := newPlant(t, "bench-1", "bench-2", "bench-3")
	p.opensOrder("WO-1", 100, 10)
	random := rand.New(rand.NewPCG(1, 2))
	var cut [3]int // how many exchanges a station has no link
	for round := range 200 {
		i := random.IntN(3)
		s := p.stations[i]
		for range random.IntN(4) {
			s.Run(stationlog.NewBoard(), "WO-1")
		}
		switch cut[i]--; {
		case cut[i] > 0:
			continue
		case random.IntN(6) == 0:
			cut[i] = 5
		case random.IntN(10) == 0: // the hub takes the Push, and the answer is lost
			must(p.Take(t.Context(), s.id, p.pushOf(s)))(t)
		case random.IntN(20) == 0:
			p.reopen()
		case round == 75:
			p.server.Kill()
			p.server.Open()
		}
		p.tellAll(s)
		if sum := p.certified("WO-1"); sum > 100 {
			t.Fatalf("%d boards after %d rounds", sum, round)
		}
	}
	for range 30 { // each link is there again
		for _, s := range p.stations {
			s.Run(stationlog.NewBoard(), "WO-1")
			p.tellAll(s)
		}
	}
	if sum := p.certified("WO-1"); sum != 100 {
		t.Errorf("%d boards", sum)
	}
	p.is(`SELECT count(DISTINCT board_id) FROM certificate WHERE work_order = 'WO-1'`, "100")
	p.is(`SELECT sum(counted) FROM station_order`, "100")
	p.is(`SELECT count(*) FROM finding`, "0")
}

func TestAStationWithoutALinkWorksOffItsLeaseAndStops(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	p.opensOrder("WO-1", 100, 10)
	p.tellAll(s)
	passed := 0
	for range 30 {
		if s.Run(stationlog.NewBoard(), "WO-1") {
			passed++
		}
	}
	if passed != 10 {
		t.Errorf("%d boards pass without a hub", passed)
	}
	p.tellAll(s)
	if counted, share := s.Counted("WO-1"); counted != 10 || share != 20 {
		t.Errorf("%d of %d after the link is back", counted, share)
	}
}

func TestALeaseEndsAndIsRenewed(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	p.opensOrder("WO-1", 100, 10)
	p.tellAll(s)
	var ends []string
	for range 5 {
		p.clock.add(5 * time.Hour) // more than half of the lease
		p.tellAll(s)
		p.tellAll(s)
		ends = append(ends, p.server.Query(`SELECT max(until) FROM lease`))
	}
	if len(slices.Compact(slices.Clone(ends))) != 5 {
		t.Errorf("the lease ends at %v", ends)
	}
	p.is(`SELECT max(share) FROM lease`, "10")
	p.clock.add(40 * 24 * time.Hour) // the order has ended
	if a := p.tellAll(s); len(a.Orders) != 0 {
		t.Error("a lease of an order that has ended")
	}
}

func TestALeaseIsForOneStation(t *testing.T) {
	p := newPlant(t, "bench-1", "bench-2")
	p.opensOrder("WO-1", 100, 10, "bench-1")
	p.push(p.stations[1])
	if a := p.push(p.stations[1]); len(a.Orders) != 0 {
		t.Errorf("a station that is not in the order gets %d files", len(a.Orders))
	}
	first := p.pushOf(p.stations[0])
	a := must(p.Take(t.Context(), p.stations[0].id, first))(t)
	order, _, err := workorder.Signed{File: a.Orders[0].File, Signature: a.Orders[0].Signature}.Verify("lease", []workorder.Owner{p.owner})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := order.Share(p.stations[1].Key); err == nil {
		t.Error("another station has a share")
	}
}

// What a closed station has not used goes to the others.
func TestAStationThatClosesTheOrderGivesTheRestBack(t *testing.T) {
	p := newPlant(t, "bench-1", "bench-2")
	p.opensOrder("WO-1", 20, 20)
	one, two := p.stations[0], p.stations[1]
	p.tellAll(one)
	p.tellAll(two)
	p.tellAll(two)
	if _, share := two.Counted("WO-1"); share != 0 {
		t.Fatalf("the second station has %d, and the first all 20", share)
	}
	for range 7 {
		one.Run(stationlog.NewBoard(), "WO-1")
	}
	one.CloseOrder("WO-1")
	// Who has only the TLS key of the station can send such an entry, too: it counts when the audit key has signed it.
	p.tellAll(one)
	p.tellAll(two)
	if _, share := two.Counted("WO-1"); share != 0 {
		t.Errorf("the second station has %d, by a closing that nobody has signed", share)
	}
	one.Sign()
	p.tellAll(one)
	p.tellAll(two)
	if _, share := two.Counted("WO-1"); share != 13 {
		t.Errorf("the second station has %d", share)
	}
}

// A hub that was restored from yesterday gives no board twice.
func TestAHubFromYesterday(t *testing.T) {
	for name, forgets := range map[string]func(p *plant){
		"the database is older than the file":     func(*plant) {},
		"both are older, and a station remembers": func(p *plant) { p.options.Mark += ".older" },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlant(t, "bench-1", "bench-2")
			p.opensOrder("WO-1", 30, 10)
			for _, s := range p.stations {
				p.tellAll(s)
			}
			dump := p.server.Dump()
			for _, s := range p.stations { // each gets a second lease
				for range 8 {
					s.Run(stationlog.NewBoard(), "WO-1")
				}
				p.tellAll(s)
				p.tellAll(s)
			}
			p.tellAll(p.stations[1])
			forgets(p)
			p.restore(dump)
			two := p.stations[1]
			for range 20 { // works on while the first station has no link
				two.Run(stationlog.NewBoard(), "WO-1")
				p.tellAll(two)
			}
			if _, share := two.Counted("WO-1"); share != 12 && share != 18 {
				t.Errorf("the second station has %d while the hub waits for the first", share)
			}
			for range 30 {
				for _, s := range p.stations {
					s.Run(stationlog.NewBoard(), "WO-1")
					p.tellAll(s)
				}
			}
			if sum := p.certified("WO-1"); sum != 30 {
				t.Errorf("%d boards", sum)
			}
			p.is(`SELECT count(*) > 0 FROM lease_freeze`, "t")
			for _, s := range p.stations { // all entries are there again, in order, once
				p.tellAll(s)
				p.tellAll(s)
				size := must(s.LogSize(t.Context()))(t)
				p.is(fmt.Sprintf(`SELECT count(*), max(seq) + 1 FROM entry WHERE station = %d`, s.id), fmt.Sprintf("%d|%d", size, size))
			}
		})
	}
}

// The table itself refuses a sum that is too great, whatever the program does.
func TestTheDatabaseRefusesLeasesBeyondTheQuota(t *testing.T) {
	p := newPlant(t, "bench-1", "bench-2")
	p.opensOrder("WO-1", 10, 10)
	for i, test := range []struct {
		share int
		fits  bool
	}{{6, true}, {5, false}, {4, true}} {
		_, err := p.pool.Exec(t.Context(), `INSERT INTO lease (number, work_order, station, revision, share, until, file, signature) VALUES ($1, 'WO-1', $2, $3, $4, now(), 'x', 'x')`,
			i+1, p.stations[min(i, 1)].id, i+1, test.share)
		if (err == nil) != test.fits {
			t.Errorf("%d boards: %v", test.share, err)
		}
	}
}

func TestAStationWhoseLogWasForkedGetsNoLease(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	s.Run(stationlog.NewBoard(), "")
	p.tellAll(s)
	s.Log = s.Fork(1)
	p.push(s)
	p.opensOrder("WO-1", 10, 10)
	if a := p.push(s); len(a.Orders) != 0 || !slices.Contains(kinds(a), outbox.FindingRollback) {
		t.Errorf("%+v", a)
	}
}

func TestAnOrderIsOpenedOnce(t *testing.T) {
	p := newPlant(t, "bench-1", "bench-2")
	p.opensOrder("WO-1", 10, 10)
	p.opensOrder("WO-1", 10, 10)
	order := PlantOrder{Chunk: 10, Hours: 8}
	order.ID, order.Product, order.Quota, order.Until, order.Profiles = "WO-1", "linaro", 11, p.clock.Now(), make([][32]byte, 1)
	if err := p.OpenOrder(t.Context(), order, "lead", "lot 7"); err == nil || !strings.Contains(err.Error(), ErrOrderKnown.Error()) {
		t.Errorf("another quota: %v", err)
	}
	for name, change := range map[string]func(*PlantOrder){
		"other images":   func(o *PlantOrder) { o.Firmware = make([][32]byte, 1) },
		"other stations": func(o *PlantOrder) { o.Stations = []string{"bench-1"} },
		"another start":  func(o *PlantOrder) { o.NotBefore = p.clock.Now() },
	} {
		again := p.plantOrder("WO-1", 10, 10)
		change(&again)
		if err := p.OpenOrder(t.Context(), again, "lead", "lot 7"); !errors.Is(err, ErrOrderKnown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*PlantOrder){
		"no quota": func(o *PlantOrder) { o.Quota = 0 }, "no lease": func(o *PlantOrder) { o.Chunk = 0 }, "no profile": func(o *PlantOrder) { o.Profiles = nil },
		"an unknown station": func(o *PlantOrder) { o.Stations = []string{"bench-9"} }, "no name": func(o *PlantOrder) { o.ID = "" },
	} {
		bad := order
		bad.ID = "WO-2"
		change(&bad)
		if err := p.OpenOrder(t.Context(), bad, "lead", "lot 7"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// An order that was opened after the backup, and is opened again after the restore, counts what the stations have of it.
func TestAnOrderThatTheHubForgot(t *testing.T) {
	p := newPlant(t, "bench-1", "bench-2")
	for _, s := range p.stations {
		p.tellAll(s)
	}
	dump := p.server.Dump()
	p.opensOrder("WO-1", 30, 15)
	for _, s := range p.stations {
		p.tellAll(s)
		p.tellAll(s)
	}
	p.restore(dump)
	for range 2 {
		for _, s := range p.stations {
			p.tellAll(s)
		}
	}
	p.opensOrder("WO-1", 30, 15)
	for range 40 {
		for _, s := range p.stations {
			s.Run(stationlog.NewBoard(), "WO-1")
			p.tellAll(s)
		}
	}
	if sum := p.certified("WO-1"); sum != 30 {
		t.Errorf("%d boards", sum)
	}
}

// restore ends the hub, puts a dump in the place of its database, and starts it again.
func (p *plant) restore(dump string) {
	p.t.Helper()
	if err := p.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.server.Restore(dump)
	if _, err := Migrate(p.t.Context(), p.server.Database("owner"), "hub_serve"); err != nil { // the rights of the role
		p.t.Fatal(err)
	}
	p.open()
}

// A commit that does not succeed is no lease: the next start of the hub does not take the database for an older one.
func TestALeaseThatWasNotCommittedFreezesNothing(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	p.tellAll(s)
	p.opensOrder("WO-1", 30, 10)
	p.server.Query(`CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'; END $$;
		CREATE CONSTRAINT TRIGGER no AFTER INSERT ON lease DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no()`)
	if a, err := p.Take(t.Context(), s.id, p.pushOf(s)); err == nil || len(a.Orders) > 0 {
		t.Errorf("a lease without a commit: %+v", a)
	}
	p.server.Query(`DROP TRIGGER no ON lease`)
	p.reopen()
	p.is(`SELECT count(*) FROM lease_freeze`, "0")
	if p.tellAll(s); must(os.ReadFile(p.options.Mark))(t)[0] != '1' {
		t.Error("the file does not have the number of the lease that the station was told")
	}
}

// What was refused has no effect, also not on leases.
func TestARefusedMessageChangesNoOrder(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	p.tellAll(s)
	p.opensOrder("WO-1", 30, 10)
	s.OpenOrder("WO-1", "linaro", 30, 9, p.clock.Now().Add(time.Hour), p.owner.SHA256)
	s.Run(stationlog.NewBoard(), "")
	push := p.pushOf(s)
	push.Entries[2] = append([]byte(" "), push.Entries[2]...)
	if _, err := p.Take(t.Context(), s.id, push); !errors.Is(err, ErrForged) {
		t.Errorf("got %v", err)
	}
	p.is(`SELECT count(*) FROM station_order`, "0")
	p.is(`SELECT coalesce(max(share), 0) <= 10 FROM lease`, "t")
}

// After a person has accepted, or after all have told, a start of the hub does not freeze again.
func TestAFreezeThatIsOverDoesNotComeBack(t *testing.T) {
	p := newPlant(t, "bench-1")
	if err := p.mark.raise(7); err != nil {
		t.Fatal(err)
	}
	p.reopen()
	p.tellAll(p.stations[0])
	p.is(`SELECT count(*), (SELECT count(*) FROM freeze_told) FROM lease_freeze`, "1|1")
	p.reopen()
	p.is(`SELECT count(*) FROM lease_freeze`, "1")
}

// A station that was restored from a backup counts from an older number, and a person has accepted its log. The hub counts boards.
func TestAStationThatCountsFromAnOlderNumberIsFound(t *testing.T) {
	p := newPlant(t, "bench-1")
	s := p.stations[0]
	p.tellAll(s)
	p.opensOrder("WO-1", 10, 10)
	p.tellAll(s)
	before := s.Fork(must(s.LogSize(t.Context()))(t))
	for range 10 {
		s.Run(stationlog.NewBoard(), "WO-1")
	}
	p.tellAll(s)
	s.Log = before
	p.push(s)
	if err := p.Accept(t.Context(), p.Station("bench-1"), 0, "lead", "a broken disk"); err != nil {
		t.Fatal(err)
	}
	s.Run(stationlog.NewBoard(), "WO-1")
	if a := p.tellAll(s); !slices.Contains(kinds(a), outbox.FindingOver) {
		t.Errorf("%v", kinds(a))
	}
}
