package instance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"hallmark/devices"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// An Adoption is a profile that will take the place of one in a station directory.
type Adoption struct {
	Profile *issuance.Profile
	Text    []byte // the file, with its comments
}

// or gives the profile that will be adopted if it is for this purpose, and otherwise the one of the directory.
func (a *Adoption) or(purpose devices.Purpose, path string) (*issuance.Profile, error) {
	if a != nil && a.Profile.Purpose() == purpose {
		return a.Profile, nil
	}
	return readProfile(purpose, path)
}

var errNoCOSE = errors.New("the profile is for COSE keys, and the station certifies none: name the profile in station.yaml (cose_profile) first")

// inUse gives the profiles of the directory.
func (f *Files) inUse() registry.Profiles { return registry.Profiles{TLS: f.Profile, COSE: f.COSE} }

// CheckProfiles refuses profiles of the directory that were edited and not adopted.
func (r *Record) CheckProfiles(ctx context.Context) error {
	if err := r.Registry.Adopted(ctx, r.inUse()); err != nil {
		return fmt.Errorf("looking whether the profiles are adopted: %w", err)
	}
	return nil
}

// Adopt writes the profile of Options.Adopting into the directory, and then the entry that says so. If the station is killed
// between, no board is enrolled until the profile is adopted again. Done is false if the directory has the profile already.
func (r *Record) Adopt(ctx context.Context, operator string) (done bool, err error) {
	adopting := r.options.Adopting
	path := r.Dir.Profile()
	if adopting.Profile.Purpose() == devices.PurposeCOSE {
		if path = r.Dir.COSEProfile(); r.COSE == nil {
			return false, reason.Usage(errNoCOSE)
		}
	}
	if err := r.Begin(ctx); err != nil {
		return false, err
	}
	held, err := workdir.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("reading the profile of the station: %w", err)
	}
	if bytes.Equal(held, adopting.Text) && r.isAdopted(ctx) {
		return false, nil
	}
	if err := workdir.WriteFile(path, adopting.Text); err != nil {
		return false, fmt.Errorf("writing the profile into the station: %w", err)
	}
	if err := r.Registry.AdoptProfiles(ctx, r.inUse(), operator); err != nil {
		return false, fmt.Errorf("noting the adoption: %w", err)
	}
	return true, nil
}

// isAdopted reports whether an adoption of the profiles is on record.
func (r *Record) isAdopted(ctx context.Context) bool {
	known, err := r.Registry.KnowsAdoption(ctx)
	return err == nil && known && r.CheckProfiles(ctx) == nil
}
