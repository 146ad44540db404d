package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"hallmark/devices"
	"hallmark/station"
)

// A batch is what `batch` and `enrol` were asked to do.
type batch struct {
	boards   string
	count    int
	jobs     int
	order    string
	quota    int64
	rework   string
	jsonl    string
	junit    string
	progress string
	firmware string
	image    string
	clock    bool
}

const imageHelp = "firmware image of the emulated boards, which are then of one kind"

const acceptClockHelp = "you say that the clock is right although it is behind the audit log; goes on record"

func (c *command) batchCommand() *cobra.Command {
	var b batch
	cmd := &cobra.Command{
		Use:   "batch --boards LIST",
		Short: "Enrols many boards at once, unattended",
		Long: `batch enrols one board in each bay, or --count boards in all.

With a profile for COSE keys (cose_profile in station.yaml) each board has two Runs, one for each
of its keys.

--boards takes KIND:NUMBER with KIND one of posix, qemu, qemu-an521, qemu-zephyr, or
paths of serial ports, separated by commas. Emulated boards live in DIR/bays/BAY/1, 2, 3 ... and are kept: the
next batch meets the same boards in the same order.

Ctrl-C once: no Run is cut between signing and recording; others end as Aborted. Twice: stop now.

` + exitHelp,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.batch(cmd.Context(), &b) },
	}
	flags := cmd.Flags()
	flags.StringVar(&b.boards, "boards", "", "bays: qemu:8, qemu-an521:4, qemu-zephyr:4 (--image names another image), posix:32, /dev/ttyACM0,/dev/ttyACM1 (required)")
	flags.IntVar(&b.count, "count", 0, "boards in total (default: one for each bay)")
	flags.IntVar(&b.jobs, "jobs", 0, "boards at the same time (default: all bays)")
	flags.StringVar(&b.order, "order", "", "work order that the boards are counted for")
	flags.Int64Var(&b.quota, "quota", 0, "opens the work order for that many boards, if it is not open yet")
	flags.StringVar(&b.jsonl, "jsonl", "", "write one JSON line for each Run to this file")
	flags.StringVar(&b.junit, "junit", "", "write a JUnit report to this file")
	flags.StringVar(&b.progress, "progress", "auto", "auto, plain or none; goes to standard error")
	flags.StringVar(&b.firmware, "firmware", "", "build directory of the firmware of emulated boards")
	flags.StringVar(&b.image, "image", "", imageHelp)
	flags.BoolVar(&b.clock, "accept-clock", false, acceptClockHelp)
	return cmd
}

// batch is the whole command, from flags to exit code.
func (c *command) batch(ctx context.Context, ask *batch) (err error) {
	// 1. What is asked for; nothing is touched before all of it makes sense.
	s, err := existing(c.dir)
	if err != nil {
		return err
	}
	places, mode, err := ask.read(c.stderr)
	if err != nil {
		return usage(err)
	}

	// 2. A watch for signals, and the bench.
	ctx, drain, done := watch(ctx)
	defer done()
	watcher := newProgress(c.stderr, mode)
	b, err := open(drain, ask.opening(s), watcher.event) // until Runs begin one Ctrl-C is enough
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	line, err := ask.bench(b, places)
	if err != nil {
		return err
	}
	reports, err := openReports(b, ask.jsonl, ask.junit) // the lock is ours: nobody else writes these files
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reports.close()) }()
	if err := ask.openOrder(drain, b); err != nil {
		return err
	}
	watcher.expect(ask.total(places) * len(b.keys()))
	line.Ended = func(run *station.Run) {
		reports.add(run)
		watcher.end(run)
		if watcher.count()%checkpointEvery == 0 {
			reports.errs = append(reports.errs, b.checkpoint())
		}
	}

	// 3. The Runs.
	defer context.AfterFunc(drain, b.station.Drain)()
	watcher.start()
	started := time.Now()
	runs, short := line.Run(ctx)
	took := time.Since(started)
	watcher.finish()

	// 4. What came of it.
	err = b.checkpoint()
	suite := b.suite(ask, started, took)
	err = errors.Join(err, reports.finish(suite, runs))
	err = errors.Join(err, writeTable(c.stdout, runs, took), writeAdvice(c.stdout, runs))
	fmt.Fprintf(c.stdout, "certificates in %s, root in %s\n", s.certificates(), s.root())
	if b.token.Info().Software {
		fmt.Fprintln(c.stdout, "The keys are in SoftHSM, which protects nothing: for demonstrations and CI only.")
	}
	return conclude(runs, short, err)
}

