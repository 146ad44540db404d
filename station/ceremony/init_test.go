package ceremony_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/configs"
	"hallmark/fixtures"
	"hallmark/hsm"
	"hallmark/station/ceremony"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// outside is a configuration with a token outside of the station directory.
const outside = `hsm: {module: softhsm2, token_label: hallmark-test, allow_software_token: true, pin_source: "file:%s"}
minimum_free_mib: 0
`

// inside is a configuration whose token init makes.
const inside = `hsm: {module: softhsm2, token_label: t, allow_software_token: true, create_token: true, pin_source: "file:hsm/pin"}
minimum_free_mib: 0
`

func parse(t *testing.T, text string) *ceremony.Plan {
	t.Helper()
	return fixtures.Must(ceremony.ParsePlan("station.yaml", []byte(text), "."))(t)
}

// An init that was killed after it made the registry goes on, and a registry that no init has noted stays.
func TestInitReplacesOnlyItsOwnRegistry(t *testing.T) {
	fixtures.NewToken(t)
	config, place := fmt.Sprintf(outside, pinFile(t)), workdir.Dir(filepath.Join(t.TempDir(), "D"))
	fixtures.Must(parse(t, config).Init(t.Context(), place))(t)
	must(t, os.Rename(place.Config(), filepath.Join(t.TempDir(), "station.yaml"))) // somebody mends it elsewhere
	before := fixtures.Must(os.ReadFile(place.Registry()))(t)
	must(t, os.WriteFile(place.In("init.unfinished"), nil, 0o600))
	other := parse(t, config+"authority: {root_label: r2, issuing_label: i2, audit_label: a2}\n")
	if _, err := other.Init(t.Context(), place); !errors.Is(err, workdir.ErrNotEmpty) {
		t.Errorf("got %v", err)
	}
	if after := fixtures.Must(os.ReadFile(place.Registry()))(t); string(before) != string(after) {
		t.Error("the registry of the station was changed")
	}
}

// A journal that was left beside a finished station would let a later init remove that station.
func TestAStartRemovesTheJournalOfAFinishedInit(t *testing.T) {
	fixtures.NewToken(t)
	place := workdir.Dir(filepath.Join(t.TempDir(), "D"))
	fixtures.Must(parse(t, fmt.Sprintf(outside, pinFile(t))).Init(t.Context(), place))(t)
	must(t, os.WriteFile(place.In("init.unfinished"), []byte(`{"act":"init"}`+"\n"), 0o600))
	opened := fixtures.Must(instance.Open(t.Context(), place, instance.Options{}))(t)
	must(t, opened.Close())
	if workdir.Exists(place.In("init.unfinished")) {
		t.Error("the journal is left")
	}
}

// Two stations with one audit key would each take the other's checkpoint for one of its own.
func TestAnAuditKeyThatSignsALogIsRefused(t *testing.T) {
	fixtures.NewToken(t)
	base := t.TempDir()
	config, first := fmt.Sprintf(outside, pinFile(t)), workdir.Dir(filepath.Join(base, "D"))
	fixtures.Must(parse(t, config).Init(t.Context(), first))(t) // never started
	chain := filepath.Join(base, "chain.pem")
	must(t, os.WriteFile(chain, append(fixtures.Must(os.ReadFile(first.Issuing()))(t), fixtures.Must(os.ReadFile(first.Root()))(t)...), 0o600))
	second := "authority: {chain: " + chain + ", audit_key: " + first.AuditPublic() + "}\n"
	for _, station := range []string{"", "station: bench-2\n"} { // with the name of the first, and with another one
		place := workdir.Dir(filepath.Join(base, "E"))
		_, err := parse(t, station+config+second).Init(t.Context(), place)
		if !errors.Is(err, instance.ErrAuditKeyInUse) || reason.ExitOf(err) != reason.ExitUsage || workdir.Exists(string(place)) {
			t.Errorf("got %v with exit code %d; the directory is there: %v", err, reason.ExitOf(err), workdir.Exists(string(place)))
		}
	}
	// The key of a CA is no audit key, whatever its label.
	for _, ca := range []string{first.Issuing(), first.Root()} {
		certificate := fixtures.Must(workdir.ReadCertificate(ca))(t)
		public := filepath.Join(base, "ca.pub")
		must(t, os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: certificate.RawSubjectPublicKeyInfo}), 0o600))
		if _, err := ceremony.ParsePlan("station.yaml", []byte(config+"authority: {chain: "+chain+", audit_key: "+public+"}\n"), "."); !errors.Is(err, configs.ErrValue) || !strings.Contains(err.Error(), "authority.audit_key") {
			t.Errorf("%s: got %v", ca, err)
		}
	}
	place := workdir.Dir(filepath.Join(base, "F"))
	fixtures.Must(parse(t, config+"authority: {chain: "+chain+", audit_label: second-audit}\n").Init(t.Context(), place))(t)
	for _, dir := range []workdir.Dir{first, place} {
		opened := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
		must(t, opened.Close())
	}
}

