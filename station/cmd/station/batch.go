package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

// A batch holds the flags of `batch` and `enrol`.
type batch struct {
	boards   string
	bay      string // of `enrol`
	count    operate.Number
	jobs     operate.Number
	order    string
	quota    operate.Number
	allow    operate.Images
	rework   string
	jsonl    string
	junit    string
	progress string
	images   instance.Images
	clock    bool

	total int // boards
}

const (
	boardsHelp      = "bays: qemu:8, qemu-an521:4, qemu-zephyr:4 (--image names another image), posix:32, /dev/ttyACM0,/dev/ttyACM1, tcp://HOST:PORT, rfc2217://HOST:PORT (default: the bays of station.yaml)"
	imageHelp       = "firmware image of the emulated boards, which are then of one kind"
	firmwareHelp    = "build directory of the firmware of emulated boards"
	acceptClockHelp = "you say that the clock is right although it is behind the audit log; goes on record"
)

func (c *command) batchCommand() *cobra.Command {
	var b batch
	cmd := &cobra.Command{
		Use:   "batch [--boards LIST]",
		Short: "Enrols many boards at once, unattended",
		Long: `batch enrols one board in each bay, or --count boards in all: the bays get boards in turn, and board
5 of 4 bays is the second board of the first bay, whichever bay is faster.

With a profile for COSE keys (cose_profile in station.yaml) each board has two Runs, one for each
of its keys.

Without --boards the bays are those of station.yaml. --boards takes KIND:NUMBER with KIND one of posix, qemu,
qemu-an521, qemu-zephyr, or paths or addresses of serial ports, separated by commas. Emulated boards live in DIR/bays/BAY/1, 2, 3 ... and are kept: the
next batch meets the same boards in the same order.

--jsonl - writes the JSON lines to standard output, and the table to standard error. A reader that
stops reading stops no Run. The exit code counts JSON lines that nobody took as a Fault, and a table
that nobody took only if its reader did not close the pipe.

If the HSM is lost the batch pauses; when the HSM is back within five minutes, the Runs that the
loss ended are done again, and only the new ones count.

Ctrl-C once: no Run is cut between signing and recording; others end as Aborted. Twice: stop now.

` + reason.ExitHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.batch(cmd.Context(), &b) },
	}
	flags := cmd.Flags()
	flags.StringVar(&b.boards, "boards", "", boardsHelp)
	flags.Var(&b.count, "count", "boards in total (default: one for each bay)")
	flags.Var(&b.jobs, "jobs", "boards at the same time (default: all bays)")
	flags.StringVar(&b.order, "order", "", "work order that the boards are counted for")
	flags.Var(&b.quota, "quota", "opens the work order for that many boards, if it is not open yet")
	flags.Var(&b.allow, "firmware-allow", "the work order that --quota opens is for boards with these firmware images only")
	flags.StringVar(&b.jsonl, "jsonl", "", "write one JSON line for each Run to this file; - is standard output")
	flags.StringVar(&b.junit, "junit", "", "write a JUnit report to this file")
	flags.StringVar(&b.progress, "progress", "auto", "auto, plain or none; goes to standard error")
	b.emulationFlags(cmd)
	return cmd
}

// emulationFlags adds the flags that all enrolling commands have.
func (b *batch) emulationFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&b.images.Folder, "firmware", "", firmwareHelp)
	flags.StringVar(&b.images.File, "image", "", imageHelp)
	flags.BoolVar(&b.clock, "accept-clock", false, acceptClockHelp)
}

// batch is the whole command, from the flags to the exit code.
func (c *command) batch(ctx context.Context, ask *batch) (err error) {
	// 1. Check all flags before anything is opened.
	dir, err := workdir.Existing(c.dir)
	if err != nil {
		return err
	}
	bays, mode, err := ask.read(dir, c.stderr)
	if err != nil {
		return reason.Usage(err)
	}

	// 2. Watch for signals, and open the station.
	ctx, drain, done := watch(ctx)
	defer done()
	files, err := instance.OpenFiles(dir, ask.options())
	if err != nil {
		return ask.noneBegun(unopened(dir), bays, err)
	}
	opened, err := files.Open(drain) // before the first Run, one Ctrl-C stops the command
	if err != nil {
		return ask.noneBegun(files, bays, err)
	}
	defer func() { err = afterwards(err, opened.Close()) }()
	work, err := ask.prepare(drain, opened, bays, c.stdout)
	if err != nil {
		return ask.noneBegun(files, bays, err)
	}
	defer func() { err = afterwards(err, work.reports.Close()) }()

	// 3. Do the Runs.
	observers := report.NewObservers(c.stdout, c.stderr, ask.jsonl == report.Standard)
	c.stderr = observers.Stderr
	result, err := work.run(ctx, drain, report.NewProgress(observers.Stderr, mode))

	// 4. Write reports, table and exit code. The table says which witnesses have the newest checkpoint.
	opened.EndWitnesses()
	suite := ask.suite(files, bays, result.Short)
	suite.Exceptions, suite.Started, suite.Took = opened.Token.Info().Exceptions, result.Started, result.Took
	if result.Started.IsZero() {
		suite.Short, suite.Started = err, time.Now() // no Run could begin
	}
	err = errors.Join(err, work.reports.Finish(suite, result.Runs))
	table := report.Table{Console: ask.bay != "", Runs: result.Runs, Repeated: result.Repeated, Took: result.Took,
		Certificates: dir.Certificates(), Root: dir.Root(), Software: opened.Token.Info().Software, Exceptions: opened.Token.Info().Exceptions, Unwitnessed: opened.WitnessWarning(), Untold: opened.WebhookWarning(), Hub: opened.HubWarning()}
	return conclude(result, errors.Join(err, observers.Show(table.Text())))
}

