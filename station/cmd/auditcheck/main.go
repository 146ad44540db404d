// Command auditcheck checks an evidence bundle of a station. It needs neither the station nor
// an HSM: it reads the files of the bundle, and what the auditor kept elsewhere.
package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/evidence/html"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

const usage = `auditcheck checks an evidence bundle that "station audit export", "station audit proof" or
"station affected --out" made.

Usage: auditcheck [flags] BUNDLE

BUNDLE is a directory or a tar file. Flags:
  --key FILE      verifier key of the log, from elsewhere (paper, headquarters); without it the
                  bundle is checked against its own key
  --root FILE     root certificate, from elsewhere; it must have signed the certificate of the audit
                  key, which then counts as the key from elsewhere
  --signed        the audit key must have signed the files of the bundle, too
  --anchor FILE   checkpoints that were kept elsewhere; may be repeated
  --mirror        BUNDLE is the copy of a log that a mirror keeps (C2SP tlog-mirror): entries and
                  tiles, without certificates and views
  --tsa FILE      root of the time stamping authority (PEM): checkpoint.tsr must be a time stamp of it
  --policy FILE   C2SP tlog-policy: the log and the witnesses that must have cosigned
  --no-report     do not compare report.html, for an older bundle that nobody signed; what the report
                  says then counts for nothing
  --json          the result as JSON
  --version       the version of the program

Exit codes: 0 everything holds; 1 there are findings, or the check came to no end; 3 usage, or the
bundle cannot be read.
`

func main() {
	if err := reason.EndCrashesBySignal(); err != nil {
		fmt.Fprintln(os.Stderr, "auditcheck:", err)
		os.Exit(int(reason.ExitFault))
	}
	// A reader that has gone (`| head`) decides no exit code: without this line SIGPIPE would end the program.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	debug.SetGCPercent(200) // a check makes much garbage and keeps little
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// maxInput is the largest key, policy or root certificate, in octets.
const maxInput = 1 << 20

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a, err := parse(args)
	if errors.Is(err, flag.ErrHelp) || a.version {
		text := usage
		if a.version {
			text = buildText()
		}
		fmt.Fprint(stdout, text)
		return int(reason.ExitPass)
	}
	if err != nil {
		fmt.Fprintf(stderr, "auditcheck: %s; see auditcheck --help\n", reason.OneLine(err))
		return int(reason.ExitUsage)
	}
	if err := workdir.CheckTree(a.bundle); err != nil {
		fmt.Fprintln(stderr, "auditcheck:", err)
		return int(reason.ExitUsage)
	}
	files, err := evidence.OpenFiles(a.bundle)
	if err != nil {
		fmt.Fprintln(stderr, "auditcheck:", reason.OneLine(err))
		return int(reason.ExitUsage)
	}
	check := evidence.Check
	if a.mirror {
		check = evidence.CheckMirror
	}
	verdict, err := check(ctx, files, a.options)
	if err = errors.Join(err, files.Close()); err != nil {
		fmt.Fprintln(stderr, "auditcheck:", reason.OneLine(err))
		return int(reason.ExitFault)
	}
	if err := a.print(stdout, verdict); err != nil && !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintln(stderr, "auditcheck:", reason.OneLine(err))
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
	version bool

	noReport bool // report.html is not compared
	options  evidence.Options
}

// sources are the files that the flags name.
type sources struct {
	key, policy, root, tsa string
	anchors                []string
}

// fitMirror refuses what a mirror does not hold.
func (s *sources) fitMirror(a *arguments) error {
	switch {
	case s.tsa != "":
		return errors.New("--tsa: a mirror has no time stamps; check them in a bundle of the station")
	case s.root != "":
		return errors.New("--root: a mirror has no certificates; check them in a bundle of the station")
	case a.options.Signed:
		return errors.New("--signed: a mirror has no signature of a bundle; check it in a bundle of the station")
	case a.noReport:
		return errors.New("--no-report: a mirror has no report; leave the flag out")
	}
	return nil
}

// parse reads the command line, and then the files that the command line names.
func parse(args []string) (a arguments, err error) {
	var from sources
	rest, err := parseFlags(&a, &from, args)
	if err != nil || a.version {
		return a, err
	}
	if err := from.fitMirror(&a); a.mirror && err != nil {
		return a, err
	}
	if len(rest) != 1 {
		return a, fmt.Errorf("got %s, want the bundle", reason.Count(len(rest), "argument", "arguments"))
	}
	if a.bundle = rest[0]; !a.noReport {
		a.options.Report = again
	}
	return a, from.read(&a.options)
}

