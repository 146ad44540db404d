package instance

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
	"hallmark/station/workorder"
)

// Files are the parts of a station directory that need neither registry nor HSM:
// configuration, profiles, certificates, and the log for engineers.
type Files struct {
	Dir     workdir.Dir
	Config  *configs.Config
	Profile *issuance.Profile // for TLS keys
	COSE    *issuance.Profile // for COSE keys; nil: COSE keys get no certificate
	Root    *x509.Certificate
	Issuing *x509.Certificate
	Owners  []workorder.Owner // whose signed work orders the station takes
	// Operators are the persons of badges.yaml, by the codes of their badges; nil: the station has no badges.yaml.
	Operators map[string]configs.Operator
	Log       *slog.Logger

	options Options
	closers []func() error // in the order of opening

	away      map[string]error // witnesses that did not say at the start what they have seen, by name
	noAnchors error            // why the log was not compared with anchors; nil: it was, or none are configured
}

// OpenFiles checks the modes of the directory, reads configuration, profiles and certificates, and opens the log.
func OpenFiles(dir workdir.Dir, options Options) (_ *Files, err error) {
	f := &Files{Dir: dir, options: options.completed()}
	if err := dir.CheckModes(); err != nil {
		return nil, err
	}
	if f.Config, f.Profile, err = ReadSettings(dir); err != nil {
		return nil, reason.Usage(err)
	}
	if f.COSE, err = readCOSEProfile(dir, f.Config); err != nil {
		return nil, reason.Usage(err)
	}
	if f.Operators, err = configs.LoadOperators(dir.Badges()); err != nil {
		return nil, reason.Usage(err)
	}
	if f.Owners, err = readOwners(dir, f.Config); err != nil {
		return nil, reason.Usage(err)
	}
	if f.Root, err = workdir.ReadCertificate(dir.Root()); err != nil {
		return nil, err
	}
	if f.Issuing, err = workdir.ReadCertificate(dir.Issuing()); err != nil {
		return nil, err
	}
	log, file, err := dir.OpenLog(options.Show)
	if err != nil {
		return nil, err
	}
	f.Log = log
	f.OnClose(file.Close)
	return f, nil
}

// ReadSettings reads the copies of configuration and TLS profile that `init` made.
func ReadSettings(dir workdir.Dir) (*configs.Config, *issuance.Profile, error) {
	config, err := configs.Load(dir.Config())
	if err != nil {
		return nil, nil, err
	}
	text, err := workdir.ReadFile(dir.Profile())
	if err != nil {
		return nil, nil, fmt.Errorf("reading the profile: %w", err)
	}
	profile, err := configs.ParseProfileFor(devices.PurposeTLS, dir.Profile(), text)
	return config, profile, err
}

// readCOSEProfile reads the copy that `init` made, if the configuration names a COSE profile.
// If `init` ran without a COSE profile, an engineer has to write the file.
func readCOSEProfile(dir workdir.Dir, config *configs.Config) (*issuance.Profile, error) {
	if config.COSEProfile == "" {
		return nil, nil
	}
	text, err := workdir.ReadFile(dir.COSEProfile())
	if err != nil {
		return nil, fmt.Errorf("reading the profile that cose_profile wants: %w", err)
	}
	return configs.ParseProfileFor(devices.PurposeCOSE, dir.COSEProfile(), text)
}

// Now returns the time by the clock of the Options.
func (f *Files) Now() time.Time { return f.options.Now() }

// OnClose adds a function that Close calls. Close calls the newest function first.
func (f *Files) OnClose(undo func() error) { f.closers = append(f.closers, undo) }

// Close closes all parts that were opened from these Files, the newest part first.
// A second call does nothing.
func (f *Files) Close() error {
	var errs []error
	for i := len(f.closers) - 1; i >= 0; i-- {
		errs = append(errs, f.closers[i]())
	}
	f.closers = nil
	return errors.Join(errs...)
}

// Profiles returns the profiles of the keys that the station certifies, TLS first.
func (f *Files) Profiles() []*issuance.Profile {
	if f.COSE == nil {
		return []*issuance.Profile{f.Profile}
	}
	return []*issuance.Profile{f.Profile, f.COSE}
}

// Keys returns the keys that the engine certifies, TLS first.
func (f *Files) Keys() (keys []station.Key) {
	for _, profile := range f.Profiles() {
		keys = append(keys, station.KeyOf(profile))
	}
	return keys
}

// Steps returns the names of the steps of a Run, in order.
func (f *Files) Steps() []string {
	return (&station.Config{Seal: f.Config.Boards.Seal, Flash: f.flashes(), LockDebugPort: f.Config.Boards.Lock}).Steps()
}

// flashes reports whether some bays have a probe. A Run in a bay without probe or image skips the step flash.
func (f *Files) flashes() bool {
	return slices.ContainsFunc(f.Config.Bays, func(b configs.Bay) bool { return b.Probe != nil })
}

// OverNetwork reports whether boards dial the verifier over their own network.
func (f *Files) OverNetwork() bool { return f.Config.Handshake == configs.OverNetwork }

// HasSpace refuses with workdir.ErrDiskFull while the disk is too full for the registry.
func (f *Files) HasSpace() error { return f.Dir.HasSpace(f.Config.DiskFloor) }

// chain returns the certificate between the anchor and a board's certificate. It is empty if
// the root issues directly.
func chain(root, issuing *x509.Certificate) []byte {
	if bytes.Equal(root.Raw, issuing.Raw) {
		return nil
	}
	return issuing.Raw
}
