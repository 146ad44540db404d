package support

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/configs"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/hardware"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// Bounds of a bundle, so that it fits into a mail.
const (
	newestEntries = 300
	newestRuns    = 200
	endOfLog      = 512 << 10 // octets
	mostFiles     = 1000      // lines of the list of files
)

// A part is one file of the bundle.
type part struct {
	name  string
	write func(context.Context, io.Writer) error
}

func (b *Bundle) parts(dir workdir.Dir) []part {
	return []part{
		{"readme.txt", b.readme},
		{"doctor.txt", func(_ context.Context, w io.Writer) error { _, err := io.WriteString(w, b.checks.String()); return err }},
		{"system.txt", func(_ context.Context, w io.Writer) error { return system(dir, w) }},
		{"configuration.txt", func(_ context.Context, w io.Writer) error { return configuration(dir, w) }},
		{"bench.txt", func(_ context.Context, w io.Writer) error {
			return hardware.Show(w, hardware.Options{Config: dir.Config(), Sysfs: b.testingRoot})
		}},
		{"files.txt", func(_ context.Context, w io.Writer) error { return files(dir, w) }},
		{"registry.txt", func(ctx context.Context, w io.Writer) error { return numbers(ctx, dir, w) }},
		{"runs.txt", func(ctx context.Context, w io.Writer) error { return runs(ctx, dir, w) }},
		{"audit.jsonl", func(ctx context.Context, w io.Writer) error { return entries(ctx, dir, w) }},
		{"station.log", func(_ context.Context, w io.Writer) error { return log(dir, w) }},
	}
}

func (b *Bundle) readme(_ context.Context, w io.Writer) error {
	boards := "BoardIDs, hardware IDs and serial numbers are in it; --without-boards writes numbers in their place."
	if b.withoutIDs {
		boards = "In place of BoardIDs, hardware IDs, serial numbers and digests it has numbers: id-7 is the same in all files."
	}
	_, err := fmt.Fprintf(w, `Report of a provisioning station for support, by "station doctor --report".

It has no PIN, no private key, no code of a badge and no name of an operator.
%s
It is no evidence: for an auditor there is "station audit export".

doctor.txt         the checks of this moment
system.txt         program, machine, free space
configuration.txt  station.yaml with all defaults, without its comments; digests of the profiles
bench.txt          bays, probes and ports
files.txt          the station directory: modes, sizes, times
registry.txt       schema, and what a migration would do
runs.txt           the newest %d Runs
audit.jsonl        the newest %d entries of the audit log; operators are person-1, person-2 ...
station.log        the end of the log for engineers
`, boards, newestRuns, newestEntries)
	return err
}

func system(dir workdir.Dir, w io.Writer) error {
	build := station.ThisBuild()
	fmt.Fprintf(w, "program  version %s, commit %s, changed %v, %s\n", build.Version, build.Commit, build.Changed, build.Go)
	fmt.Fprintf(w, "time     %s\n", time.Now().UTC().Format(time.RFC3339))
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return err
	}
	fmt.Fprintf(w, "kernel   %s %s %s, %d CPUs\n", unix.ByteSliceToString(kernel.Sysname[:]), unix.ByteSliceToString(kernel.Release[:]), unix.ByteSliceToString(kernel.Machine[:]), runtime.NumCPU())
	if text, err := workdir.ReadFile("/etc/os-release"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, found := strings.CutPrefix(line, "PRETTY_NAME="); found {
				fmt.Fprintf(w, "system   %s\n", strings.Trim(strings.TrimSpace(name), `"`))
			}
		}
	}
	groups, err := os.Getgroups()
	fmt.Fprintf(w, "user     %d, groups %v\n", os.Getuid(), groups)
	free, bad := dir.FreeMiB()
	fmt.Fprintf(w, "space    %d MiB free\n", free)
	return errors.Join(err, bad)
}

// configuration writes the values and not the file, because a comment of the file can say anything.
func configuration(dir workdir.Dir, w io.Writer) error {
	text, err := workdir.ReadFile(dir.Config())
	if err != nil {
		return err
	}
	all, err := configs.Settings("station.yaml", text)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range all {
		source := "default"
		if s.Line > 0 {
			source = fmt.Sprintf("line %d", s.Line)
		}
		fmt.Fprintf(table, "%s:\t%s\t# %s\n", s.Key, reason.Printable(s.Value), source)
	}
	err = errors.Join(err, table.Flush())
	for _, path := range []string{dir.Config(), dir.Profile(), dir.COSEProfile(), dir.Badges()} {
		switch content, bad := workdir.ReadUpTo(path, configs.MaxBadges); {
		case bad == nil:
			fmt.Fprintf(w, "# %s  sha256 %x\n", filepath.Base(path), sha256.Sum256(content))
		case !errors.Is(bad, fs.ErrNotExist):
			err = errors.Join(err, bad)
		}
	}
	return err
}

// counted are the directories whose files are only counted: there can be 200,000, and their names are BoardIDs.
var counted = []string{"certificates", "bays", "hsm", "copies"}

