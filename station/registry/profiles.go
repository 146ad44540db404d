package registry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"hallmark/devices"
	"hallmark/station/audit"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// Boards are enrolled only with profiles that somebody has adopted, on record. The row "profiles" in the table state has the
// number of the entry that says which they are: entry 0, which the ceremony wrote, or the newest profile.adopted.

// typeProfileAdopted is the entry about an adoption. Its details name all profiles that are adopted from then on.
const typeProfileAdopted = "profile.adopted"

// Details of entry 0, and of an adoption.
const (
	detailAdopted = "profiles" // of entry 0: adopted. A log that began before profiles were adopted does not have it
	detailFirst   = "first"    // of an adoption: the station did it itself, at the first start of a version that demands adoption
	isAdopted     = "adopted"
)

// ErrProfileNotAdopted: a profile was edited, and nobody has adopted it.
var ErrProfileNotAdopted = reason.New("profile-not-adopted", "the profile is not the one that was adopted: look at it with `station profile check FILE`, then adopt it with `station profile adopt FILE`")

// ErrProfileRow: the row about the adopted profiles is missing, or names no entry that adopts profiles.
var ErrProfileRow = reason.New("registry-differs", "the row about the adopted profiles differs from the audit log")

// Profiles are the profiles with which a station enrols boards.
type Profiles struct {
	TLS  *issuance.Profile // nil: none, as in a tool that enrols no boards
	COSE *issuance.Profile // nil: COSE keys get no certificate
}

// ProfilesOf gives a set with one profile, under the key that it is for.
func ProfilesOf(p *issuance.Profile) Profiles {
	if p.Purpose() == devices.PurposeCOSE {
		return Profiles{COSE: p}
	}
	return Profiles{TLS: p}
}

// byDetail gives each profile by its name in an entry.
func (p Profiles) byDetail() map[string]*issuance.Profile {
	return map[string]*issuance.Profile{"profile": p.TLS, "profile_cose": p.COSE}
}

// details names each profile with its digest.
func (p Profiles) details() map[string]string {
	details := map[string]string{}
	for name, profile := range p.byDetail() {
		if profile != nil {
			sum := profile.SHA256()
			details[name], details[name+"_sha256"] = profile.Name(), hex.EncodeToString(sum[:])
		}
	}
	return details
}

// Adopted compares profiles with the adopted ones. It refuses a profile that is not adopted with ErrProfileNotAdopted. A registry
// that knows of no adoption refuses nothing: its next start takes the profiles of the directory as adopted.
func (r *Reader) Adopted(ctx context.Context, now Profiles) error {
	adopted, _, err := adoptedProfiles(ctx, r.db)
	if err != nil || adopted == nil {
		return err
	}
	return notAdopted(adopted, now)
}

func notAdopted(adopted map[string]string, now Profiles) (err error) {
	for name, profile := range now.byDetail() {
		if profile == nil {
			continue
		}
		sum := profile.SHA256()
		digest := hex.EncodeToString(sum[:])
		switch was := adopted[name+"_sha256"]; was {
		case digest:
		case "":
			err = errors.Join(err, fmt.Errorf("profile %s for the key %s: %w; none was adopted for this key", profile.Name(), profile.Purpose(), ErrProfileNotAdopted))
		default:
			err = errors.Join(err, fmt.Errorf("profile %s for the key %s, with the digest %s: %w; adopted is %s with %s",
				profile.Name(), profile.Purpose(), short(digest), ErrProfileNotAdopted, adopted[name], short(was)))
		}
	}
	return err
}

// short gives enough of a digest to tell it from another.
func short(digest string) string { return digest[:min(12, len(digest))] + "…" }

