package health

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"hallmark/hsm"
	"hallmark/station/instance"
	"hallmark/station/issuance"
	"hallmark/station/ocsp"
	"hallmark/station/reason"
	"hallmark/station/webhook"
	"hallmark/station/workdir"
)

func (c *Checker) checkFiles(context.Context) (finding, error) {
	files, err := c.files.orOpen(func() (*instance.Files, error) { return instance.OpenFiles(c.dir, c.options) })
	if err != nil {
		return finding{}, err
	}
	var names []string
	for _, profile := range files.Profiles() {
		names = append(names, profile.Name())
	}
	all := strings.Join(names, " and ")
	return said("configuration", fmt.Sprintf("station %q, profile %s", files.Config.Station, all), files.Config.Station, all), nil
}

func (c *Checker) checkDisk(context.Context) (finding, error) {
	files, err := c.files.get()
	if err != nil {
		return finding{}, err
	}
	if err := files.HasSpace(); err != nil {
		return finding{}, err
	}
	free, err := files.Dir.FreeMiB()
	if err != nil {
		return finding{}, err
	}
	boards, err := instance.Room(files.Dir, files.Config.DiskFloor)
	return said("disk", fmt.Sprintf("%d MiB free, room for the record of about %s", free, reason.Count(boards, "board", "boards")), free, boards), err
}

// checkRegistry opens the registry. Opening also reads SQLite's settings back and recovers after a crash.
func (c *Checker) checkRegistry(ctx context.Context) (finding, error) {
	files, err := c.files.get()
	if err != nil {
		return finding{}, err
	}
	if _, err := c.record.orOpen(func() (*instance.Record, error) { return files.OpenRecord(ctx) }); err != nil {
		return finding{}, err
	}
	return said("registry", "open, settings read back: WAL, synchronous=FULL"), nil
}

// checkProfiles compares the profiles with those that were adopted.
func (c *Checker) checkProfiles(ctx context.Context) (finding, error) {
	record, err := c.record.get()
	if err != nil {
		return finding{}, err
	}
	if err := record.CheckProfiles(ctx); err != nil {
		return finding{}, err
	}
	known, err := record.Registry.KnowsAdoption(ctx)
	if err == nil && !known {
		return said("not-adopted", "no profile was adopted yet: this start takes those of the directory as adopted, on record"), nil
	}
	return said("adopted", "as adopted"), err
}

// checkClock compares the clock with the validity of the CA certificates. The registry, which
// refuses a clock that has gone back, is already open.
func (c *Checker) checkClock(context.Context) (finding, error) {
	record, err := c.record.get()
	if err != nil {
		return finding{}, err
	}
	now := record.Now()
	text := now.UTC().Format(time.RFC3339)
	return said("clock", text+", not behind the audit log", text), record.CheckClock(now)
}

// checkCertificates checks the expiry of the verifier's certificate, and of the OCSP certificate if there is one.
func (c *Checker) checkCertificates(context.Context) (finding, error) {
	files, err := c.files.get()
	if err != nil {
		return finding{}, err
	}
	chain, err := workdir.ReadCertificates(files.Dir.Server())
	if err != nil {
		return finding{}, err
	}
	server := chain[0] // an issuing CA may follow
	until := server.NotAfter.UTC().Format(time.DateOnly)
	text := "the verifier's is valid until " + until
	err = instance.CheckExpiry(server, files.Now())
	if errors.Is(err, instance.ErrEnding) && server.NotAfter.Equal(files.Issuing.NotAfter) {
		err = nil // a new one would end on the same day; checkIssuingEnd says what helps
	}
	if err != nil || !workdir.Exists(files.Dir.OCSP()) {
		return said("certificates", text, until), err
	}
	responder, err := instance.OpenResponder(files.Dir)
	if err != nil {
		return finding{}, fmt.Errorf("%w: %w", errOCSP, err)
	}
	last := responder.Certificate.NotAfter.UTC().Format(time.DateOnly)
	text += ", the OCSP responder's until " + last
	if err := ocsp.CheckExpiry(responder.Certificate, files.Now()); err != nil {
		return finding{}, fmt.Errorf("%w: %w", errOCSP, err)
	}
	return said("certificates-ocsp", text, until, last), nil
}

// checkIssuingEnd compares the validity of the profiles with the end of the issuing CA, before the HSM is opened.
func (c *Checker) checkIssuingEnd(context.Context) (finding, error) {
	files, err := c.files.get()
	if err != nil {
		return finding{}, err
	}
	until := files.Issuing.NotAfter.UTC().Format(time.DateOnly)
	return said("issuing-ca", "valid until "+until+", longer than the certificates of boards", until), instance.CheckIssuingEnd(files.Profiles(), files.Issuing, files.Now())
}

// errOCSP: a warning. No Run needs the OCSP responder.
var errOCSP = errors.New("run `station renew-ocsp`")

