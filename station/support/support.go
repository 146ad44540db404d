// Package support writes the bundle of `station doctor --report`: one file that an engineer can send to support. It has the checks,
// the effective configuration, the bench, numbers of the registry, the newest entries of the audit log and the end of the log. It never
// has a PIN, a private key or the code of a badge, and without boards no name of a board either. It only reads.
package support

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"hallmark/station/health"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// A Bundle is what one command gathers. Its zero value gathers nothing and writes nothing.
type Bundle struct {
	out         string
	withoutIDs  bool
	checks      strings.Builder
	testingRoot string // directory with sys and dev; "": this machine
}

// suffix ends the name of a bundle. Other names would suggest another format.
const suffix = ".tar.gz"

var (
	errSuffix = errors.New("--report: want a name that ends in " + suffix)
	errExists = errors.New("this file exists already; name a new file, or remove this one")
	errAlone  = errors.New("--without-boards is for --report: name the file of the report, too")
)

// Flags adds the flags.
func (b *Bundle) Flags(flags *pflag.FlagSet) {
	flags.StringVar(&b.out, "report", "", "new FILE.tar.gz for support: checks, configuration, bench, log; without PIN, keys, badges and names of operators")
	flags.BoolVar(&b.withoutIDs, "without-boards", false, "write numbers in place of BoardIDs, hardware IDs and serial numbers into the report")
}

// Station gives the directory of the station. It refuses a file that cannot be written before the checks, which can take a minute.
func (b *Bundle) Station(path string) (workdir.Dir, error) {
	dir, err := workdir.Existing(path)
	if err == nil {
		err = b.check(dir)
	}
	return dir, err
}

func (b *Bundle) check(dir workdir.Dir) error {
	switch {
	case b.out == "" && b.withoutIDs:
		return reason.Usage(errAlone)
	case b.out == "":
		return nil
	case !strings.HasSuffix(b.out, suffix):
		return reason.Usage(fmt.Errorf("%w, not %q", errSuffix, b.out))
	}
	if _, err := os.Lstat(b.out); err == nil {
		return reason.Usage(fmt.Errorf("%s: %w", b.out, errExists))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return reason.Usage(fmt.Errorf("looking for the file of the report: %w", err))
	}
	if err := dir.MayWrite(b.out); err != nil {
		return err
	}
	return workdir.InFolder(b.out)
}

// Add notes a check.
func (b *Bundle) Add(check health.Check) { b.checks.WriteString(check.Text()) }

// Write writes the bundle, if one is wanted, and says so. A part that cannot be read is in the bundle as its error, because the bundle is
// for stations that are broken.
func (b *Bundle) Write(ctx context.Context, dir workdir.Dir, out io.Writer) error {
	if b.out == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	text, err := b.pack(ctx, dir, time.Now())
	if err != nil {
		return fmt.Errorf("writing the report for support: %w", err)
	}
	if err := workdir.WriteFile(b.out, text); err != nil {
		return fmt.Errorf("writing the report for support: %w", err)
	}
	_, err = fmt.Fprintf(out, "\n%s is for support: %d KiB. Read it before you send it.\n", reason.Printable(b.out), (len(text)+1023)/1024)
	return err
}

// pack gives the octets of the bundle.
func (b *Bundle) pack(ctx context.Context, dir workdir.Dir, now time.Time) ([]byte, error) {
	hide := newRedactor(b.withoutIDs)
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	files := tar.NewWriter(zipped)
	for _, p := range b.parts(dir) {
		var text strings.Builder
		if err := p.write(ctx, &text); err != nil {
			fmt.Fprintf(&text, "\nthis part is not complete: %v\n", err)
		}
		content := hide.text(text.String())
		header := &tar.Header{Name: "station-report/" + p.name, Mode: 0o600, Size: int64(len(content)), ModTime: now.Truncate(time.Second)}
		if err := files.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(files, content); err != nil {
			return nil, err
		}
	}
	err := errors.Join(files.Close(), zipped.Close())
	return packed.Bytes(), err
}
