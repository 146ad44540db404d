package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"hallmark/station"
	"hallmark/station/reason"
	"hallmark/station/verifier"
	"hallmark/station/workdir"
)

// Exit codes.
const (
	exitOK    = 0 // stopped by a signal after serving, --help, or --version
	exitFault = 1 // serving failed
	exitUsage = 3 // wrong flags, or files that cannot be used
)

const usage = `verifier - the mutual-TLS endpoint that boards must convince

usage: verifier --listen ADDR --certificate FILE --key FILE --root FILE --status FILE [flags]

A board is accepted if its certificate chains to the root, its serial number
is in the status bundle with the same SHA-256 and BoardID, and its status is
active. It then reads one line, "ok " and six digits. Everybody else gets a TLS
alert, and the log says issuer, subject, serial number and reason. Instead of
--status there may be --known, or --crl alone: without a bundle or list, each
certificate of the CA is accepted that is not on the CRL, also of a board on hold,
of a COSE key without an extended key usage, or that never reached its board.

  --listen ADDR         host:port (default 127.0.0.1:8443); port 0 picks a free one
  --certificate FILE    PEM: certificate of this endpoint, then its chain if any
  --key FILE            PEM: private key of the certificate, readable by its owner only
  --server-name NAME    DNS name boards demand (default: the first in the certificate)
  --root FILE           PEM: the one trust anchor
  --intermediate FILE   PEM: issuing CA certificates; may be given more than once
  --status FILE         status bundle of ` + "`station status export`" + `, signed by the CA; read
                        again when another file has its name; may be given once
                        for each station, each with an issuing CA of its own
  --crl FILE            CRL of the issuing CA (DER or PEM), beside --status or --known,
                        or alone; may be given for each CA; read again as --status
  --stale refuse|warn   what to do when the next update of a bundle or CRL has passed:
                        accept nobody (default), or go on and warn
  --state FILE          remembers the newest bundle and CRL over restarts, so that
                        nobody can put an older file back
  --known FILE          without a signature: JSON lines with exactly the keys serial, board_id, purpose
                        (tls, cose), certificate_sha256, status (active, issued,
                        delivered, superseded, revoked, scrapped, unresolved, held);
                        read again on SIGHUP
  --timeout DURATION    for one connection as a whole (default 30s)
  --limit N             clients at the same time whose ClientHello has come (default
                        256); four times as many may be silent, for 20 s
  --log text|json       form of the log on standard error (default text)
  --self-test           try the endpoint with good and bad certificates and end
  --version             say version, commit and Go of this program and end

exit codes: 0 stopped by SIGINT or SIGTERM, 1 serving failed or the self-test
found an error, 3 wrong flags or files
`

