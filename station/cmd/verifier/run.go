package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
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

usage: verifier --listen ADDR --certificate FILE --key FILE --root FILE --known FILE [flags]

A board is accepted if its certificate chains to the root, its serial number
is in the list of known certificates with the same SHA-256 and BoardID, and its
status is active. It then reads one line, "ok " and six digits. Everybody else gets a
TLS alert, and the log says issuer, subject, serial number and reason.

  --listen ADDR         host:port (default 127.0.0.1:8443); port 0 picks a free one
  --certificate FILE    PEM: certificate of this endpoint, then its chain if any
  --key FILE            PEM: private key of the certificate, readable by its owner only
  --server-name NAME    DNS name boards demand (default: the first in the certificate)
  --root FILE           PEM: the one trust anchor
  --intermediate FILE   PEM: issuing CA certificates; may be given more than once
  --known FILE          JSON lines with exactly the keys serial, board_id, purpose
                        (tls, cose), certificate_sha256, status (active, issued,
                        delivered, superseded, revoked, scrapped, unresolved);
                        read again on SIGHUP
  --timeout DURATION    for one connection as a whole (default 30s)
  --limit N             connections at the same time (default 256)
  --log text|json       form of the log on standard error (default text)
  --self-test           try the endpoint with good and bad certificates and end
  --version             say version, commit and Go of this program and end

exit codes: 0 stopped by SIGINT or SIGTERM, 1 serving failed or the self-test
found an error, 3 wrong flags or files
`

// settings are the values of the flags.
type settings struct {
	listen, certificate, key, serverName, root, known, log string
	intermediates                                          []string
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
	server, list, err := set.server(log)
	if err != nil {
		fmt.Fprintf(stderr, "verifier: %v\n", err)
		return exitUsage
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", set.listen)
	if err != nil {
		fmt.Fprintf(stderr, "verifier: %v\n", err)
		return exitFault
	}
	if err := serve(ctx, set, server, list, listener, stdout, log); err != nil {
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
	flags.StringVar(&set.log, "log", "text", "")
	flags.DurationVar(&set.timeout, "timeout", 30*time.Second, "")
	flags.IntVar(&set.limit, "limit", 256, "")
	flags.BoolVar(&set.selfTest, "self-test", false, "")
	flags.BoolVar(&set.version, "version", false, "")
	flags.Func("intermediate", "", func(path string) error {
		set.intermediates = append(set.intermediates, path)
		return nil
	})
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
		{"--certificate", set.certificate}, {"--key", set.key}, {"--root", set.root}, {"--known", set.known},
	} {
		if needed.value == "" {
			return fmt.Errorf("%s is missing", needed.flag)
		}
	}
	if set.log != "text" && set.log != "json" {
		return fmt.Errorf("--log %q: want text or json", set.log)
	}
	if set.timeout <= 0 || set.limit <= 0 {
		return errors.New("--timeout and --limit must be positive")
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
func (set *settings) server(log *slog.Logger) (*verifier.Server, *reloading, error) {
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
	list := &reloading{path: set.known}
	if err := list.reload(); err != nil {
		return nil, nil, err
	}
	server, err := verifier.New(verifier.Config{
		Certificate: own, Root: roots[0], Intermediates: intermediates, Known: list, Now: time.Now, Log: log,
		ServerName: set.serverName, Timeout: set.timeout, Limit: set.limit,
	})
	return server, list, err
}

func (set *settings) ownCertificate() (tls.Certificate, error) {
	info, err := os.Stat(set.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return tls.Certificate{}, fmt.Errorf("%s has mode %04o: others can read the private key; chmod 600 it", set.key, info.Mode().Perm())
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

// certificates reads a PEM file that holds only certificates.
func certificates(path string) ([]*x509.Certificate, error) {
	text, err := workdir.ReadInput(path, workdir.MaxFile)
	if err != nil {
		return nil, err
	}
	var found []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s: a PEM block %q, want only CERTIFICATE", path, block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		found = append(found, certificate)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no PEM certificate in it", path)
	}
	return found, nil
}

// serve runs the verifier until ctx ends. At a hangup signal it reloads the list.
func serve(ctx context.Context, set *settings, server *verifier.Server, list *reloading, listener net.Listener, stdout io.Writer, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := make(chan struct{})
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	go func() {
		defer close(watched)
		list.watch(ctx, hangups, log)
	}()
	tested := make(chan error, 1)
	go func() { tested <- set.test(ctx, cancel, server, stdout) }()
	fmt.Fprintf(stdout, "listening on %s, server name %s, %s known\n", listener.Addr(), server.ServerName(), reason.Count(list.current.Load().Len(), "certificate", "certificates"))
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

// reloading is a list of known certificates that a reload replaces.
type reloading struct {
	path    string
	current atomic.Pointer[verifier.List]
}

func (r *reloading) Lookup(ctx context.Context, serial [16]byte) (station.Record, error) {
	return r.current.Load().Lookup(ctx, serial)
}

// reload reads the file. If the file is bad, the old list stays.
func (r *reloading) reload() error {
	file, err := os.Open(r.path)
	if err != nil {
		return err
	}
	defer file.Close()
	list, err := verifier.ReadList(file)
	if err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	r.current.Store(list)
	return nil
}

// watch reloads the list at each signal until ctx ends.
func (r *reloading) watch(ctx context.Context, hangups <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			if err := r.reload(); err != nil {
				log.Error("reloading; the list from before stays", "error", err)
				continue
			}
			log.Info("reloaded", "path", r.path, "certificates", r.current.Load().Len())
		}
	}
}
