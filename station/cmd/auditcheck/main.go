// Command auditcheck checks an evidence bundle of a station. It needs neither the station nor
// an HSM: it reads the files of the bundle, and what the auditor kept elsewhere.
package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/evidence/html"
	"hallmark/station/reason"
)

const usage = `auditcheck checks an evidence bundle that "station audit export" made.

Usage: auditcheck [flags] BUNDLE

BUNDLE is a directory or a tar file. Flags:
  --key FILE      verifier key of the log, from elsewhere (paper, headquarters); without it the
                  bundle is checked against its own key
  --anchor FILE   checkpoints that were kept elsewhere; may be repeated
  --mirror        BUNDLE is the copy of a log that a mirror keeps (C2SP tlog-mirror): entries and
                  tiles, without certificates and views
  --tsa FILE      root of the time stamping authority (PEM): checkpoint.tsr must be a time stamp of it
  --policy FILE   C2SP tlog-policy: the log and the witnesses that must have cosigned
  --json          the result as JSON

Exit codes: 0 everything holds; 1 there are findings; 3 usage, or the bundle cannot be read.
`

func main() {
	if err := reason.EndCrashesBySignal(); err != nil {
		fmt.Fprintln(os.Stderr, "auditcheck:", err)
		os.Exit(int(reason.ExitFault))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return int(reason.ExitPass)
	}
	if err != nil {
		fmt.Fprintf(stderr, "auditcheck: %v; see auditcheck --help\n", err)
		return int(reason.ExitUsage)
	}
	files, err := evidence.OpenFiles(a.bundle)
	if err != nil {
		fmt.Fprintln(stderr, "auditcheck:", err)
		return int(reason.ExitUsage)
	}
	check := evidence.Check
	if a.mirror {
		check = evidence.CheckMirror
	}
	verdict, err := check(ctx, files, a.options)
	if err = errors.Join(err, files.Close()); err != nil {
		fmt.Fprintln(stderr, "auditcheck:", err)
		return int(reason.ExitFault)
	}
	if err := a.print(stdout, verdict); err != nil {
		fmt.Fprintln(stderr, "auditcheck:", err)
		return int(reason.ExitFault)
	}
	if !verdict.Good() {
		return int(reason.ExitFault)
	}
	return int(reason.ExitPass)
}

type arguments struct {
	bundle  string
	json    bool
	mirror  bool
	options evidence.Options
}

func parse(args []string) (a arguments, err error) {
	var key, policy, tsa string
	var anchors []string
	flags := flag.NewFlagSet("auditcheck", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&key, "key", "", "")
	flags.StringVar(&policy, "policy", "", "")
	flags.StringVar(&tsa, "tsa", "", "")
	flags.BoolVar(&a.mirror, "mirror", false, "")
	flags.BoolVar(&a.json, "json", false, "")
	flags.Func("anchor", "", func(path string) error { anchors = append(anchors, path); return nil })
	if err := flags.Parse(args); err != nil {
		return a, err
	}
	if flags.NArg() != 1 {
		return a, fmt.Errorf("got %d arguments, want the bundle", flags.NArg())
	}
	if a.mirror && tsa != "" {
		return a, errors.New("--tsa: a mirror has no time stamps; check them in a bundle of the station")
	}
	a.bundle, a.options.Report = flags.Arg(0), again
	if key != "" {
		text, err := os.ReadFile(key)
		if err != nil {
			return a, fmt.Errorf("reading the key: %w", err)
		}
		a.options.Key = strings.TrimSpace(string(text))
	}
	if a.options.Anchors, err = audit.ReadAnchors(anchors); err != nil {
		return a, err
	}
	if a.options.TSA, err = readRoots(tsa); err != nil {
		return a, err
	}
	if policy == "" {
		return a, nil
	}
	text, err := os.ReadFile(policy)
	if err != nil {
		return a, fmt.Errorf("reading the policy: %w", err)
	}
	if a.options.Policy, err = evidence.ParsePolicy(text); err != nil {
		return a, fmt.Errorf("--policy %s: %w", policy, err)
	}
	return a, nil
}

// readRoots reads the roots of an authority. Without a file there are none.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the root of the authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--tsa %s: want a certificate in PEM", path)
	}
	return pool, nil
}

// again begins anew the report that a bundle has.
func again(found, checkpoint []byte) evidence.Report {
	if report := html.Again(found, checkpoint); report != nil {
		return report
	}
	return nil // and not a Report that holds a nil pointer
}

// print prints the verdict for people, or as JSON.
func (a *arguments) print(out io.Writer, v *evidence.Verdict) error {
	if a.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	for _, finding := range v.Findings {
		if _, err := fmt.Fprintf(out, "FINDING  %v\n", finding); err != nil {
			return err
		}
	}
	if v.More {
		if _, err := fmt.Fprintln(out, "The check stopped here; there may be more findings."); err != nil {
			return err
		}
	}
	if !v.Good() {
		_, err := fmt.Fprintf(out, "\nThe bundle does NOT hold: %d findings.\n", len(v.Findings))
		return err
	}
	_, err := fmt.Fprintf(out, "OK: log %s, %d entries, root %s\n    %d certificates, %d checkpoints from elsewhere\n%s", v.Origin, v.Size, v.Root, v.Certificates, v.Anchors, a.caution(v))
	return err
}

// caution says what the check could not show.
func (a *arguments) caution(v *evidence.Verdict) (text string) {
	if !v.KeyGiven {
		text += "    The key came from the bundle itself: compare log.vkey with the key of the ceremony, or give it with --key.\n"
	}
	if v.Anchors == 0 && a.options.Policy == nil {
		text += "    No checkpoint from elsewhere: newest entries may be missing, see README.txt.\n"
	}
	if v.Timestamp != "" {
		text += "    The checkpoint existed at " + v.Timestamp + ", says the time stamping authority.\n"
	}
	if v.Report == evidence.ReportSame {
		text += "    report.html follows from the entries.\n"
	}
	if v.Report == evidence.ReportOther {
		text += "    report.html was made by another version of the program, and was not compared with the entries.\n"
	}
	if a.mirror {
		text += "    A mirror has no certificates: only the entries about them were checked.\n"
	}
	return text
}