func (c *Checker) checkHSM(ctx context.Context) (finding, error) {
	record, err := c.record.get()
	if err != nil {
		return finding{}, err
	}
	keys, err := c.keys.orOpen(func() (*instance.Keys, error) { return record.OpenKeys(ctx, c.pin) })
	if err != nil {
		return finding{}, err
	}
	info := keys.Token.Info()
	word, text := "hsm", fmt.Sprintf("%s %s, token %q, serial %s", info.Manufacturer, info.Model, info.Label, info.Serial)
	if info.Software {
		word, text = "hsm-software", text+"; software, protects nothing"
	}
	if info.Exceptions != "" {
		return said(word+"-excepted", text+"; exceptions: "+info.Exceptions, info.Manufacturer, info.Model, info.Label, info.Serial, info.Exceptions), nil
	}
	return said(word, text, info.Manufacturer, info.Model, info.Label, info.Serial), nil
}

// checkIssuingKey signs in the same way as a Run: it adopts the key by its certificate, and
// verifies the signature with the key in the certificate.
func (c *Checker) checkIssuingKey(ctx context.Context) (finding, error) {
	keys, err := c.keys.get()
	if err != nil {
		return finding{}, err
	}
	if _, err := c.issuer.orOpen(func() (*issuance.Issuer, error) { return keys.OpenIssuer(ctx) }); err != nil {
		return finding{}, err
	}
	signer, err := keys.IssuingSigner(ctx)
	if err != nil {
		return finding{}, err
	}
	return proven(signer)
}

func (c *Checker) checkAuditKey(ctx context.Context) (finding, error) {
	keys, err := c.keys.get()
	if err != nil {
		return finding{}, err
	}
	signer, err := c.audit.orOpen(func() (crypto.Signer, error) { return keys.AuditSigner(ctx) })
	if err != nil {
		return finding{}, err
	}
	return proven(signer)
}

// proven says how long a key took to sign.
func proven(signer crypto.Signer) (finding, error) {
	took, err := Prove(signer)
	return said("signed", "signed a challenge in "+took.Round(time.Microsecond).String(), took), err
}

// Prove has a random challenge signed, and verifies the signature in software. It reports the
// time of the signature.
func Prove(signer crypto.Signer) (time.Duration, error) {
	challenge := make([]byte, 32)
	if _, err := io.ReadFull(rand.Reader, challenge); err != nil {
		return 0, fmt.Errorf("drawing a challenge: %w", err)
	}
	digest := sha256.Sum256(challenge)
	began := time.Now()
	signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return 0, fmt.Errorf("signing a challenge: %w", err)
	}
	took := time.Since(began)
	if key, ok := signer.Public().(*ecdsa.PublicKey); !ok || !ecdsa.VerifyASN1(key, digest[:], signature) {
		return 0, errors.New("the signature over a challenge does not verify")
	}
	return took, nil
}

// checkKeyPolicy compares the attributes of the station's keys on the token with the key policy.
func (c *Checker) checkKeyPolicy(ctx context.Context) (finding, error) {
	keys, err := c.keys.get()
	if err != nil {
		return finding{}, err
	}
	reports, err := keys.Token.Keys(ctx)
	if err != nil {
		return finding{}, err
	}
	audit, err := workdir.ReadPublicKey(keys.Dir.AuditPublic())
	if err != nil {
		return finding{}, err
	}
	auditKey, _ := audit.(*ecdsa.PublicKey)
	authority, allow := keys.Config.Authority, keys.Config.HSM.Allowed()
	bad := errors.Join(
		policyOf(reports, authority.RootLabel, ecKey(keys.Root), allow, false), // the root key may be kept outside of this token
		policyOf(reports, authority.IssuingLabel, ecKey(keys.Issuing), allow, true),
		policyOf(reports, authority.AuditLabel, auditKey, allow, true),
	)
	if len(allow) > 0 {
		return said("key-excepted", "not fully proven; exceptions: "+allow.String(), allow.String()), bad
	}
	return said("key-policy", "sensitive, never extractable, made on the token"), bad
}

// policyOf finds the report on the key with this public key, and returns what breaks the policy. A key without
// a readable public half is not found here; the checks before this one had it sign.
func policyOf(reports []hsm.KeyReport, label string, public *ecdsa.PublicKey, allow hsm.Exceptions, needed bool) error {
	readable := true
	for _, report := range reports {
		readable = readable && report.Public != nil
		if public != nil && report.Public != nil && public.Equal(report.Public) {
			return report.Refused(allow)
		}
	}
	if !needed || !readable {
		return nil
	}
	return fmt.Errorf("the key of %s is not on the token", label)
}

// ecKey returns the EC key of a certificate, or nil if the key is of another kind.
func ecKey(certificate *x509.Certificate) *ecdsa.PublicKey {
	key, _ := certificate.PublicKey.(*ecdsa.PublicKey)
	return key
}

