package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/hsm"
	"hallmark/station/issuance"
)

func (c *command) initCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Makes a new station: keys in the HSM, certificates, registry, audit log",
		Long: `init makes what a station is founded on, in a new or empty directory: root, issuing CA
and audit key in the HSM, their certificates, the verifier's endpoint, the registry and the
first entries of the audit log. Without --config it makes a demonstration station, with a
SoftHSM token inside the directory and emulated boards allowed.

It never overwrites. The directory appears under its name only when it is complete; an init that
was killed leaves a directory .NAME.unfinished-* beside it, which can be removed.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals...)
			defer stop()
			return c.init(ctx, config)
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "configuration file (default: the demonstration's)")
	return cmd
}

// init builds the station beside its place and moves it there when it is complete.
func (c *command) init(ctx context.Context, configPath string) (err error) {
	// 1. What is asked for, and whether there is room for it.
	place, err := newState(c.dir)
	if err != nil {
		return err
	}
	if err := vacant(string(place)); err != nil {
		return err
	}
	plan, err := readPlan(configPath)
	if err != nil {
		return usage(err)
	}
	// 2. Everything, in a directory that no other command takes for a station.
	if err := os.MkdirAll(filepath.Dir(string(place)), 0o700); err != nil {
		return fmt.Errorf("making the parent directory: %w", err)
	}
	building, err := os.MkdirTemp(filepath.Dir(string(place)), "."+filepath.Base(string(place))+".unfinished-")
	if err != nil {
		return fmt.Errorf("making a directory to build in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(building)) }()
	made, err := plan.build(ctx, state(building))
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("making a station: %w", err)
	}
	// 3. The commit point: on the disk first, then under its name.
	if err := move(building, string(place)); err != nil {
		return err
	}
	if plan.config.HSM.CreateToken {
		if err := writeSoftHSMConf(place); err != nil {
			return err
		}
	}
	c.tell(place, plan, made)
	return nil
}

// A plan is what `init` was asked to make.
type plan struct {
	config                  *configs.Config
	configText, profileText []byte
	profileName             string
	coseName                string // with its text, empty without COSE keys
	coseText                []byte
}

func readPlan(path string) (*plan, error) {
	p := &plan{configText: configs.Demo()}
	name, base := "demo.yaml", "."
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
		p.configText, name, base = text, path, filepath.Dir(path)
	}
	var err error
	if p.config, err = configs.Parse(name, p.configText); err != nil {
		return nil, err
	}
	if p.profileName, p.profileText, err = p.config.ProfileText(base); err != nil {
		return nil, err
	}
	if p.coseName, p.coseText, err = p.config.COSEProfileText(base); err != nil {
		return nil, err
	}
	_, _, err = p.profiles()
	return p, err
}

// profiles gives the one for TLS keys, and the one for COSE keys or nil.
func (p *plan) profiles() (tls, cose *issuance.Profile, err error) {
	tls, err = configs.ParseProfileFor(devices.PurposeTLS, p.profileName, p.profileText)
	if err == nil && p.coseText != nil {
		cose, err = configs.ParseProfileFor(devices.PurposeCOSE, p.coseName, p.coseText)
	}
	return tls, cose, err
}

// build makes the whole station in the directory of s and closes all of it.
func (p *plan) build(ctx context.Context, s state) (*ceremony, error) {
	if err := errors.Join(writeFile(s.config(), p.configText), writeFile(s.profile(), p.profileText)); err != nil {
		return nil, err
	}
	if p.coseText != nil {
		if err := writeFile(s.coseProfile(), p.coseText); err != nil {
			return nil, err
		}
	}
	if p.config.HSM.CreateToken {
		if err := createToken(ctx, s, p.config, rand.Reader); err != nil {
			return nil, err
		}
	}
	token, err := openToken(ctx, s, p.config, nil, nil)
	if err != nil {
		return nil, err
	}
	made, err := p.found(ctx, s, token)
	return made, errors.Join(err, closeToken(token))
}

// found holds the ceremony and begins the audit log with what it made.
func (p *plan) found(ctx context.Context, s state, token *hsm.Token) (*ceremony, error) {
	made := &ceremony{config: p.config, token: token, now: time.Now().UTC().Truncate(time.Second), random: rand.Reader}
	if err := made.hold(ctx); err != nil {
		return nil, fmt.Errorf("holding the key ceremony: %w", err)
	}
	if err := made.write(s); err != nil {
		return nil, fmt.Errorf("storing what the ceremony made: %w", err)
	}
	if err := begin(ctx, s, p, made); err != nil {
		return nil, fmt.Errorf("beginning the registry: %w", err)
	}
	return made, nil
}

// move gives a finished directory its name. An empty directory may stand there.
func move(from, to string) error {
	if err := settle(from); err != nil {
		return err
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return usage(fmt.Errorf("%s: %w: %w", to, errExists, err))
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("moving the finished station to its place: %w", err)
	}
	return settle(filepath.Dir(to))
}

// tell prints what an operator compares and an auditor copies down.
func (c *command) tell(s state, p *plan, made *ceremony) {
	fmt.Fprintf(c.stdout, "station %q is ready in %s\n\n", p.config.Station, s)
	for _, row := range []struct {
		what, path  string
		certificate *x509.Certificate
	}{{"root", s.root(), made.root}, {"issuing CA", s.issuing(), made.issuing}, {"verifier", s.server(), made.server}} {
		fmt.Fprintf(c.stdout, "%-11s sha256 %x\n%-11s %s\n", row.what, sha256.Sum256(row.certificate.Raw), "", row.path)
	}
	fmt.Fprintf(c.stdout, "%-11s %s\n", "audit key", s.auditKey())
	if p.config.HSM.AllowSoftwareToken {
		fmt.Fprintln(c.stdout, "\nThe keys are in SoftHSM, which protects nothing: for demonstrations and CI only.")
	}
	fmt.Fprintf(c.stdout, "\nNext: station batch --dir %s --boards qemu:4\n", s)
}
