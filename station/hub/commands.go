package hub

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Commands are the commands of the program hub.
type Commands struct {
	Stdout, Stderr io.Writer
	config         string
	operator, why  string
}

// Command returns the program with all subcommands.
func (c *Commands) Command() *cobra.Command {
	root := &cobra.Command{Use: "hub", Short: "The plant's side of many stations, over PostgreSQL", SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true}}
	root.PersistentFlags().StringVar(&c.config, "config", "/etc/hallmark/hub.yaml", "file that docs/hub.md explains")
	root.AddCommand(c.serveCommand(), c.migrateCommand(), c.list("stations", "Lists the stations, and what the hub has of each", stationsQuery),
		c.list("orders", "Lists the work orders, and what each station has of them", ordersQuery), c.list("findings", "Lists the open findings", findingsQuery),
		c.openCommand(), c.act("order-close ID", "Ends a work order: no further lease is given", func(ctx context.Context, s *Store, id string) error { return s.CloseOrder(ctx, id, c.operator, c.why) }),
		c.act("finding-close NUMBER", "Says that a person has looked at a finding", func(ctx context.Context, s *Store, id string) error {
			var number int64
			if _, err := fmt.Sscan(id, &number); err != nil {
				return reason.Usage(fmt.Errorf("number %q: want that of a finding", id))
			}
			return s.CloseFinding(ctx, number, c.operator, c.why)
		}), c.acceptCommand(), c.restoreCommand(), c.personCommand())
	return root
}

var errOperator = errors.New("--operator and --reason: want who says so, and why; both are on record")

// persons adds the flags of an act of a person.
func (c *Commands) persons(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&c.operator, "operator", "", "the person (required)")
	cmd.Flags().StringVar(&c.why, "reason", "", "why (required)")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if reason.CheckText(c.operator) != nil || reason.CheckText(c.why) != nil {
			return reason.Usage(errOperator)
		}
		return nil
	}
	return cmd
}

func (c *Commands) act(use, short string, do func(context.Context, *Store, string) error) *cobra.Command {
	return c.persons(&cobra.Command{Use: use + " --operator NAME --reason TEXT", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		err := c.beside(cmd.Context(), func(s *Store) error { return do(cmd.Context(), s, args[0]) })
		if err == nil {
			_, err = fmt.Fprintf(c.Stdout, "%s: %s is on record\n", cmd.Name(), reason.Printable(args[0]))
		}
		return err
	}})
}

// beside opens the database beside a hub that may run.
func (c *Commands) beside(ctx context.Context, do func(*Store) error) (err error) {
	config, err := LoadConfig(c.config)
	if err != nil {
		return err
	}
	store, err := OpenBeside(ctx, config.options(slog.New(slog.NewTextHandler(c.Stderr, nil))))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return do(store)
}

func (c *Commands) acceptCommand() *cobra.Command {
	var base int64
	cmd := c.act("accept STATION", "Goes on with the log of a station that was forked or rolled back", func(ctx context.Context, s *Store, name string) error {
		one := s.Station(name)
		if one == nil {
			return reason.Usage(fmt.Errorf("station %q: want one of hub.yaml", name))
		}
		return s.Accept(ctx, one, base, c.operator, c.why)
	})
	cmd.Flags().Int64Var(&base, "base", 0, "entries that both logs share; 0: the station sends all entries again")
	return cmd
}

func (c *Commands) restoreCommand() *cobra.Command {
	return c.persons(&cobra.Command{Use: "accept-restore --operator NAME --reason TEXT", Args: cobra.NoArgs,
		Short: "Gives leases again after a restore, although a station has not told all: the boards of its newest lease may then be given twice",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.beside(cmd.Context(), func(s *Store) error {
				n, err := s.AcceptRestore(cmd.Context(), c.operator, c.why)
				if err == nil {
					_, err = fmt.Fprintf(c.Stdout, "%s accepted\n", reason.Count(n, "restore is", "restores are"))
				}
				return err
			})
		}})
}

func (c *Commands) openCommand() *cobra.Command {
	var o PlantOrder
	var until string
	var profiles, images []string
	cmd := c.persons(&cobra.Command{Use: "order-open ID --product NAME --quota N --until DAY --profile SHA256 --operator NAME --reason TEXT", Short: "Opens a work order for several stations", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o.ID = args[0]
			var errs [3]error
			o.Until, errs[0] = parseDay(until)
			o.Profiles, errs[1] = sums("--profile", profiles)
			o.Firmware, errs[2] = sums("--firmware-allow", images)
			if err := errors.Join(errs[:]...); err != nil {
				return reason.Usage(err)
			}
			err = c.beside(cmd.Context(), func(s *Store) error { return s.OpenOrder(cmd.Context(), o, c.operator, c.why) })
			if err == nil {
				_, err = fmt.Fprintf(c.Stdout, "work order %s is open: each station opens its lease with its next message\n", reason.Printable(o.ID))
			}
			return err
		}})
	cmd.Flags().StringVar(&o.Product, "product", "", "name of the profile for TLS keys (required)")
	cmd.Flags().StringVar(&o.Lot, "lot", "", "lot")
	cmd.Flags().Int64Var(&o.Quota, "quota", 0, "boards, at all stations together (required)")
	cmd.Flags().StringVar(&until, "until", "", "day or time at which the order ends (required)")
	cmd.Flags().StringSliceVar(&profiles, "profile", nil, "SHA-256 of a profile by which certificates may be signed; `station audit show --type log.genesis` names it (required)")
	cmd.Flags().StringSliceVar(&images, "firmware-allow", nil, "SHA-256 of a firmware image that boards may run; none: any")
	cmd.Flags().StringSliceVar(&o.Stations, "station", nil, "a station that works on the order; none: all")
	cmd.Flags().Int64Var(&o.Chunk, "lease", 50, "boards that a station may certify without the hub")
	cmd.Flags().Int64Var(&o.Hours, "hours", 24, "how long a station may work without the hub")
	return cmd
}