// checkAuditLog verifies the whole audit log. It uses the key that `init` wrote to a file, not
// the key that the log itself names. If the HSM is open, the log must also contain the log of the
// checkpoint on the token.
func (c *Checker) checkAuditLog(ctx context.Context) (finding, error) {
	record, err := c.record.get()
	if err != nil {
		return finding{}, err
	}
	key, err := workdir.ReadFile(record.Dir.AuditKey())
	if err != nil {
		return finding{}, err
	}
	report, err := record.Registry.VerifyAudit(ctx, strings.TrimSpace(string(key)))
	if err != nil {
		return finding{}, err
	}
	if keys, closed := c.keys.get(); closed == nil {
		if err := keys.CheckToken(ctx); err != nil {
			return finding{}, err
		}
	}
	if err := record.Registry.CheckActs(ctx); err != nil {
		return finding{}, err
	}
	checkpoints := reason.Count(report.Checkpoints, "checkpoint", "checkpoints")
	if report.Lacks != "" {
		return finding{text: fmt.Sprintf("the tree of %s and %s hold; %s, and rows were not compared for them", reason.Count(report.Size, "entry", "entries"), checkpoints, report.Lacks)}, nil
	}
	return said("audit-log", fmt.Sprintf("%s, %s", reason.Count(report.Size, "entry verifies", "entries verify"), checkpoints), report.Size, report.Checkpoints), nil
}

// checkWitnesses asks each witness what it has seen, and looks for anchors. It returns a row for each witness.
func (c *Checker) checkWitnesses(ctx context.Context) (finding, []string, error) {
	record, err := c.record.get()
	if err != nil {
		return finding{}, nil, err
	}
	rows, err := record.CheckWitnesses(ctx)
	if len(record.Config.Witnesses) == 0 && record.Config.Anchors == "" {
		return said("no-witness", "none is configured"), nil, err
	}
	number := len(record.Config.Witnesses)
	return said("witnesses", fmt.Sprintf("%s configured", reason.Count(number, "witness is", "witnesses are")), number), rows, err
}

// hasWebhooks reports whether station.yaml has receivers of webhooks.
func (c *Checker) hasWebhooks() bool {
	files, err := c.files.get()
	return err == nil && len(files.Config.Webhooks) > 0
}

// checkWebhooks counts the endings of Runs that each receiver has not taken. It sends nothing: a station that is open does.
func (c *Checker) checkWebhooks(ctx context.Context) (finding, []string, error) {
	record, err := c.record.get()
	if err != nil {
		return finding{}, nil, err
	}
	deliveries, err := record.Deliveries(ctx, record.Registry.Reader, false)
	if err != nil {
		return finding{}, nil, err
	}
	var rows []string
	late := false
	for _, d := range deliveries {
		rows = append(rows, d.Name+": "+reason.Count(d.Waiting, "ending waits", "endings wait"))
		late = late || d.Waiting > 0 && record.Now().Sub(d.Oldest) > soonTaken
	}
	if late {
		return finding{}, nil, fmt.Errorf("%w: %s", webhook.ErrNotTaken, strings.Join(rows, ", "))
	}
	return said("webhooks", fmt.Sprintf("%s configured", reason.Count(len(deliveries), "receiver is", "receivers are")), len(deliveries)), rows, nil
}

// soonTaken is how long an ending of a Run may wait for its receiver without a warning.
const soonTaken = 5 * time.Minute

func (c *Checker) checkEndpoint(ctx context.Context) (finding, error) {
	record, err := c.record.get()
	if err != nil {
		return finding{}, err
	}
	endpoint, err := c.endpoint.orOpen(func() (*instance.Endpoint, error) { return record.OpenEndpoint(ctx) })
	if err != nil {
		return finding{}, err
	}
	name := endpoint.Server.ServerName()
	if listen := record.Config.Network.Listen; record.OverNetwork() {
		return said("verifier-network", "listens, as "+name+"; boards come to "+listen, name, listen), nil
	}
	return said("verifier", "listens, as "+name, name), nil
}

// selfTest returns a row for each test client, so that a reader sees which client was refused and why.
func (c *Checker) selfTest(ctx context.Context) (finding, []string, error) {
	endpoint, err := c.endpoint.get()
	if err != nil {
		return finding{}, nil, err
	}
	clients, err := endpoint.Server.SelfTest(ctx)
	if err != nil {
		return finding{}, nil, err
	}
	var rows []string
	var wrong []error
	for _, client := range clients {
		answer := "accepted"
		if client.Got != nil {
			answer = "refused: " + client.Got.Error()
		}
		rows = append(rows, client.Name+": "+answer)
		if !client.OK {
			wrong = append(wrong, fmt.Errorf("%s: %s", client.Name, answer))
		}
	}
	return said("self-test", fmt.Sprintf("%s, each answered as it must be", reason.Count(len(clients), "client", "clients")), len(clients)), rows, errors.Join(wrong...)
}