// A token that finds no data objects cannot say whether the audit key is in use. That is a line of the log, and no end of the ceremony.
func TestATokenThatFindsNoDataObjectsTakesAnAuditKey(t *testing.T) {
	config, shim := throughShim(t, fmt.Sprintf(outside, pinFile(t)))
	base := t.TempDir()
	first, second := workdir.Dir(filepath.Join(base, "D")), workdir.Dir(filepath.Join(base, "E"))
	shim.Fail(t, "find_data 54") // CKR_FUNCTION_NOT_SUPPORTED
	fixtures.Must(parse(t, config).Init(t.Context(), first))(t)
	config += "authority: {root_label: r2, issuing_label: i2, audit_key: " + first.AuditPublic() + "}\n"
	fixtures.Must(parse(t, config).Init(t.Context(), second))(t)
	if log := string(fixtures.Must(os.ReadFile(second.LogFile()))(t)); !strings.Contains(log, "whether the audit key already signs a log") {
		t.Errorf("the log says:\n%s", log)
	}
}

// The file names the module, which runs as code of this process.
func TestAConfigurationThatEverybodyMayWriteIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ceremony.yaml")
	must(t, errors.Join(os.WriteFile(path, []byte("ceremony: root\n"), 0o600), os.Chmod(path, 0o666)))
	_, held := ceremony.Read(path, configs.CeremonyRoot)
	_, planned := ceremony.ReadPlan(path)
	for _, err := range []error{held, planned} {
		if !errors.Is(err, workdir.ErrWritable) {
			t.Errorf("got %v", err)
		}
	}
}

// An administrator calls init as the user of the station, with files in a directory of his own.
func TestAConfigurationInADirectoryOfSomebodyElseIsRead(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "home")
	must(t, os.Mkdir(folder, 0o755))
	pin := pinFile(t)
	path, act := filepath.Join(folder, "station.yaml"), filepath.Join(folder, "audit.yaml")
	must(t, errors.Join(os.WriteFile(path, []byte(inside), 0o644), os.WriteFile(act, fmt.Appendf(nil, auditKey, pin, "out"), 0o644)))
	if os.Geteuid() == 0 { // only root gives a directory away; the test of CheckWriters says the rest
		must(t, os.Chown(folder, 4711, -1))
	}
	fixtures.Must(ceremony.ReadPlan(path))(t)
	fixtures.Must(ceremony.Read(act, configs.CeremonyAuditKey))(t)
}

func pinFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pin")
	must(t, os.WriteFile(path, []byte(fixtures.TestPIN), 0o600))
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stopAt calls stop when an id of a key is drawn for the nth time.
type stopAt struct {
	n    int
	stop func()
}