// read checks the flags.
func (a *batch) read(stderr io.Writer) ([]place, string, error) {
	if a.boards == "" {
		return nil, "", fmt.Errorf("--boards is missing: %w", errBoards)
	}
	places, err := parsePlaces(a.boards)
	if err != nil {
		return nil, "", err
	}
	if a.count < 0 || a.jobs < 0 || a.count > 1_000_000 {
		return nil, "", errors.New("--count and --jobs: want 1 to 1,000,000, or leave them out")
	}
	if a.quota < 0 || a.quota > 0 && a.order == "" {
		return nil, "", errors.New("--quota: want a number of boards, together with --order")
	}
	for _, p := range places {
		if p.model == nil && a.total(places) > len(places) {
			return nil, "", fmt.Errorf("--count %d: %w", a.count, errOnePerPort)
		}
	}
	mode, err := progressMode(a.progress, stderr)
	return places, mode, err
}

// opening says how the bench is to be opened.
func (a *batch) opening(s state) *bench {
	b := &bench{state: s}
	if a.clock {
		b.acceptClock = operator()
	}
	return b
}

// openOrder opens the work order when a quota was given; a second time it must be the same.
func (a *batch) openOrder(ctx context.Context, b *bench) error {
	if a.quota == 0 {
		return nil
	}
	return usage(b.registry.OpenOrder(ctx, a.order, b.profile.Name(), a.quota, operator()))
}

// suite is the head of the JUnit report.
func (b *bench) suite(ask *batch, started time.Time, took time.Duration) suite {
	s := suite{name: b.config.Station, profiles: map[devices.Purpose]string{}, started: started, took: took,
		properties: []junitProperty{{"boards", ask.boards}, {"order", ask.order}}}
	for _, profile := range b.profiles() {
		s.profiles[profile.Purpose()] = profile.Name()
		s.properties = append(s.properties, junitProperty{"profile_sha256", fmt.Sprintf("%x", profile.SHA256())})
	}
	return s
}

// total is the number of boards.
func (a *batch) total(places []place) int {
	if a.count > 0 {
		return a.count
	}
	return len(places)
}

// bench makes the engine's part of the batch.
func (a *batch) bench(b *bench, places []place) (*station.Bench, error) {
	for _, p := range places {
		if p.model != nil && !b.config.Boards.AllowEmulated {
			return nil, usage(fmt.Errorf("--boards %s: %w", p.bay, errNotEmulated))
		}
	}
	if err := b.roomOnDisk(); err != nil {
		return nil, err
	}
	fleet := &fleet{state: b.state, firmware: b.config.Firmware, folder: a.firmware, file: a.image, baud: b.config.Boards.Baud,
		network: b.overNetwork()}
	bays, err := fleet.bays(places)
	if err != nil {
		return nil, err
	}
	return &station.Bench{
		Station: b.station, Bays: bays, Count: a.count, Jobs: a.jobs,
		Operator: operator(), Order: a.order, Rework: a.rework,
	}, nil
}

// operator is who is logged in on this machine.
func operator() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid-%d", os.Getuid())
}

// conclude turns Runs into the exit code. short is why fewer Runs were begun than
// asked for; trouble is what went wrong beside the Runs.
func conclude(runs []*station.Run, short, trouble error) error {
	counts := endings(runs)
	if trouble != nil {
		counts[station.Fault]++
	}
	if short != nil && exitOf(counts) == exitPass {
		counts[station.Aborted]++
	}
	code := exitOf(counts)
	if code == exitPass {
		return nil
	}
	return &exitError{code, errors.Join(short, trouble)}
}
