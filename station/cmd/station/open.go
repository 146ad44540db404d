package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
	"hallmark/station/registry"
	"hallmark/station/verifier"
	"hallmark/ui"
)

// A bench is a station's state directory with everything in it open. Exactly
// one process has it, which the registry's lock sees to.
type bench struct {
	state   state
	config  *configs.Config
	profile *issuance.Profile // for TLS keys
	cose    *issuance.Profile // for COSE keys; nil: they get no certificate
	log     *slog.Logger

	root, issuing *x509.Certificate
	token         *hsm.Token
	audit         crypto.Signer
	issuer        *issuance.Issuer
	registry      *registry.Registry
	verifier      *verifier.Server
	visits        station.Visits // nil: handshakes go over the line
	station       *station.Station

	acceptClock string           // who says that the clock is right although it went back, usually nobody
	pin         hsm.PINSource    // nil: the configured one
	show        func(ui.LogLine) // also gets each line of the log; may be nil
	closers     []func() error   // undone last first
}

// open opens the bench in the order in which its parts need each other; events
// are those of the engine.
func open(ctx context.Context, b *bench, events func(station.Event)) (_ *bench, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if err := b.openRecord(ctx); err != nil {
		return nil, err
	}
	return b, b.openLine(ctx, events)
}

// openRecord opens what needs no HSM: files, log and registry.
func (b *bench) openRecord(ctx context.Context) error {
	if err := b.openFiles(ctx); err != nil {
		return err
	}
	return b.openRegistry(ctx)
}

// openLine opens the rest: HSM, keys, verifier, and the engine.
func (b *bench) openLine(ctx context.Context, events func(station.Event)) error {
	for _, part := range []func(context.Context) error{b.openToken, b.openAudit, b.openIssuer, b.openVerifier} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return b.openEngine(events)
}

// openEngine comes last. What a killed station left uncovered, and its recovery, is
// signed over before more is added.
func (b *bench) openEngine(events func(station.Event)) error {
	if err := b.checkpoint(); err != nil {
		return err
	}
	return b.openStation(events)
}

// openAudit adopts the key that checkpoints are signed with.
func (b *bench) openAudit(ctx context.Context) (err error) {
	b.audit, err = b.auditSigner(ctx)
	return err
}

// close undoes what open did, last first. A second call does nothing.
func (b *bench) close() error { return b.undo(0) }

// undo closes what was opened after the first n.
func (b *bench) undo(n int) error {
	var errs []error
	for i := len(b.closers) - 1; i >= n; i-- {
		errs = append(errs, b.closers[i]())
	}
	b.closers = b.closers[:n]
	return errors.Join(errs...)
}

// unless opens a part of the bench that is not open yet; of one that does not open, nothing stays open.
func (b *bench) unless(ctx context.Context, open bool, do func(context.Context) error) error {
	if open {
		return nil
	}
	before := len(b.closers)
	err := do(ctx)
	if err != nil {
		err = errors.Join(err, b.undo(before))
	}
	return err
}

func (b *bench) later(undo func() error) { b.closers = append(b.closers, undo) }

// openFiles reads configuration, profile and certificates, and opens the log.
func (b *bench) openFiles(context.Context) (err error) {
	if b.config, b.profile, err = readSettings(b.state); err != nil {
		return usage(err)
	}
	if b.cose, err = readCOSEProfile(b.state, b.config); err != nil {
		return usage(err)
	}
	if b.root, err = readCertificate(b.state.root()); err != nil {
		return err
	}
	if b.issuing, err = readCertificate(b.state.issuing()); err != nil {
		return err
	}
	log, file, err := openLog(b.state, b.show)
	if err != nil {
		return err
	}
	b.log = log
	b.later(file.Close)
	return nil
}

// readSettings reads the copies that `init` made.
func readSettings(s state) (*configs.Config, *issuance.Profile, error) {
	config, err := configs.Load(s.config())
	if err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(s.profile())
	if err != nil {
		return nil, nil, fmt.Errorf("reading the profile: %w", err)
	}
	profile, err := configs.ParseProfileFor(devices.PurposeTLS, s.profile(), text)
	return config, profile, err
}