func (s *stopAt) Read(p []byte) (int, error) {
	if len(p) == 8 { // an id of a key
		if s.n--; s.n == 0 {
			s.stop()
		}
	}
	return io.ReadFull(rand.Reader, p)
}

func TestAnInitThatWasStoppedNamesItsKeysAndGoesOnWithThem(t *testing.T) {
	labels := []string{"hallmark-root", "hallmark-issuing", "hallmark-audit"}
	for n := 1; n <= len(labels); n++ {
		t.Run(fmt.Sprint("at key ", n), func(t *testing.T) {
			token := fixtures.NewToken(t)
			config, place := fmt.Sprintf(outside, pinFile(t)), workdir.Dir(filepath.Join(t.TempDir(), "D"))
			plan := parse(t, config)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			plan.DrawFrom(&stopAt{n, stop})
			_, err := plan.Init(ctx, place)
			if err == nil || !strings.HasPrefix(err.Error(), "stopped; ") || strings.Contains(err.Error(), "\n") || reason.ExitOf(err) != reason.ExitAborted {
				t.Fatalf("got %v with exit code %d", err, reason.ExitOf(err))
			}
			for i, label := range labels {
				if named := strings.Contains(err.Error(), fmt.Sprintf("the key %q with id ", label)); named != (i < n) {
					t.Errorf("%s is named: %v in %q", label, named, err)
				}
			}
			entries := fixtures.Must(os.ReadDir(string(place)))(t)
			if len(entries) != 1 || entries[0].Name() != "init.unfinished" {
				t.Errorf("the directory holds %v", entries)
			}
			fixtures.Must(parse(t, config).Init(t.Context(), place))(t)
			keys := fixtures.Must(token.Open(t).Keys(t.Context()))(t)
			if len(keys) != len(labels) {
				t.Errorf("%d keys on the token, want %d", len(keys), len(labels))
			}
			if workdir.Exists(place.In("init.unfinished")) {
				t.Error("the journal is left")
			}
		})
	}
}

func TestATokenThatGoesAwayBetweenTwoKeysIsNamedWithTheFirst(t *testing.T) {
	token := fixtures.NewToken(t)
	config, place := fmt.Sprintf(outside, pinFile(t)), workdir.Dir(filepath.Join(t.TempDir(), "D"))
	plan := parse(t, config)
	tokens, away := filepath.Join(token.Dir, "tokens"), filepath.Join(token.Dir, "away")
	plan.DrawFrom(&stopAt{2, func() {
		must(t, os.Rename(tokens, away))
		must(t, os.Mkdir(tokens, 0o700))
	}})
	_, err := plan.Init(t.Context(), place)
	if err == nil || !strings.Contains(err.Error(), `the key "hallmark-root" with id `) || !strings.Contains(err.Error(), "stays on the token") || reason.ExitOf(err) != reason.ExitFault {
		t.Fatalf("got %v with exit code %d", err, reason.ExitOf(err))
	}
	must(t, os.RemoveAll(tokens))
	must(t, os.Rename(away, tokens))
	fixtures.Must(parse(t, config).Init(t.Context(), place))(t)
	if keys := fixtures.Must(token.Open(t).Keys(t.Context()))(t); len(keys) != 3 {
		t.Errorf("%d keys on the token, want 3", len(keys))
	}
}

