package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"hallmark/configs"
	"hallmark/station/label"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// `station doctor --scanner`: an operator scans labels, and the doctor says what the scanner typed.

const (
	scansWanted = 3
	scanQuiet   = 1500 * time.Millisecond // a scan is over when nothing comes for so long
	scanOctets  = 2048                    // of one scan
	etx         = 0x03                    // also Ctrl-C
)

// Errors of CheckScanner.
var (
	ErrNoTerminal = errors.New("want a terminal with the scanner: run it at the bench, without a pipe")
	ErrScanner    = errors.New("the scanner is not set right")
	errGivenUp    = errors.New("given up with Ctrl-C")
)

// A typedOctet is one octet of the scanner, and when it came.
type typedOctet struct {
	octet byte
	at    time.Time
}

// CheckScanner asks for three scans and writes what it saw, with the lines for station.yaml. It opens neither registry
// nor HSM, so it also works beside a station.
func CheckScanner(ctx context.Context, dir workdir.Dir, in io.Reader, out io.Writer) (err error) {
	config, err := configs.Load(dir.Config())
	if err != nil {
		return reason.Usage(err)
	}
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return reason.Usage(ErrNoTerminal)
	}
	before, err := term.MakeRaw(int(file.Fd())) // so that each octet comes as it is
	if err != nil {
		return fmt.Errorf("taking the terminal: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(int(file.Fd()), before)) }()
	return scanSession{file, out, config.LabelReader()}.check(ctx)
}

// A scanSession asks for scans.
type scanSession struct {
	in     *os.File
	out    io.Writer
	labels *label.Reader
}

func (s scanSession) say(format string, args ...any) {
	fmt.Fprintf(s.out, strings.ReplaceAll(format, "\n", "\r\n"), args...) // raw: a line feed does not return
}

func (s scanSession) check(ctx context.Context) error {
	octets, stop := readOctets(s.in)
	defer stop()
	s.say("Scan three different labels, one after the other. Ctrl-C gives up.\n")
	var scans []scan
	for n := range scansWanted {
		s.say("\nLabel %d of %d: ", n+1, scansWanted)
		typed, err := nextScan(ctx, octets)
		if err != nil {
			s.say("\n")
			return err
		}
		scans = append(scans, newScan(typed, s.labels))
		s.say("%s\n", strings.Join(scans[n].lines(), "\n  "))
	}
	finding := conclude(scans, s.labels)
	s.say("\n%s\n", strings.Join(finding.lines(), "\n"))
	if finding.wrong > 0 {
		return fmt.Errorf("%w: %s", ErrScanner, reason.Count(finding.wrong, "finding above", "findings above"))
	}
	return nil
}

// pollPause is how long stop waits at most for the reader of the terminal.
const pollPause = 100 * time.Millisecond

// readOctets reads the terminal until stop is called. stop waits for the reader.
func readOctets(in *os.File) (octets <-chan typedOctet, stop func()) {
	read, ended := make(chan typedOctet), make(chan struct{})
	go func() {
		defer close(read)
		for more := true; more; {
			select {
			case <-ended:
				return
			default:
				more = readSome(in, read, ended)
			}
		}
	}()
	return read, func() {
		close(ended)
		for range read { // until the reader has closed it
		}
	}
}

// readSome passes on what is typed within pollPause, and reports whether more can come.
func readSome(in *os.File, read chan<- typedOctet, ended <-chan struct{}) bool {
	ready := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}}
	if n, err := unix.Poll(ready, int(pollPause.Milliseconds())); n == 0 || errors.Is(err, unix.EINTR) {
		return true
	}
	buffer := make([]byte, 256)
	n, err := in.Read(buffer)
	at := time.Now()
	for _, octet := range buffer[:n] {
		select {
		case read <- typedOctet{octet, at}:
		case <-ended:
			return false
		}
	}
	return err == nil
}

// nextScan waits for a scan and for its end.
func nextScan(ctx context.Context, octets <-chan typedOctet) (typed []typedOctet, err error) {
	var quiet <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case o, more := <-octets:
			if !more {
				return nil, io.ErrUnexpectedEOF
			}
			if typed = append(typed, o); len(typed) >= scanOctets {
				return typed, nil
			}
			quiet = time.After(scanQuiet)
		case <-quiet:
			if len(typed) == 1 && typed[0].octet == etx {
				return nil, errGivenUp
			}
			return typed, nil
		}
	}
}