// readCOSEProfile reads the copy that `init` made where the configuration names
// one. In a directory that was made without it somebody has to write it.
func readCOSEProfile(s state, config *configs.Config) (*issuance.Profile, error) {
	if config.COSEProfile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.coseProfile())
	if err != nil {
		return nil, fmt.Errorf("reading the profile that cose_profile wants: %w", err)
	}
	return configs.ParseProfileFor(devices.PurposeCOSE, s.coseProfile(), text)
}

// profiles gives those of the keys that boards are certified for, in order.
func (b *bench) profiles() []*issuance.Profile {
	if b.cose == nil {
		return []*issuance.Profile{b.profile}
	}
	return []*issuance.Profile{b.profile, b.cose}
}

func (b *bench) keys() (keys []station.Key) {
	for _, profile := range b.profiles() {
		keys = append(keys, station.KeyOf(profile))
	}
	return keys
}

// openRegistry comes before the HSM: a second station is turned away before it
// touches the token.
func (b *bench) openRegistry(ctx context.Context) (err error) {
	if err := b.ownLog(ctx); err != nil {
		return fmt.Errorf("opening the registry: %w", err)
	}
	config := registryConfig(b.state, b.config)
	config.AcceptClock = b.acceptClock
	b.registry, err = registry.Open(ctx, config)
	if err != nil {
		return fmt.Errorf("opening the registry: %w", err)
	}
	b.later(b.registry.Shutdown)
	return nil
}

func registryConfig(s state, config *configs.Config) registry.Config {
	return registry.Config{Path: s.registry(), Now: time.Now, Station: config.Station}
}

func (b *bench) openToken(ctx context.Context) (err error) {
	if b.token, err = openToken(ctx, b.state, b.config, b.pin, b.log); err != nil {
		return errors.Join(err, b.note("hsm.open", audit.Failure, map[string]string{"error": err.Error()}))
	}
	b.later(func() error { return closeToken(b.token) })
	return nil
}

// openToken opens the HSM; without a PIN source it takes the configured one.
func openToken(ctx context.Context, s state, config *configs.Config, pin hsm.PINSource, log *slog.Logger) (*hsm.Token, error) {
	if config.HSM.CreateToken {
		if err := writeSoftHSMConf(s); err != nil {
			return nil, fmt.Errorf("configuring SoftHSM: %w", err)
		}
		if healed, err := healToken(s); err != nil {
			return nil, err
		} else if healed && log != nil {
			log.Warn("the token's object was cut off, as a kill during a login leaves it; its copy was put back")
		}
	}
	settings, err := config.Token(string(s), fileExists)
	if err != nil {
		return nil, usage(err)
	}
	settings.Log = log
	if pin == nil {
		if pin, err = hsm.ParsePINSource(config.PINSource(string(s))); err != nil {
			return nil, usage(fmt.Errorf("hsm.pin_source: %w", err))
		}
	}
	token, err := hsm.Open(ctx, settings, pin)
	if errors.Is(err, hsm.ErrPINSource) || errors.Is(err, hsm.ErrConfig) {
		return nil, usage(fmt.Errorf("opening the HSM: %w", err))
	} else if err != nil {
		return nil, fmt.Errorf("opening the HSM: %w", err)
	}
	return token, nil
}

// closeToken has its own bound: it is needed most when ctx has ended.
func closeToken(token *hsm.Token) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := token.Close(ctx); err != nil {
		return fmt.Errorf("closing the HSM: %w", err)
	}
	return nil
}