// All labels are looked for before the first key is made: the keys before a taken label would stay on the token.
func TestAnInitWithATakenLabelMakesNoKey(t *testing.T) {
	for _, taken := range []string{"hallmark-root", "hallmark-issuing", "hallmark-audit"} {
		t.Run(taken, func(t *testing.T) {
			token := fixtures.NewToken(t)
			opened := token.Open(t)
			fixtures.Must(opened.Generate(t.Context(), hsm.KeyRef{Label: taken, ID: []byte{1}}))(t)
			must(t, opened.Close(t.Context()))
			config, place := fmt.Sprintf(outside, pinFile(t)), workdir.Dir(filepath.Join(t.TempDir(), "D"))
			for range 2 {
				_, err := parse(t, config).Init(t.Context(), place)
				if !errors.Is(err, hsm.ErrKeyExists) || !strings.Contains(err.Error(), taken) || strings.Contains(err.Error(), "on the token;") || strings.Contains(err.Error(), "goes on with") {
					t.Errorf("got %v", err)
				}
				if workdir.Exists(string(place)) {
					t.Error("the directory is there")
				}
			}
			if keys := fixtures.Must(token.Open(t).Keys(t.Context()))(t); len(keys) != 1 {
				t.Errorf("%d keys on the token, want 1", len(keys))
			}
		})
	}
}

