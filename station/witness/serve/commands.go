package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Commands are the commands of one program. Dir is the value of --dir, known when a command runs.
type Commands struct {
	Dir            *string
	Stdout, Stderr io.Writer
}

var errNoDir = errors.New("--dir is missing: name the directory of the witness")

// Command returns the command `witness` with its subcommands.
func (c *Commands) Command() *cobra.Command {
	group := &cobra.Command{Use: "witness", Short: "Confirms the audit logs of stations, at headquarters", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reason.Usage(fmt.Errorf("no subcommand given; see `%s --help`", cmd.CommandPath()))
		}}
	group.AddCommand(c.initCommand(), c.serveCommand())
	return group
}

func (c *Commands) initCommand() *cobra.Command {
	var name string
	var logs []string
	cmd := &cobra.Command{
		Use:   "init --dir DIR --name NAME [--log FILE]...",
		Short: "Makes the directory of a witness: its keys, and the list of logs",
		Long: `init makes a new directory with the Ed25519 keys of a witness and of its mirror (mode 0600), and with
the list of the logs that the witness knows. It prints the verifier keys, for station.yaml and for auditors.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.init(name, logs) },
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the witness in its cosignatures, such as witness.example/w1 (required)")
	cmd.Flags().StringArrayVar(&logs, "log", nil, "file with the verifier key of a log, such as pki/audit.vkey of a station (may be repeated)")
	return cmd
}

func (c *Commands) init(name string, files []string) error {
	if *c.Dir == "" {
		return reason.Usage(errNoDir)
	}
	var logs []string
	for _, file := range files {
		text, err := workdir.ReadInput(file, workdir.MaxFile)
		if err != nil {
			return reason.Usage(fmt.Errorf("--log: %w", err))
		}
		logs = append(logs, strings.TrimSpace(string(text)))
	}
	if err := Init(*c.Dir, name, logs); err != nil {
		return err
	}
	for _, line := range [][2]string{{"key", witnessKey}, {"mirror_key", mirrorKey}} { // as in station.yaml
		text, err := workdir.ReadFile(filepath.Join(*c.Dir, publicName(line[1])))
		if err != nil {
			return err
		}
		fmt.Fprintf(c.Stdout, "%s: %s", line[0], text)
	}
	return nil
}

// serveOptions are the flags of serve.
type serveOptions struct {
	listen, certificate, key string
	insecure                 bool
}

func (c *Commands) serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve --dir DIR --listen ADDRESS:PORT",
		Short: "Serves the witness and the mirror until it is stopped",
		Long: `serve cosigns the checkpoints of the logs in logs.txt (C2SP tlog-witness), and keeps a copy of their
entries (C2SP tlog-mirror). A checkpoint and its entries are on the disk before the answer says so. A
checkpoint that does not continue the log is refused and kept below logs/HASH/refused.

Plain HTTP is for an address of this machine only (127.0.0.1), for example behind a proxy that has TLS.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return c.serve(ctx, &o)
		},
	}
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:0", "address:port; port 0 means any free port")
	cmd.Flags().StringVar(&o.certificate, "tls-cert", "", "file with the certificate chain (PEM)")
	cmd.Flags().StringVar(&o.key, "tls-key", "", "file with the key of the certificate (PEM)")
	cmd.Flags().BoolVar(&o.insecure, "plain-http", false, "allow plain HTTP on an address that other machines reach")
	return cmd
}

func (c *Commands) serve(ctx context.Context, o *serveOptions) (err error) {
	if *c.Dir == "" {
		return reason.Usage(errNoDir)
	}
	settings, err := o.tls()
	if err != nil {
		return reason.Usage(err)
	}
	store, err := Open(*c.Dir, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return reason.Usage(fmt.Errorf("opening the port of the witness: %w", err))
	}
	fmt.Fprintf(c.Stdout, "witness %s, %s, listens on %s\n", store.witness.Name(), reason.Count(len(store.logs), "log", "logs"), listener.Addr())
	return NewServer(store, slog.New(slog.NewTextHandler(c.Stderr, nil))).Serve(ctx, listener, settings)
}

// tls reads the certificate. Without one only an address of this machine is allowed.
func (o *serveOptions) tls() (*tls.Config, error) {
	if (o.certificate == "") != (o.key == "") {
		return nil, errors.New("--tls-cert and --tls-key: one of them is missing; TLS needs both, and plain HTTP neither")
	}
	if o.certificate != "" {
		pair, err := tls.LoadX509KeyPair(o.certificate, o.key)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return nil, fmt.Errorf("--listen: want address:port: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && !o.insecure {
		return nil, fmt.Errorf("--listen %s: other machines reach this address; give --tls-cert and --tls-key, or --plain-http", o.listen)
	}
	return nil, nil
}