func parseDay(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("--until %q: want a day such as 2026-12-24, or a time such as 2026-12-24T07:00:00Z", text)
}

func sums(flag string, texts []string) (all [][sha256.Size]byte, err error) {
	for _, text := range texts {
		sum, bad := hex.DecodeString(text)
		if bad != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("%s %q: want 64 hexadecimal digits", flag, text)
		}
		all = append(all, [sha256.Size]byte(sum))
	}
	return all, nil
}

func (c *Commands) migrateCommand() *cobra.Command {
	var database, role string
	cmd := &cobra.Command{Use: "migrate --database TEXT --role ROLE", Short: "Brings the database to the schema of this program, and gives the role of `hub serve` its rights", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := Migrate(cmd.Context(), database, role)
			if err == nil {
				_, err = fmt.Fprintf(c.Stdout, "%s done\n", reason.Count(done, "step", "steps"))
			}
			return err
		}}
	cmd.Flags().StringVar(&database, "database", "dbname=hub", "connection string of the owner of the database, without a password")
	cmd.Flags().StringVar(&role, "role", "hub_serve", "role with which `hub serve` connects; it may not change evidence")
	return cmd
}

func (c *Commands) serveCommand() *cobra.Command {
	return &cobra.Command{Use: "serve --config FILE", Short: "Takes the audit logs of stations, gives leases, and shows the web page, until it is stopped", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return c.serve(ctx)
		}}
}

func (c *Commands) serve(ctx context.Context) (err error) {
	config, err := LoadConfig(c.config)
	if err != nil {
		return err
	}
	certificate, cas, err := config.files()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.Stderr, nil))
	options := config.options(log)
	if options.Key, err = workdir.ReadPrivateKey(config.path(config.OrderKey)); err != nil {
		return reason.Usage(fmt.Errorf("order_key: %w", err))
	}
	store, err := Open(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	server, err := NewServer(store, certificate, cas, config.clients(), log)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", config.Listen)
	if err != nil {
		return reason.Usage(fmt.Errorf("listen: %w", err))
	}
	serves := []func(context.Context) error{func(ctx context.Context) error { return server.Serve(ctx, listener) }}
	fmt.Fprintf(c.Stdout, "hub, %s, listens on %s\n", reason.Count(len(config.Stations), "station", "stations"), listener.Addr())
	if config.Page != "" {
		page, err := (&net.ListenConfig{}).Listen(ctx, "tcp", config.Page)
		if err != nil {
			return errors.Join(reason.Usage(fmt.Errorf("page: %w", err)), listener.Close())
		}
		audience, _ := config.audience() // LoadConfig has checked it
		scheme, secure := "http", (*tls.Config)(nil)
		if host, _, _ := net.SplitHostPort(config.Page); !loopback(host) {
			scheme, secure = "https", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
			audience.Names = append(audience.Names, names(&certificate)...)
		}
		serves = append(serves, func(ctx context.Context) error { return NewPages(store, audience, log).Serve(ctx, page, secure) })
		fmt.Fprintf(c.Stdout, "page on %s://%s/\n", scheme, page.Addr())
	}
	return together(ctx, serves)
}

// names gives what a certificate is for, as browsers write it.
func names(certificate *tls.Certificate) []string {
	all := slices.Clone(certificate.Leaf.DNSNames)
	for _, ip := range certificate.Leaf.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

// personCommand makes the token of a person.
func (c *Commands) personCommand() *cobra.Command {
	var role string
	cmd := &cobra.Command{Use: "person NAME --role ROLE", Short: "Makes the token with which a person signs in on the web page, and prints the line for hub.yaml", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			token, sum := NewToken()
			one := PersonConfig{Name: args[0], Role: role, Token: hex.EncodeToString(sum[:])}
			if _, errs := (&Config{People: []PersonConfig{one}}).audience(); len(errs) > 0 {
				return reason.Usage(errors.Join(errs...))
			}
			_, err := fmt.Fprintf(c.Stdout, "token of %s: %s\nIt is shown once. Below people in hub.yaml, and then start the hub again:\n  - {name: %q, role: %s, token_sha256: %s}\n", one.Name, token, one.Name, role, one.Token)
			return err
		}}
	cmd.Flags().StringVar(&role, "role", "", "viewer, auditor or lead (required)")
	return cmd
}

// together runs servers until ctx ends, or one of them does.
func together(ctx context.Context, serves []func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(serves))
	var work sync.WaitGroup
	for i, serve := range serves {
		work.Go(func() {
			defer stop()
			errs[i] = serve(ctx)
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

// list prints the rows of a query.
func (c *Commands) list(use, short, query string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return c.beside(cmd.Context(), func(s *Store) error {
			t, err := s.table(cmd.Context(), query)
			if err != nil {
				return err
			}
			out := tabwriter.NewWriter(c.Stdout, 0, 4, 2, ' ', 0)
			for _, row := range append([][]string{t.Head}, t.Rows...) {
				for i, cell := range row {
					if i > 0 {
						fmt.Fprint(out, "\t")
					}
					fmt.Fprint(out, reason.Printable(cell))
				}
				fmt.Fprintln(out)
			}
			return out.Flush()
		})
	}}
}
