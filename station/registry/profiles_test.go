package registry

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"os"
	"testing"

	"hallmark/station/audit"
	"hallmark/station/issuance"
)

// profileNamed makes a profile whose digest depends on its name.
func profileNamed(t testing.TB, name string) *issuance.Profile {
	t.Helper()
	p, err := issuance.NewProfile(issuance.ProfileConfig{Name: name, Subject: issuance.SubjectConfig{CommonName: "${board.id}"}, Validity: "forever"})
	must(t, err)
	return p
}

func coseNamed(t testing.TB, name string) *issuance.Profile {
	t.Helper()
	p, err := issuance.NewProfile(issuance.ProfileConfig{Name: name, Purpose: "cose", Subject: issuance.SubjectConfig{CommonName: "${board.id}"}, Validity: "forever"})
	must(t, err)
	return p
}

// restart opens the registry anew, with the profiles of a station directory.
func (b *testRegistry) restart(profiles Profiles) {
	b.t.Helper()
	b.must(b.Shutdown())
	config := b.config()
	config.Profiles = profiles
	r, err := Open(b.t.Context(), config)
	b.must(err)
	b.Registry = r
}

// adoptions gives the entries that adopt profiles.
func adoptions(ctx context.Context, r *Reader, vkey string) (all []audit.Entry, err error) {
	_, err = r.VerifyEach(ctx, vkey, func(e audit.Entry) error {
		if e.Type == typeProfileAdopted {
			all = append(all, e)
		}
		return nil
	})
	return all, err
}

func TestAProfileIsAdoptedOnRecord(t *testing.T) {
	b := newTestRegistry(t)
	one, two, cose := Profiles{TLS: profileNamed(t, "one")}, Profiles{TLS: profileNamed(t, "two")}, coseNamed(t, "cose")
	// 1. A registry that knows of no adoption refuses nothing, and its next start takes the profiles as adopted.
	b.must(b.Adopted(t.Context(), two))
	b.restart(one)
	b.must(b.Adopted(t.Context(), one))
	if err := b.Adopted(t.Context(), two); !errors.Is(err, ErrProfileNotAdopted) {
		t.Errorf("another profile: %v", err)
	}
	// 2. A further start adopts nothing.
	b.restart(two)
	if err := b.Adopted(t.Context(), two); !errors.Is(err, ErrProfileNotAdopted) {
		t.Errorf("another profile after a start: %v", err)
	}
	// 3. An operator adopts it.
	b.must(b.AdoptProfiles(t.Context(), two, "ann"))
	b.must(b.Adopted(t.Context(), two))
	if err := b.Adopted(t.Context(), one); !errors.Is(err, ErrProfileNotAdopted) {
		t.Errorf("the old profile: %v", err)
	}
	// 4. A profile for another key is another adoption.
	both := Profiles{two.TLS, cose}
	if err := b.Adopted(t.Context(), both); !errors.Is(err, ErrProfileNotAdopted) {
		t.Errorf("a profile for COSE keys: %v", err)
	}
	b.must(b.AdoptProfiles(t.Context(), both, "ann"))
	b.must(b.Adopted(t.Context(), both))
	all, err := adoptions(t.Context(), b.Reader, b.vkey)
	b.must(err)
	if len(all) != 3 || all[0].Details["first"] != "true" || all[0].Actor.Kind != audit.Itself().Kind {
		t.Fatalf("got %+v", all)
	}
	second := all[1]
	if d := second.Details; second.Actor.ID != "ann" || second.Category != audit.CategoryConfig || d["profile"] != "two" || d["before_profile"] != "one" ||
		len(d["profile_sha256"]) != 64 || d["profile_sha256"] == d["before_profile_sha256"] || d["first"] != "" {
		t.Errorf("got %+v", second)
	}
}