// settings are the values of the flags.
type settings struct {
	listen, certificate, key, serverName, root, known, log string
	stale, state                                           string
	intermediates, statuses, crls                          []string
	timeout                                                time.Duration
	limit                                                  int
	selfTest, version                                      bool
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	set, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	if err == nil && set.version {
		fmt.Fprint(stdout, station.ThisBuild().Text("verifier", "none, this program uses no HSM"))
		return exitOK
	}
	if err == nil {
		err = set.complete()
	}
	if err != nil {
		fmt.Fprintf(stderr, "verifier: %v\nTry: verifier --help\n", err)
		return exitUsage
	}
	log := set.logger(stderr)
	server, known, err := set.server(log)
	if err != nil {
		for line := range strings.SplitSeq(reason.WithNext(err).Error(), "\n") {
			fmt.Fprintf(stderr, "verifier: %s\n", line)
		}
		return exitUsage
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", set.listen)
	if err != nil {
		fmt.Fprintf(stderr, "verifier: %v\n", err)
		return exitFault
	}
	if err := serve(ctx, set, server, known, listener, stdout, log); err != nil {
		fmt.Fprintf(stderr, "verifier: %v\n", err)
		return exitFault
	}
	return exitOK
}

func parse(args []string) (*settings, error) {
	var set settings
	flags := flag.NewFlagSet("verifier", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&set.listen, "listen", "127.0.0.1:8443", "")
	flags.StringVar(&set.certificate, "certificate", "", "")
	flags.StringVar(&set.key, "key", "", "")
	flags.StringVar(&set.serverName, "server-name", "", "")
	flags.StringVar(&set.root, "root", "", "")
	flags.StringVar(&set.known, "known", "", "")
	flags.StringVar(&set.stale, "stale", string(verifier.StaleRefuse), "")
	flags.StringVar(&set.state, "state", "", "")
	flags.StringVar(&set.log, "log", "text", "")
	flags.DurationVar(&set.timeout, "timeout", 30*time.Second, "")
	flags.IntVar(&set.limit, "limit", 256, "")
	flags.BoolVar(&set.selfTest, "self-test", false, "")
	flags.BoolVar(&set.version, "version", false, "")
	for name, paths := range map[string]*[]string{"intermediate": &set.intermediates, "status": &set.statuses, "crl": &set.crls} {
		flags.Func(name, "", func(path string) error {
			*paths = append(*paths, path)
			return nil
		})
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return &set, nil
}

func (set *settings) complete() error {
	for _, needed := range []struct{ flag, value string }{
		{"--certificate", set.certificate}, {"--key", set.key}, {"--root", set.root},
	} {
		if needed.value == "" {
			return fmt.Errorf("%s is missing", needed.flag)
		}
	}
	if err := set.completeStatus(); err != nil {
		return err
	}
	if set.log != "text" && set.log != "json" {
		return fmt.Errorf("--log %q: want text or json", set.log)
	}
	if set.timeout <= 0 || set.limit <= 0 {
		return errors.New("--timeout and --limit must be positive")
	}
	return nil
}

// completeStatus checks the flags that say what the program knows of certificates.
func (set *settings) completeStatus() error {
	signed := len(set.statuses) > 0 || len(set.crls) > 0
	switch {
	case len(set.statuses) > 0 && set.known != "":
		return errors.New("--status and --known: give one of them")
	case !signed && set.known == "":
		return errors.New("--status is missing: want --status, --known or --crl")
	case !signed && (set.state != "" || set.stale != string(verifier.StaleRefuse)):
		return errors.New("--state and --stale are about --status and --crl, which are missing")
	case set.stale != string(verifier.StaleRefuse) && set.stale != string(verifier.StaleWarn):
		return fmt.Errorf("--stale %q: want refuse or warn", set.stale)
	}
	return nil
}

func (set *settings) logger(w io.Writer) *slog.Logger {
	if set.log == "json" {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

// server makes the verifier from the files.
func (set *settings) server(log *slog.Logger) (*verifier.Server, *known, error) {
	own, err := set.ownCertificate()
	if err != nil {
		return nil, nil, err
	}
	roots, err := certificates(set.root)
	if err != nil {
		return nil, nil, err
	}
	if len(roots) != 1 {
		return nil, nil, fmt.Errorf("%s: want exactly one trust anchor, found %d", set.root, len(roots))
	}
	var intermediates []*x509.Certificate
	for _, path := range set.intermediates {
		more, err := certificates(path)
		if err != nil {
			return nil, nil, err
		}
		intermediates = append(intermediates, more...)
	}
	config := verifier.Config{
		Certificate: own, Root: roots[0], Intermediates: intermediates, Now: time.Now, Log: log,
		ServerName: set.serverName, Timeout: set.timeout, Limit: set.limit,
	}
	known, err := set.open(&config)
	if err != nil {
		return nil, nil, err
	}
	server, err := verifier.New(config)
	return server, known, err
}

func (set *settings) ownCertificate() (tls.Certificate, error) {
	info, err := os.Stat(set.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return tls.Certificate{}, fmt.Errorf("%s has mode %04o: others can read the private key; chmod 600 it", set.key, info.Mode().Perm())
	}
	if _, err := certificates(set.certificate); err != nil { // crypto/tls skips what is damaged
		return tls.Certificate{}, err
	}
	own, err := tls.LoadX509KeyPair(set.certificate, set.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("loading %s and its key: %w", set.certificate, err)
	}
	if set.serverName == "" && len(own.Leaf.DNSNames) > 0 {
		set.serverName = own.Leaf.DNSNames[0]
	}
	if set.serverName == "" {
		return tls.Certificate{}, fmt.Errorf("%s has no DNS name: give --server-name", set.certificate)
	}
	return own, nil
}

// certificates reads a PEM file that holds only certificates. The file may be a pipe.
func certificates(path string) ([]*x509.Certificate, error) {
	text, err := workdir.ReadInput(path, workdir.MaxFile)
	if err != nil {
		return nil, err
	}
	all, err := workdir.ParseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// serve runs the verifier until ctx ends. Meanwhile it reads new files.
func serve(ctx context.Context, set *settings, server *verifier.Server, known *known, listener net.Listener, stdout io.Writer, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := make(chan struct{})
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	go func() {
		defer close(watched)
		known.watch(ctx, hangups, log)
	}()
	tested := make(chan error, 1)
	go func() { tested <- set.test(ctx, cancel, server, stdout) }()
	fmt.Fprintf(stdout, "listening on %s, server name %s, %s\n", listener.Addr(), server.ServerName(), known.describe())
	err := server.Serve(ctx, listener)
	cancel()
	<-watched
	return errors.Join(err, <-tested)
}

// test does the self-test if the flag is set, and then ends the service.
func (set *settings) test(ctx context.Context, done context.CancelFunc, server *verifier.Server, stdout io.Writer) error {
	if !set.selfTest {
		return nil
	}
	defer done()
	checks, err := server.SelfTest(ctx)
	for _, check := range checks {
		word := "ok"
		if !check.OK {
			word = "WRONG"
			err = errors.Join(err, fmt.Errorf("self-test: %s: got %v, want %v", check.Name, check.Got, check.Want))
		}
		fmt.Fprintf(stdout, "%-5s %s\n", word, check.Name)
	}
	return err
}
