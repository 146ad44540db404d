package status

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/ocsp"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// ErrInUse: another program has the address.
var ErrInUse = reason.New("address-in-use", "another program listens on this address")

// Commands are the commands of one program. Dir is the value of --dir, known when a command runs.
type Commands struct {
	Dir            *string
	Stdout, Stderr io.Writer
}

// options are the flags of serve.
type options struct {
	listen, ocspListen string
	validity           time.Duration
	perSecond          float64
}

func (o *options) check() error {
	switch {
	case o.listen == "" && o.ocspListen == "":
		return errors.New("nothing to serve: want --ocsp-listen, --listen or both")
	case o.validity < time.Second || o.validity > 7*24*time.Hour:
		return fmt.Errorf("--validity %s: want 1s to 168h", o.validity)
	case o.perSecond < 1:
		return fmt.Errorf("--rate %v: want at least 1", o.perSecond)
	}
	return nil
}

// Command returns the command `serve`.
func (c *Commands) Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "serve --dir DIR [--ocsp-listen ADDRESS:PORT] [--listen ADDRESS:PORT]",
		Short: "Tells other programs the status of certificates: OCSP, and JSON over TLS",
		Long: `serve answers OCSP requests (RFC 6960) over plain HTTP on --ocsp-listen, because the answers are signed. On --listen,
over TLS with the certificate of the verifier, it answers OCSP requests below /ocsp, and GET /certificates/SERIAL,
/boards/BOARDID, /healthz and /readyz in JSON (docs/orders.md), and GET /metrics for Prometheus (docs/install.md).

It only reads, works beside a station and without one, and needs neither HSM nor PIN: ` + "`station renew-ocsp`" + ` has certified
a key for it before. A revocation is in the next answer. Anybody who reaches an address may ask, so a client gets at most
--rate requests in a second, and one that holds many connections loses them to others.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			context.AfterFunc(ctx, stop) // a second signal ends the program at once
			defer stop()
			if err := o.check(); err != nil {
				return reason.Usage(err)
			}
			return reason.WithNext(c.serve(ctx, &o))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", "", "address:port for TLS; port 0 means any free port")
	flags.StringVar(&o.ocspListen, "ocsp-listen", "", "address:port for OCSP over plain HTTP")
	flags.DurationVar(&o.validity, "validity", time.Hour, "time from an OCSP answer to its next update")
	flags.Float64Var(&o.perSecond, "rate", 200, "requests in a second of one client: an IPv4 address, or an IPv6 network of 64 bits")
	return cmd
}

func (c *Commands) serve(ctx context.Context, o *options) (err error) {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	if err := dir.CheckModes(); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.Stderr, nil))
	signer := &newestSigner{dir: dir, now: time.Now, log: log}
	if err := c.checkSigner(signer); err != nil {
		return err
	}
	issuing, err := workdir.ReadCertificate(dir.Issuing())
	if err != nil {
		return err
	}
	follower, err := registry.OpenFollower(ctx, dir.Registry())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, follower.Close()) }()
	server := NewServer(Config{Dir: dir, Registry: follower, Issuer: sha256.Sum256(issuing.RawSubjectPublicKeyInfo), Signer: signer.get,
		Validity: o.validity, PerSecond: o.perSecond, Now: time.Now, Log: log})
	return c.listen(ctx, server, dir, o)
}

// checkSigner refuses a key or a certificate that clients would refuse, and warns of a certificate that ends soon.
func (c *Commands) checkSigner(newest *newestSigner) error {
	signer, err := newest.get()
	if err == nil {
		err = ocsp.CheckExpiry(signer.Certificate, time.Now())
	}
	if errors.Is(err, ocsp.ErrEnding) {
		fmt.Fprintf(c.Stderr, "station: warning: %v: run `station renew-ocsp` before that\n", err)
		return nil
	}
	return err
}

// listen opens the addresses, says which they are, and serves them.
func (c *Commands) listen(ctx context.Context, server *Server, dir workdir.Dir, o *options) error {
	plain, err := open(ctx, o.ocspListen)
	if err != nil {
		return err
	}
	if plain != nil {
		defer plain.Close() // closed already, unless the lines below refuse
		fmt.Fprintf(c.Stdout, "OCSP over HTTP listens on %s\n", plain.Addr())
	}
	secure, err := open(ctx, o.listen)
	if err != nil {
		return err
	}
	var settings *tls.Config
	if secure != nil {
		defer secure.Close() // as above
		pair, err := instance.ServerPair(dir, time.Now())
		if err != nil {
			return err
		}
		settings = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		fmt.Fprintf(c.Stdout, "status over TLS listens on %s\n", secure.Addr())
	}
	return server.Serve(ctx, plain, secure, settings)
}

// open opens an address. Without one it gives nil.
func open(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: %w", ErrInUse, err)
	} else if err != nil {
		return nil, reason.Usage(fmt.Errorf("opening an address: %w", err))
	}
	return listener, nil
}