// parseFlags returns the arguments that are no flags. Flags may stand behind the bundle, too.
func parseFlags(a *arguments, from *sources, args []string) (rest []string, err error) {
	flags := flag.NewFlagSet("auditcheck", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&from.key, "key", "", "")
	flags.StringVar(&from.policy, "policy", "", "")
	flags.StringVar(&from.tsa, "tsa", "", "")
	flags.StringVar(&from.root, "root", "", "")
	flags.Func("anchor", "", func(path string) error { from.anchors = append(from.anchors, path); return nil })
	flags.BoolVar(&a.mirror, "mirror", false, "")
	flags.BoolVar(&a.options.Signed, "signed", false, "")
	flags.BoolVar(&a.noReport, "no-report", false, "")
	flags.BoolVar(&a.json, "json", false, "")
	flags.BoolVar(&a.version, "version", false, "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	rest = flags.Args()
	if a.version || len(rest) == 0 {
		return rest, nil
	}
	err = flags.Parse(rest[1:])
	return append(rest[:1:1], flags.Args()...), err
}

// read reads the files into the options of the check.
func (from *sources) read(options *evidence.Options) (err error) {
	if from.key != "" {
		text, err := workdir.ReadInput(from.key, maxInput)
		if err != nil {
			return fmt.Errorf("reading the key: %w", err)
		}
		options.Key = strings.TrimSpace(string(text))
	}
	if from.root != "" {
		if options.Root, err = readRoot(from.root); err != nil {
			return err
		}
	}
	if options.Anchors, err = audit.ReadAnchors(from.anchors); err != nil {
		return err
	}
	if options.TSA, err = readRoots(from.tsa); err != nil {
		return err
	}
	return from.readPolicy(options)
}

func (from *sources) readPolicy(options *evidence.Options) error {
	if from.policy == "" {
		return nil
	}
	text, err := workdir.ReadInput(from.policy, maxInput)
	if err != nil {
		return fmt.Errorf("reading the policy: %w", err)
	}
	if options.Policy, err = evidence.ParsePolicy(text); err != nil {
		return fmt.Errorf("--policy %s: %w", from.policy, err)
	}
	return nil
}

// readRoots reads the roots of an authority. Without a file there are none.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := workdir.ReadInput(path, maxInput)
	if err != nil {
		return nil, fmt.Errorf("reading the root of the authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--tsa %s: want a certificate in PEM", path)
	}
	return pool, nil
}

// readRoot reads a certificate in PEM or DER.
func readRoot(path string) (*x509.Certificate, error) {
	content, err := workdir.ReadInput(path, workdir.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("reading the root: %w", err)
	}
	if block, _ := pem.Decode(content); block != nil {
		content = block.Bytes
	}
	root, err := x509.ParseCertificate(content)
	if err != nil {
		return nil, fmt.Errorf("--root %s: want a certificate in PEM or DER: %w", path, err)
	}
	return root, nil
}

// version is the version of the build; the linker sets it.
var version string

// buildText says which program this is, so that a verdict can name its checker.
func buildText() string {
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	return fmt.Sprintf("auditcheck %s, commit %s, %s %s/%s\n", cmp.Or(version, "unknown"), commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
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
		if _, err := fmt.Fprintf(out, "FINDING  %s\n", reason.Printable(finding.String())); err != nil {
			return err
		}
	}
	if v.More {
		if _, err := fmt.Fprintln(out, "The check stopped here; there may be more findings."); err != nil {
			return err
		}
	}
	if !v.Good() {
		_, err := fmt.Fprintf(out, "\nThe bundle does NOT hold: %s.\n", reason.Count(len(v.Findings), "finding", "findings"))
		return err
	}
	size := reason.Count(v.Size, "entry", "entries")
	if v.Part {
		size = fmt.Sprintf("%d of %s", v.Selected, size)
	}
	_, err := fmt.Fprintf(out, "OK: log %s, %s, root %s\n    %s, %s from elsewhere\n%s", v.Origin, size, v.Root,
		reason.Count(v.Certificates, "certificate", "certificates"), reason.Count(v.Anchors, "checkpoint", "checkpoints"), a.caution(v))
	return err
}

// caution says what the check could not show.
func (a *arguments) caution(v *evidence.Verdict) (text string) {
	if v.Receipts > 0 {
		text += "    " + reason.Count(v.Receipts, "receipt", "receipts") + " of boards: each is signed with the key of the certificate that the board presented.\n"
	}
	switch {
	case a.mirror:
		text += "    A mirror has no certificates: only the entries about them were checked.\n"
	case v.Signed != nil:
		text += fmt.Sprintf("    The audit key signed the files at %s, as its signer says.\n", v.Signed.UTC().Format(time.RFC3339))
	default:
		text += "    The files are not signed; the checkpoint is, and all else follows from it.\n"
	}
	if v.Question != nil {
		text += "    The question, as the bundle says: " + reason.Printable(v.Question.String()) + ".\n"
	}
	if v.Part {
		text += "    The bundle is a part of the log: it does not show that no other entry belongs to it.\n"
	}
	if !v.AuditCertificate && !a.mirror {
		text += "    The bundle has no certificate of the audit key.\n"
	}
	if !v.KeyGiven && !v.RootGiven {
		text += "    The key came from the bundle itself: compare log.vkey with the key of the ceremony, or give it with --key.\n"
	}
	where := "see README.txt"
	if a.mirror {
		where = "give one that was kept elsewhere with --anchor"
	}
	if v.Anchors == 0 && len(a.options.Anchors) == 0 && a.options.Policy == nil {
		text += "    No checkpoint from elsewhere: newest entries may be missing; " + where + ".\n"
	}
	if v.Timestamp != "" {
		text += "    The checkpoint existed at " + v.Timestamp + ", says the time stamping authority.\n"
	}
	for _, one := range v.NotChecked {
		text += "    NOT CHECKED  " + reason.Printable(one.String()) + "\n"
	}
	if v.Report == evidence.ReportSame {
		text += "    report.html follows from the entries.\n"
	}
	return text
}
