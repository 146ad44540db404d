package ceremony

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/hsm"
	"hallmark/hsm/softtoken"
	"hallmark/station/instance"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// A Plan describes the station that `init` makes.
type Plan struct {
	Config                  *configs.Config
	configText, profileText []byte
	profileName             string
	coseName                string // empty without COSE keys
	coseText                []byte
	chain                   *Chain           // the CA that was made elsewhere; nil: init makes one
	audit                   *ecdsa.PublicKey // the audit key that was made before; nil: init makes one
	begun                   *beginning       // nil: the caller keeps no journal
	random                  io.Reader
}

// ReadPlan reads a configuration file and its profiles. The empty path means the demonstration.
func ReadPlan(path string) (*Plan, error) {
	name, text, base := "demo.yaml", configs.Demo(), "."
	if path != "" {
		read, err := workdir.ReadInput(path, workdir.MaxFile)
		if err == nil {
			err = workdir.CheckWriters(path) // it names the module
		}
		if err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
		name, text, base = path, read, filepath.Dir(path)
	}
	return ParsePlan(name, text, base)
}

// ParsePlan parses a configuration. Errors contain name. Relative paths start at base.
func ParsePlan(name string, text []byte, base string) (*Plan, error) {
	p := &Plan{configText: text, random: rand.Reader}
	var err error
	if p.Config, err = configs.Parse(name, p.configText); err != nil {
		return nil, err
	}
	if p.profileName, p.profileText, err = p.Config.ProfileText(base); err != nil {
		return nil, err
	}
	if p.coseName, p.coseText, err = p.Config.COSEProfileText(base); err != nil {
		return nil, err
	}
	if chain := p.Config.Authority.Chain; chain != "" {
		if p.chain, err = ReadChain(below(base, chain), time.Now()); err != nil {
			return nil, err
		}
	}
	if path := p.Config.Authority.AuditKey; path != "" {
		if p.audit, err = readAuditKey(below(base, path)); err != nil {
			return nil, err
		}
	}
	if p.chain != nil && p.audit != nil && (p.audit.Equal(p.chain.Issuing.PublicKey) || p.audit.Equal(p.chain.Root.PublicKey)) {
		return nil, &configs.ValueError{Key: "authority.audit_key", Got: "the key of the root or of the issuing CA", Want: "a key of its own", Next: "leave it out, and `station init` makes one: a checkpoint must not be a certificate"}
	}
	if err := p.checkURIs(); err != nil {
		return nil, err
	}
	return p, p.fits(time.Now())
}

// checkURIs refuses a URI for a key that `init` makes: the new key has a random id, so a later start would not find it.
func (p *Plan) checkURIs() (err error) {
	names := p.Config.Authority
	for _, key := range []struct {
		name, uri string
		made      bool
	}{{"root_uri", names.RootURI, p.chain == nil}, {"issuing_uri", names.IssuingURI, p.chain == nil}, {"audit_uri", names.AuditURI, p.audit == nil}} {
		if key.made && key.uri != "" {
			err = errors.Join(err, &configs.ValueError{Key: "authority." + key.name, Got: "a URI", Want: "nothing, because `station init` makes this key", Next: "leave it out, or give chain and audit_key for keys that exist"})
		}
	}
	return err
}

// readAuditKey reads the public key that the ceremony audit-key wrote.
func readAuditKey(path string) (*ecdsa.PublicKey, error) {
	public, err := workdir.ReadPublicKey(path)
	if err != nil {
		return nil, fmt.Errorf("authority.audit_key: %w", err)
	}
	key, ok := public.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("authority.audit_key: want an ECDSA key with P-256 in %s; give the audit.pub of `station ceremony audit-key`", path)
	}
	return key, nil
}

// fits refuses a profile whose certificates would end after the issuing CA, would be too large below it, or whose standard wants
// another name of it: no board could be enrolled.
func (p *Plan) fits(now time.Time) error {
	tls, cose, err := p.profiles()
	if err != nil {
		return err
	}
	issuing, err := p.issuer(now)
	if err != nil {
		return err
	}
	for _, profile := range []*issuance.Profile{tls, cose} {
		if profile == nil {
			continue
		}
		if err := errors.Join(profile.Outlives(issuing.NotAfter, now), profile.Fits(issuing, now)); err != nil {
			return err
		}
	}
	return p.rehearse(issuing, now)
}

// errRehearsed ends a rehearsal before the signature.
var errRehearsed = errors.New("rehearsed")