// A batchRun is a batch with everything that its Runs need.
type batchRun struct {
	*batch
	opened  *instance.Instance
	bays    []instance.BaySpec
	boards  *instance.BoardSource
	reports *report.Files
}

// prepare checks disk, images, reports and work order. These checks need an open station.
func (a *batch) prepare(ctx context.Context, opened *instance.Instance, bays []instance.BaySpec, stdout io.Writer) (*batchRun, error) {
	if err := opened.HasSpace(); err != nil {
		return nil, err
	}
	boards, err := opened.Boards(bays, a.images)
	if err != nil {
		return nil, err
	}
	if err := operate.CheckBatch(ctx, opened.Record, operate.Batch{Operator: instance.LocalUser(), Order: a.order, Rework: a.rework}, int64(a.quota)); err != nil {
		return nil, err
	}
	// No other process writes these files, because this process holds the registry's lock.
	options := a.reports(opened.Files, stdout)
	options.Issuing = opened.Issuing.Raw
	reports, err := report.Open(options)
	if err != nil {
		return nil, err
	}
	if err := operate.OpenOrder(ctx, opened.Record, a.order, int64(a.quota), instance.LocalUser(), a.allow); err != nil {
		return nil, errors.Join(err, reports.Close())
	}
	if err := reports.Begin(); err != nil {
		return nil, errors.Join(err, reports.Close())
	}
	reports.Rebuild(ctx, opened.Registry)
	return &batchRun{a, opened, bays, boards, reports}, nil
}

// reports are the options of the reports.
func (a *batch) reports(files *instance.Files, stdout io.Writer) report.Options {
	return report.Options{Dir: files.Dir, Station: files.Config.Station, Log: files.Log, JSONL: a.jsonl, JUnit: a.junit, Stdout: stdout, Exceptions: files.Config.HSM.Allowed().String()}
}

// suite is the content of the JUnit report. short is why boards were not begun, or nil.
func (a *batch) suite(files *instance.Files, bays []instance.BaySpec, short error) report.Suite {
	return report.Suite{Name: files.Config.Station, Boards: a.named(bays), Order: a.order, Profiles: files.Profiles(),
		Bays: instance.BayNames(bays), Count: a.total, Short: short, Started: time.Now()}
}

// unopened are the files of a directory that cannot be opened, as far as the reports need them.
func unopened(dir workdir.Dir) *instance.Files {
	config, profile, err := instance.ReadSettings(dir)
	if err != nil {
		return &instance.Files{Dir: dir, Config: &configs.Config{Station: "station"}} // a report needs a name
	}
	return &instance.Files{Dir: dir, Config: config, Profile: profile}
}

// noneBegun replaces the reports of an earlier batch after a batch that began no board because of
// why, unless why is a mistake in usage. The exit code stays that of why.
func (a *batch) noneBegun(files *instance.Files, bays []instance.BaySpec, why error) error {
	if err := report.NoneBegun(a.reports(files, io.Discard), a.suite(files, bays, why)); err != nil {
		return &exitError{codeOf(why), errors.Join(why, err)}
	}
	return why
}

// run enrols the boards and signs a checkpoint at the end.
func (w *batchRun) run(ctx, drain context.Context, progress *report.Progress) (operate.Result, error) {
	progress.Expect(w.total * len(w.opened.Files.Keys()))
	progress.Start()
	defer progress.Finish()
	return operate.Unattended(ctx, drain, w.opened, operate.Options{Bays: w.bays, Boards: w.boards, Events: progress.Event,
		Ended: func(runs []*station.Run) { w.reports.Add(runs); progress.End(runs) }, Paused: progress.Pause},
		operate.Batch{Count: w.total, Jobs: int(w.jobs), Operator: instance.LocalUser(), Order: w.order, Rework: w.rework})
}

// read checks the flags, and returns the bays and the mode of --progress.
func (a *batch) read(dir workdir.Dir, stderr io.Writer) (bays []instance.BaySpec, mode string, err error) {
	if bays, err = a.selectBays(dir); err != nil {
		return nil, "", err
	}
	if a.quota > 0 && a.order == "" {
		return nil, "", errors.New("--quota: want it together with --order")
	}
	if len(a.allow) > 0 && a.quota == 0 {
		return nil, "", errors.New("--firmware-allow: want it together with --quota")
	}
	if a.total, err = operate.Total(bays, a.count); err != nil {
		return nil, "", err
	}
	if err := errors.Join(reason.CheckOptional("--order", a.order), reason.CheckOptional("--rework", a.rework)); err != nil {
		return nil, "", err
	}
	mode, err = report.ParseMode(a.progress, stderr)
	return bays, mode, err
}

// named returns what names the bays in reports and in the audit log.
func (a *batch) named(bays []instance.BaySpec) string {
	return cmp.Or(a.boards, strings.Join(instance.BayNames(bays), ","))
}

// selectBays returns the bays of the flags, or those of station.yaml.
func (a *batch) selectBays(dir workdir.Dir) ([]instance.BaySpec, error) {
	if a.bay != "" {
		return instance.SelectBay(dir, a.bay)
	}
	return instance.SelectBays(dir, a.boards)
}

// options returns the Options for opening the station.
func (a *batch) options() (options instance.Options) {
	if a.clock {
		options.AcceptClock = instance.LocalUser()
	}
	return options
}