// Between two calls of init somebody exchanged the key that the first one made, or took it away.
func TestAnInitGoesOnOnlyWithTheKeyThatItMade(t *testing.T) {
	for name, put := range map[string]bool{"exchanged": true, "removed": false} {
		t.Run(name, func(t *testing.T) {
			token := fixtures.NewToken(t)
			config, place := fmt.Sprintf(outside, pinFile(t)), workdir.Dir(filepath.Join(t.TempDir(), "D"))
			plan := parse(t, config)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			plan.DrawFrom(&stopAt{2, stop})
			if _, err := plan.Init(ctx, place); reason.ExitOf(err) != reason.ExitAborted {
				t.Fatalf("got %v", err)
			}
			for _, object := range fixtures.Must(filepath.Glob(filepath.Join(token.Dir, "tokens", "*", "*.object")))(t) {
				if filepath.Base(object) != "token.object" {
					must(t, os.Remove(object))
				}
			}
			opened := token.Open(t)
			journal := string(fixtures.Must(os.ReadFile(place.In("init.unfinished")))(t))
			_, id, _ := strings.Cut(journal, `"label":"hallmark-root","id":"`)
			if put {
				fixtures.Must(opened.Generate(t.Context(), hsm.KeyRef{Label: "hallmark-root", ID: fixtures.Must(hex.DecodeString(id[:16]))(t)}))(t)
			}
			must(t, opened.Close(t.Context()))
			_, err := parse(t, config).Init(t.Context(), place)
			if !errors.Is(err, map[bool]error{true: hsm.ErrKeyDiffers, false: hsm.ErrKeyMissing}[put]) || !strings.Contains(err.Error(), "init.unfinished") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A new key has a random id, so a URI that names another one would hide the key from every later start.
func TestAURIForAKeyThatInitMakesIsRefused(t *testing.T) {
	for _, key := range []string{"root_uri", "issuing_uri", "audit_uri"} {
		_, err := ceremony.ParsePlan("station.yaml", []byte(inside+"authority: {"+key+": \"pkcs11:id=%01\"}\n"), ".")
		if !errors.Is(err, configs.ErrValue) || !strings.Contains(err.Error(), "authority."+key+": ") {
			t.Errorf("%s: got %v", key, err)
		}
	}
}

// Keys that were made for nothing stay on the token.
func TestNamesWithWhichNoCertificateFitsAreRefusedBeforeAKeyIsMade(t *testing.T) {
	for _, test := range []struct{ name, organization, want string }{
		{strings.Repeat("株", 58), "", ""},
		{strings.Repeat("株", 58), strings.Repeat("式", 64), "boards store at most 1024"},
	} {
		_, err := ceremony.ParsePlan("station.yaml", fmt.Appendf(nil, inside+"authority: {name: %q, organization: %q}\n", test.name, test.organization), ".")
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%.6q, %.6q: got %v, want %q", test.name, test.organization, err, test.want)
		}
	}
}

// Some tokens have ids of two octets only.
func TestKeysGetIdsOfAsManyOctetsAsTheTokenHas(t *testing.T) {
	token := fixtures.NewToken(t)
	pin := pinFile(t)
	config, place := strings.Replace(fmt.Sprintf(outside, pin), "token_label:", "key_id_octets: 2, token_label:", 1), workdir.Dir(filepath.Join(t.TempDir(), "D"))
	fixtures.Must(parse(t, config).Init(t.Context(), place))(t)
	opened := fixtures.Must(instance.Open(t.Context(), place, instance.Options{}))(t) // the keys are found and sign
	must(t, opened.Close())

	path := filepath.Join(t.TempDir(), "audit.yaml")
	must(t, os.WriteFile(path, []byte(strings.Replace(fmt.Sprintf(auditKey, pin, "out"), "token_label:", "key_id_octets: 2, token_label:", 1)), 0o600))
	if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) { // the key is made
		t.Errorf("got %v", err)
	}
	keys := fixtures.Must(token.Open(t).Keys(t.Context()))(t)
	if len(keys) != 4 {
		t.Errorf("%d keys on the token, want 4", len(keys))
	}
	for _, key := range keys {
		if len(key.ID) != 2 || key.Refused(nil) != nil {
			t.Errorf("the key %q has the id %x, %v", key.Label, key.ID, key.Refused(nil))
		}
	}
}

func TestAnAuditKeyThatSignsNoCheckpointIsRefused(t *testing.T) {
	rsaKey := fixtures.Must(rsa.GenerateKey(rand.Reader, 2048))(t)
	p384 := fixtures.Must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)
	for name, public := range map[string]any{"RSA": &rsaKey.PublicKey, "P-384": &p384.PublicKey} {
		path := filepath.Join(t.TempDir(), "audit.pub")
		der := fixtures.Must(x509.MarshalPKIXPublicKey(public))(t)
		must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
		_, err := ceremony.ParsePlan("station.yaml", fmt.Appendf(nil, outside+"authority: {audit_key: %q}\n", "pin", path), ".")
		if err == nil || !strings.Contains(err.Error(), "authority.audit_key: ") || !strings.Contains(err.Error(), "want an ECDSA key with P-256") || strings.Contains(err.Error(), "*") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAnInitWithItsOwnTokenLeavesNothing(t *testing.T) {
	for _, existed := range []bool{false, true} {
		place := workdir.Dir(filepath.Join(t.TempDir(), "D"))
		if existed {
			must(t, os.Mkdir(string(place), 0o700))
		}
		plan := parse(t, inside)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		plan.DrawFrom(&stopAt{2, stop})
		if _, err := plan.Init(ctx, place); err == nil || err.Error() != "stopped" || reason.ExitOf(err) != reason.ExitAborted {
			t.Errorf("got %v", err)
		}
		if entries, err := os.ReadDir(string(place)); len(entries) > 0 || existed != (err == nil) {
			t.Errorf("left %v, %v", entries, err)
		}
	}
}

// A kill leaves the journal and the token in the directory. The next init removes the token, so it must not look for its keys.
func TestAnInitThatWasKilledWithItsOwnTokenMakesNewKeys(t *testing.T) {
	place := workdir.Dir(filepath.Join(t.TempDir(), "D"))
	plan := parse(t, inside)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var journal []byte
	plan.DrawFrom(&stopAt{2, func() {
		journal = fixtures.Must(os.ReadFile(place.In("init.unfinished")))(t)
		stop()
	}})
	if _, err := plan.Init(ctx, place); reason.ExitOf(err) != reason.ExitAborted || !strings.Contains(string(journal), `"made":true`) {
		t.Fatalf("got %v, and this journal:\n%s", err, journal)
	}
	must(t, errors.Join(os.MkdirAll(place.HSM(), 0o700), os.WriteFile(place.In("init.unfinished"), journal, 0o600)))
	fixtures.Must(parse(t, inside).Init(t.Context(), place))(t)
	if workdir.Exists(place.In("init.unfinished")) {
		t.Error("the journal is left")
	}
}