// rehearse has each certificate of the ceremony linted, with keys that are thrown away: a name with which one cannot be made is
// found before the token has a key for it.
func (p *Plan) rehearse(above *x509.Certificate, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	held := &ceremony{config: p.Config, now: now}
	if p.chain == nil {
		if above, err = issuance.Root(rootCA(p.Config, now), key, rand.Reader); err != nil {
			return err
		}
		if _, err := issuance.Issuing(issuingCA(p.Config, now), &key.PublicKey, above, key, rand.Reader); err != nil {
			return err
		}
	}
	stop := func(*x509.Certificate) error { return errRehearsed }
	audit, server := held.auditConfig(above), endpointConfig(p.Config, above, now)
	audit.Intend, server.Intend = stop, stop
	if _, err := issuance.Audit(audit, &key.PublicKey, above, key, rand.Reader); !errors.Is(err, errRehearsed) {
		return err
	}
	if _, err := issuance.Server(server, &key.PublicKey, above, key, rand.Reader); !errors.Is(err, errRehearsed) {
		return err
	}
	return nil
}

// issuer gives the issuing CA that was made elsewhere, or a preview of the one that init will make.
func (p *Plan) issuer(now time.Time) (*x509.Certificate, error) {
	if p.chain != nil {
		return p.chain.Issuing, nil
	}
	return issuingCA(p.Config, now).Preview()
}

// below returns the path of a file that a configuration in the directory base names.
func below(base, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}

// profiles returns the profile for TLS keys, and the profile for COSE keys or nil.
func (p *Plan) profiles() (tls, cose *issuance.Profile, err error) {
	tls, err = configs.ParseProfileFor(devices.PurposeTLS, p.profileName, p.profileText)
	if err == nil && p.coseText != nil {
		cose, err = configs.ParseProfileFor(devices.PurposeCOSE, p.coseName, p.coseText)
	}
	return tls, cose, err
}

// Init builds the station in its directory. The directory is proven to be usable before the HSM is opened. The
// directory is a station only when station.yaml is there, which is written last. An Init that fails leaves nothing
// in the directory, except a journal if keys stay on the token; then the same Init goes on with these keys.
func (p *Plan) Init(ctx context.Context, place workdir.Dir) (_ *Made, err error) {
	// 1. Prove that the directory can be used.
	dir, madeDir, err := place.Prepare()
	if err == nil && p.Config.HSM.CreateToken {
		err = reason.Usage(softtoken.Dir(dir.HSM()).CheckPath())
	}
	if err == nil {
		err = dir.HasSpace(p.Config.DiskFloor)
	}
	if err == nil {
		p.begun, err = begin(dir, p.Config.HSM.CreateToken)
	}
	if err != nil {
		if madeDir {
			_ = os.Remove(string(place))
		}
		return nil, err
	}
	// 2. Build the station.
	made, err := p.Build(ctx, dir)
	if made == nil {
		return nil, p.begun.end(ctx, err, madeDir)
	}
	// 3. The station is finished, and its mark may lie on the token: whatever fails or stops now, the station stays.
	if err != nil {
		err = fmt.Errorf("the station in %s is finished; after that: %w", dir, err)
	}
	return made, errors.Join(err, dir.End(), p.begun.file.Close())
}

// Build makes the whole station in a directory, and closes all parts. If only the closing fails, it returns the finished station and the error.
func (p *Plan) Build(ctx context.Context, dir workdir.Dir) (*Made, error) {
	if p.Config.HSM.CreateToken {
		if err := p.createToken(ctx, dir); err != nil {
			return nil, err
		}
	}
	token, err := instance.OpenToken(ctx, dir, p.Config, nil, nil)
	if err != nil {
		return nil, err
	}
	made, err := p.BuildOn(ctx, dir, token)
	if err != nil {
		return nil, errors.Join(err, instance.CloseToken(token))
	}
	markToken(ctx, dir, token, made)
	return made, instance.CloseToken(token)
}

// markToken stores the first checkpoint on the token, so that no other station gets this audit key. The station is finished by now, and
// its first start stores its checkpoint, too; so a token that takes none is noted in the engineers' log only.
func markToken(ctx context.Context, dir workdir.Dir, token *hsm.Token, made *Made) {
	if err := instance.MarkToken(ctx, token, made.verifierKey, made.checkpoint); err != nil {
		warn(dir, "the first checkpoint does not lie on the token", err)
	}
}

