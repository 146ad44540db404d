package instance

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
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
	if f.Config, err = configs.Load(dir.Config()); err != nil {
		return nil, reason.Usage(err)
	}
	if err := f.readProfiles(); err != nil {
		return nil, reason.Usage(err)
	}
	if err := f.renewalFits(); err != nil {
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

// renewalFits refuses a renewal that would come with every Run.
func (f *Files) renewalFits() error {
	for _, profile := range []*issuance.Profile{f.Profile, f.COSE} {
		if profile == nil || f.Config.RenewDays == 0 {
			continue
		}
		now := f.Now()
		if _, notAfter := profile.Validity(now); !now.Add(f.Config.Renewal()).Before(notAfter) {
			return fmt.Errorf("%s: renew_days: %d: want fewer days than the certificates of profile %s are valid", f.Dir.Config(), f.Config.RenewDays, profile.Name())
		}
	}
	return nil
}

// ReadSettings reads the copies of configuration and TLS profile that `init` made.
func ReadSettings(dir workdir.Dir) (*configs.Config, *issuance.Profile, error) {
	config, err := configs.Load(dir.Config())
	if err != nil {
		return nil, nil, err
	}
	profile, err := readProfile(devices.PurposeTLS, dir.Profile())
	return config, profile, err
}

// readProfiles reads the copies that `init` made, the one for COSE keys if the configuration names a COSE profile.
// If `init` ran without a COSE profile, an engineer has to adopt one.
func (f *Files) readProfiles() (err error) {
	adopting := f.options.Adopting
	if f.Profile, err = adopting.or(devices.PurposeTLS, f.Dir.Profile()); err != nil {
		return err
	}
	if f.Config.COSEProfile != "" {
		f.COSE, err = adopting.or(devices.PurposeCOSE, f.Dir.COSEProfile())
	}
	return err
}

func readProfile(purpose devices.Purpose, path string) (*issuance.Profile, error) {
	text, err := workdir.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the profile for %s keys: %w; put the file back, or adopt a profile with `station profile adopt FILE`", purpose, err)
	} else if err != nil {
		return nil, fmt.Errorf("reading the profile for %s keys: %w", purpose, err)
	}
	return configs.ParseProfileFor(purpose, path, text)
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
func (f *Files) Profiles() (all []*issuance.Profile) {
	for _, profile := range []*issuance.Profile{f.Profile, f.COSE} {
		if profile != nil {
			all = append(all, profile)
		}
	}
	return all
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