func TestTheCeremonyAdoptsItsProfiles(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.Shutdown())
	must(t, os.Remove(b.path))
	must(t, os.Remove(MarkOf(b.path)))
	config := b.config()
	fresh, err := Open(t.Context(), config)
	must(t, err)
	one := profileNamed(t, "one")
	key := b.key
	vkey, err := fresh.Genesis(t.Context(), Genesis{Origin: origin, AuditKey: key.Public(), Profile: one})
	must(t, err)
	must(t, fresh.Adopted(t.Context(), Profiles{TLS: one}))
	if err := fresh.Adopted(t.Context(), Profiles{TLS: profileNamed(t, "two")}); !errors.Is(err, ErrProfileNotAdopted) {
		t.Errorf("another profile: %v", err)
	}
	must(t, fresh.Checkpoint(t.Context(), origin, key))
	must(t, fresh.Shutdown())
	// A start finds the row that is missing, and the one that names another entry.
	for name, change := range map[string]string{
		"the row is missing":            `DROP TRIGGER profiles_stay; DELETE FROM state WHERE key = 'profiles'; CREATE TRIGGER profiles_stay BEFORE DELETE ON state WHEN OLD.key = 'profiles'` + "\n\t" + `BEGIN SELECT RAISE(ABORT, 'the row about the adopted profiles stays'); END`,
		"the row names another entry":   `UPDATE state SET value = '1' WHERE key = 'profiles'`,
		"the row names no entry at all": `UPDATE state SET value = '99' WHERE key = 'profiles'`,
		"the row is no number":          `UPDATE state SET value = '00' WHERE key = 'profiles'`,
	} {
		t.Run(name, func(t *testing.T) {
			undo := copyOf(t, b.path)
			defer undo()
			edit(t, b.path, change)
			if _, err := Open(t.Context(), config); !errors.Is(err, ErrProfileRow) {
				t.Errorf("got %v", err)
			}
		})
	}
	// The log itself verifies with the row, and not with another one.
	again, err := Open(t.Context(), config)
	must(t, err)
	_, err = again.VerifyAudit(t.Context(), vkey)
	must(t, errors.Join(err, again.Shutdown()))
}

// edit runs statements on a registry that is closed.
func edit(t *testing.T, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	must(t, err)
	_, err = db.Exec(statements)
	must(t, errors.Join(err, db.Close()))
}

// copyOf keeps a copy of a registry, and gives what puts it back.
func copyOf(t *testing.T, path string) (undo func()) {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return func() { must(t, os.WriteFile(path, content, 0o600)) }
}

// Whoever deletes the row gets a second adoption by the station itself, which the log does not allow.
func TestAStationTakesProfilesAsAdoptedOnlyOnce(t *testing.T) {
	s := newReplay()
	first := audit.Entry{Seq: 7, Type: typeProfileAdopted, Details: map[string]string{detailFirst: "true"}}
	must(t, s.apply(first))
	by := first
	by.Seq, by.Details = 8, nil
	must(t, s.apply(by))
	again := first
	again.Seq, again.Details = 9, maps.Clone(first.Details)
	if err := s.apply(again); !errors.Is(err, ErrDiffers) {
		t.Errorf("got %v", err)
	}
}

// A station whose profile was never adopted goes on with the one that it has, on record.
func TestARegistryOfSchema9TakesItsProfilesAsAdopted(t *testing.T) {
	path, vkey := stored(t, "testdata/schema9_profiles.sql")
	config := Config{Path: path, Station: "demo", Profiles: Profiles{TLS: profileNamed(t, "edited")}}
	markAsNewest(t, path)
	// 1. Before its first start the registry refuses nothing.
	r, err := Compare(t.Context(), config)
	must(t, err)
	must(t, r.Adopted(t.Context(), config.Profiles))
	// 2. The first start takes the profile as adopted.
	must(t, r.Begin(t.Context()))
	must(t, r.Adopted(t.Context(), config.Profiles))
	all, err := adoptions(t.Context(), r.Reader, vkey)
	must(t, err)
	if len(all) != 1 || all[0].Details["profile"] != "edited" || all[0].Details["first"] != "true" {
		t.Errorf("got %+v", all)
	}
	must(t, r.Shutdown())
	// 3. The next start does not.
	config.Profiles.TLS = profileNamed(t, "later")
	r, err = Open(t.Context(), config)
	must(t, err)
	if err := r.Adopted(t.Context(), config.Profiles); !errors.Is(err, ErrProfileNotAdopted) {
		t.Errorf("a later profile: %v", err)
	}
	must(t, r.Shutdown())
}