func files(dir workdir.Dir, w io.Writer) error {
	lines := 0
	return filepath.WalkDir(string(dir), func(path string, entry fs.DirEntry, err error) error {
		name, bad := filepath.Rel(string(dir), path)
		if bad != nil || err != nil {
			fmt.Fprintf(w, "%v\n", errors.Join(bad, err))
			return nil // a directory that cannot be read is a finding, and the others are still of use
		}
		if lines++; lines > mostFiles {
			fmt.Fprintln(w, "and more")
			return fs.SkipAll
		}
		info, err := entry.Info()
		if err != nil {
			fmt.Fprintf(w, "%v\n", err)
			return nil
		}
		owner := "?"
		if stat, is := info.Sys().(*syscall.Stat_t); is {
			owner = fmt.Sprint(stat.Uid)
		}
		fmt.Fprintf(w, "%s %5s %12d %s %s", info.Mode(), owner, info.Size(), info.ModTime().UTC().Format(time.RFC3339), name)
		if entry.IsDir() && slices.Contains(counted, name) {
			number, octets := count(path)
			fmt.Fprintf(w, ": %s, %d octets\n", reason.Count(number, "file", "files"), octets)
			return fs.SkipDir
		}
		fmt.Fprintln(w)
		return nil
	})
}

func count(folder string) (number int, octets int64) {
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			number, octets = number+1, octets+info.Size()
		}
		return nil
	})
	return number, octets
}

func numbers(ctx context.Context, dir workdir.Dir, w io.Writer) error {
	todo, err := instance.PlanMigration(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Fprint(w, todo.Text())
	return with(ctx, dir, func(reader *registry.Reader) error {
		size, err := reader.LogSize(ctx)
		if err != nil {
			return err
		}
		covered, _, err := reader.NewestCheckpoint(ctx)
		fmt.Fprintf(w, "audit log %s, %d of them under the newest checkpoint\n", reason.Count(size, "entry", "entries"), covered)
		if err != nil {
			return err
		}
		stopped, err := reader.StoppedBays(ctx)
		for _, bay := range stopped {
			fmt.Fprintf(w, "stopped   bay %s: %s\n", bay.Name, bay.Reason)
		}
		return err
	})
}

func runs(ctx context.Context, dir workdir.Dir, w io.Writer) error {
	return with(ctx, dir, func(reader *registry.Reader) error {
		found, err := reader.SearchRuns(ctx, registry.Search{Limit: newestRuns})
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "BEGUN\tCLOSED\tBAY\tPURPOSE\tENDING\tREASON\tOUTCOME\tBOARD\tRUN")
		for _, r := range found {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Begun, r.Closed, r.Bay, r.Purpose, r.Ending, r.Reason, r.Outcome, r.BoardID, r.ID)
		}
		return errors.Join(err, table.Flush())
	})
}

// entries writes the newest entries of the audit log, with numbers in place of persons.
func entries(ctx context.Context, dir workdir.Dir, w io.Writer) error {
	return with(ctx, dir, func(reader *registry.Reader) error {
		size, err := reader.LogSize(ctx)
		if err != nil {
			return err
		}
		bodies, err := reader.Bodies(ctx, max(0, size-newestEntries), size)
		if err != nil {
			return err
		}
		known := &persons{numbers: map[string]string{}}
		for _, body := range bodies {
			if err := known.learn(body); err != nil {
				return err
			}
		}
		for _, body := range bodies {
			if _, err := fmt.Fprintf(w, "%s\n", known.hide(body)); err != nil {
				return err
			}
		}
		return nil
	})
}

// persons are the names of the persons in some entries.
type persons struct{ numbers map[string]string }

func (p *persons) learn(body []byte) error {
	e, err := audit.Decode(body)
	if err != nil {
		return err
	}
	names := []string{e.Details["operator"], e.Details["by"]}
	if e.Run != nil {
		names = append(names, e.Run.Operator)
	}
	if e.Actor.Kind == "human" {
		names = append(names, e.Actor.ID)
	}
	for _, name := range names {
		if _, known := p.numbers[name]; !known && name != "" {
			p.numbers[name] = fmt.Sprintf("person-%d", len(p.numbers)+1)
		}
	}
	return nil
}

// hide replaces each text of the entry that is the name of a person.
func (p *persons) hide(body []byte) []byte {
	for name, number := range p.numbers {
		var was bytes.Buffer
		encoder := json.NewEncoder(&was)
		encoder.SetEscapeHTML(false) // as audit.Encode
		if err := encoder.Encode(name); err != nil {
			continue // a name that JSON cannot hold is in no entry
		}
		body = bytes.ReplaceAll(body, append([]byte{':'}, bytes.TrimSpace(was.Bytes())...), []byte(`:"`+number+`"`))
	}
	return body
}

// log writes the end of the log for engineers, from the beginning of a line on.
func log(dir workdir.Dir, w io.Writer) error {
	file, err := workdir.Open(dir.LogFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	from := max(0, info.Size()-endOfLog)
	text, err := io.ReadAll(io.NewSectionReader(file, from, endOfLog))
	if from > 0 {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	_, bad := w.Write(text)
	return errors.Join(err, bad)
}

func with(ctx context.Context, dir workdir.Dir, do func(*registry.Reader) error) (err error) {
	reader, err := instance.OpenReader(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	return do(reader)
}