// adoptedProfiles gives the details of the entry that says which profiles are adopted, and its number. Without a row both are zero.
func adoptedProfiles(ctx context.Context, q audit.Querier) (details map[string]string, seq int64, err error) {
	var value string
	err = q.QueryRowContext(ctx, `SELECT value FROM state WHERE key = 'profiles'`).Scan(&value)
	if none(err) {
		return nil, 0, nil
	} else if err != nil {
		return nil, 0, fmt.Errorf("reading the row about the adopted profiles: %w", named(err))
	}
	seq, err = strconv.ParseInt(value, 10, 62)
	if err != nil || strconv.FormatInt(seq, 10) != value {
		return nil, 0, fmt.Errorf("%w: it says %q", ErrProfileRow, value)
	}
	e, err := entryAt(ctx, q, seq)
	if none(err) || err == nil && !adopts(e) {
		return nil, 0, fmt.Errorf("%w: entry %d adopts no profile", ErrProfileRow, seq)
	}
	return e.Details, seq, err
}

// adopts reports whether the entry says which profiles are adopted.
func adopts(e audit.Entry) bool {
	return e.Type == typeProfileAdopted || e.Type == audit.TypeGenesis && e.Details[detailAdopted] == isAdopted
}

// compareProfiles refuses a row that names no adoption, and a row that is missing although entry 0 adopts the profiles.
func compareProfiles(ctx context.Context, q audit.Querier, version int64) error {
	if version < profileSchema {
		return nil
	}
	adopted, _, err := adoptedProfiles(ctx, q)
	if err != nil || adopted != nil {
		return err
	}
	genesis, err := entryAt(ctx, q, 0)
	if err == nil && adopts(genesis) {
		return fmt.Errorf("%w: the row is missing; restore registry.db from its backup", ErrProfileRow)
	}
	if none(err) { // the ceremony has not begun the log
		return nil
	}
	return err
}

// AdoptProfiles notes that an operator has adopted profiles: boards are enrolled with them from the next start on. An
// adoption of what is adopted is noted as well.
func (r *Registry) AdoptProfiles(ctx context.Context, profiles Profiles, operator string) error {
	return r.write(ctx, func(w *work) error { return w.adopt(profiles, actor(operator), nil) })
}

// adoptFirst takes the profiles of a registry that knows of no adoption as adopted, on record.
func (w *work) adoptFirst(profiles Profiles) error {
	adopted, _, err := adoptedProfiles(context.Background(), w.conn)
	if err != nil || adopted != nil || profiles.TLS == nil {
		return err
	}
	return w.adopt(profiles, audit.Itself(), map[string]string{detailFirst: "true"})
}

func (w *work) adopt(profiles Profiles, by audit.Actor, more map[string]string) error {
	before, _, err := adoptedProfiles(context.Background(), w.conn)
	if err != nil {
		return err
	}
	details := profiles.details()
	for name := range profiles.byDetail() {
		if was := before[name+"_sha256"]; was != "" {
			details["before_"+name], details["before_"+name+"_sha256"] = before[name], was
		}
	}
	for name, value := range more {
		details[name] = value
	}
	e, err := w.append(audit.Entry{Actor: by, Category: audit.CategoryConfig, Type: typeProfileAdopted, Outcome: audit.Success, Details: details})
	if err != nil {
		return err
	}
	return w.adoptedAt(e.Seq)
}

func (w *work) adoptedAt(seq int64) error {
	return w.exec(`INSERT INTO state VALUES ('profiles', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1`, strconv.FormatInt(seq, 10))
}

// adopted makes the row that follows from an adoption.
func (s *replay) adopted(e audit.Entry) error {
	if e.Details[detailFirst] != "" && s.profiles != "" {
		return fmt.Errorf("%w: entry %d takes profiles as adopted, and entry %s has adopted some before", ErrDiffers, e.Seq, s.profiles)
	}
	s.profiles = fmt.Sprint(e.Seq)
	return nil
}

// KnowsAdoption reports whether profiles were adopted in this registry.
func (r *Reader) KnowsAdoption(ctx context.Context) (bool, error) {
	adopted, _, err := adoptedProfiles(ctx, r.db)
	return adopted != nil, err
}