// warn writes a line to the engineers' log of a station that is being made.
func warn(dir workdir.Dir, text string, warned error) {
	if log, file, err := dir.OpenLog(nil); err == nil {
		log.Warn(text, "error", warned)
		_ = file.Close() // the line is written
	}
}

func (p *Plan) createToken(ctx context.Context, dir workdir.Dir) error {
	token, err := p.Config.Token(string(dir), workdir.Exists)
	if err != nil {
		return reason.Usage(err)
	}
	pinPath := strings.TrimPrefix(p.Config.PINSource(string(dir)), "file:") // package configs allows only file: here
	return softtoken.Dir(dir.HSM()).Create(ctx, token, pinPath, p.random)
}

// BuildOn makes the station with an open token. The token stays open.
func (p *Plan) BuildOn(ctx context.Context, dir workdir.Dir, token *hsm.Token) (*Made, error) {
	if err := p.writeProfiles(dir); err != nil {
		return nil, err
	}
	held := &ceremony{begun: p.begun, config: p.Config, chain: p.chain, auditPublic: p.audit, token: token, now: time.Now().UTC().Truncate(time.Second), random: p.random}
	held.warn = func(text string, err error) { warn(dir, text, err) }
	if err := held.hold(ctx); err != nil {
		return nil, fmt.Errorf("holding the key ceremony: %w", err)
	}
	if err := held.write(dir); err != nil {
		return nil, fmt.Errorf("storing what the ceremony made: %w", err)
	}
	if err := p.beginRegistry(ctx, dir, held); err != nil {
		return nil, fmt.Errorf("beginning the registry: %w", err)
	}
	// The commit point: everything else is on the disk when the configuration, which makes a station, gets its name.
	if err := errors.Join(ctx.Err(), workdir.Sync(string(dir))); err != nil {
		return nil, err
	}
	return &held.Made, workdir.WriteFile(dir.Config(), p.configText)
}

// writeProfiles stores the profiles.
func (p *Plan) writeProfiles(dir workdir.Dir) error {
	err := workdir.WriteFile(dir.Profile(), p.profileText)
	if err == nil && p.coseText != nil {
		err = workdir.WriteFile(dir.COSEProfile(), p.coseText)
	}
	return err
}

// beginRegistry makes the registry and writes entry 0 of the audit log. The entry names the
// keys and certificates of the ceremony, and the key that signs checkpoints.
func (p *Plan) beginRegistry(ctx context.Context, dir workdir.Dir, held *ceremony) (err error) {
	tls, cose, err := p.profiles()
	if err != nil {
		return err
	}
	if err := p.begun.registry(); err != nil {
		return err
	}
	opened, err := registry.Open(ctx, instance.RegistryConfig(dir, p.Config))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Shutdown()) }()
	keys, err := held.evidence(ctx)
	if err != nil {
		return err
	}
	key, err := opened.Genesis(ctx, registry.Genesis{
		Origin: instance.Origin(p.Config), AuditKey: held.audit.Public(), Operator: instance.LocalUser(), Profile: tls, COSE: cose,
		Certificates: map[string]*x509.Certificate{"root": held.Root, "issuing": held.Issuing, "server": held.Server, "audit": held.Audit},
		HSM:          instance.TokenFacts(held.token.Info()), Keys: keys,
	})
	if err != nil {
		return err
	}
	if err := workdir.WriteFile(dir.AuditKey(), []byte(key+"\n")); err != nil {
		return err
	}
	if err := opened.Checkpoint(ctx, instance.Origin(p.Config), held.audit); err != nil {
		return err
	}
	held.verifierKey = key
	_, held.checkpoint, err = opened.NewestCheckpoint(ctx)
	return err
}

// Next returns the first command for a new station. It must work as it stands there: an installed
// station has no images of emulated boards, and a station for real boards refuses them.
func (p *Plan) Next(dir workdir.Dir) string {
	switch {
	case !p.Config.Boards.AllowEmulated:
		return fmt.Sprintf("station doctor --dir %s checks the station, station bays --dir %[1]s shows the bench", dir)
	case len(p.Config.Bays) > 0:
		return fmt.Sprintf("station batch --dir %s enrols a board in each bay of station.yaml, station bays --dir %[1]s shows the bays", dir)
	case !instance.HasImage(p.Config, "qemu"):
		return fmt.Sprintf("station batch --dir %s --boards qemu:4 --firmware FOLDER\n"+
			"FOLDER has the images of emulated boards: devices/firmware/build of the source tree, after `make firmware`", dir)
	}
	return fmt.Sprintf("station batch --dir %s --boards qemu:4", dir)
}