// openIssuer adopts the issuing key by the certificate, never by what the token says.
func (b *bench) openIssuer(ctx context.Context) error {
	signer, err := b.signer(ctx, b.config.Authority.IssuingLabel, b.issuing.PublicKey)
	if err != nil {
		return err
	}
	b.issuer, err = issuance.New(issuance.Config{
		Profile: b.profile, COSE: b.cose, Issuer: b.issuing, Root: b.root, Signer: signer, Store: b.registry,
		Now: time.Now, Random: rand.Reader, AllowDummy: b.config.Boards.AllowDummy,
	})
	return err
}

func (b *bench) signer(ctx context.Context, label string, public crypto.PublicKey) (crypto.Signer, error) {
	key, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("adopting the key %s: its certificate has a %T, want ECDSA", label, public)
	}
	signer, err := b.token.Signer(ctx, hsm.KeyRef{Label: label}, key)
	if err != nil {
		return nil, fmt.Errorf("adopting the key %s: %w", label, err)
	}
	return signer, nil
}

// openVerifier starts the endpoint that every board must convince.
func (b *bench) openVerifier(ctx context.Context) (err error) {
	b.verifier, err = newVerifier(b.state, b.config, b.root, b.issuing, b.registry, b.log)
	if err != nil {
		return err
	}
	if err := b.serve(ctx, "the verifier's port", b.config.Verifier.Listen, b.verifier.Serve); err != nil {
		return err
	}
	return b.openVisits(ctx)
}

// overNetwork: boards dial the verifier by themselves.
func (b *bench) overNetwork() bool { return b.config.Handshake == configs.OverNetwork }

// openVisits opens the door for boards that dial by themselves.
func (b *bench) openVisits(ctx context.Context) error {
	if !b.overNetwork() {
		return nil
	}
	address := b.config.Network.Dial()
	err := b.serve(ctx, "the port for boards (network.listen)", b.config.Network.Listen,
		func(ctx context.Context, listener net.Listener) error {
			return b.verifier.ServeVisits(ctx, listener, address)
		})
	b.visits = b.verifier
	return err
}

// serve listens until the bench is closed.
func (b *bench) serve(ctx context.Context, what, address string, serve func(context.Context, net.Listener) error) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("opening %s: %w", what, err)
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- serve(life, listener) }()
	b.later(func() error { stop(); return <-ended })
	return nil
}

func newVerifier(s state, config *configs.Config, root, issuing *x509.Certificate, known verifier.Known, log *slog.Logger) (*verifier.Server, error) {
	if err := private(s.serverKey()); err != nil {
		return nil, err
	}
	certificate, err := tls.LoadX509KeyPair(s.server(), s.serverKey())
	if err != nil {
		return nil, fmt.Errorf("reading the verifier's certificate: %w", err)
	}
	if err := expiry(certificate.Leaf, time.Now()); errors.Is(err, errEnded) {
		return nil, fmt.Errorf("%s: %w", s.server(), err)
	}
	return verifier.New(verifier.Config{
		Certificate: certificate, Root: root, Intermediates: []*x509.Certificate{issuing}, Known: known,
		Now: time.Now, Log: log, ServerName: config.Verifier.ServerName,
	})
}

func (b *bench) openStation(events func(station.Event)) (err error) {
	b.station, err = station.New(b.engine(events))
	return err
}

// engine is the configuration of the engine. What is not open yet is missing in it.
func (b *bench) engine(events func(station.Event)) station.Config {
	return station.Config{
		Issuer: b.issuer, Registry: b.registry, Known: b.registry, Verifier: b.verifier, Visits: b.visits,
		Keys:   b.keys(),
		Anchor: b.root.Raw, Chain: chain(b.root, b.issuing),
		AllowedHUK: b.config.HUKSources(), Callers: b.config.Boards.TFMCallers, Seal: b.config.Boards.Seal,
		Timeouts: b.config.StationTimeouts(), Events: events,
		Now: time.Now, Random: rand.Reader,
	}
}

// chain is what stands between the anchor and a board's certificate: nothing
// where the root issues directly.
func chain(root, issuing *x509.Certificate) []byte {
	if issuing.Equal(root) {
		return nil
	}
	return issuing.Raw
}
