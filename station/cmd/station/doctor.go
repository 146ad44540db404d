package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hallmark/station/audit"
)

func (c *command) doctorCommand() *cobra.Command {
	var ports []string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Proves that the bench works, part by part",
		Long: `doctor tries every part of the bench the way a Run uses it: it signs in the HSM, reads the
registry's settings back, verifies the audit log, and has the verifier refuse a self-signed, a
wrong-CA, an expired, a revoked and another board's certificate, and accept a good one.

It exits with 1 when anything fails, and says for each failure what to do next.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals...)
			defer stop()
			return c.doctor(ctx, ports)
		},
	}
	cmd.Flags().StringSliceVar(&ports, "ports", nil, "serial ports to open, \"\" for none (default: all that are found)")
	return cmd
}

// An examination is one line of the doctor's table.
type examination struct {
	name string
	next string // what to do when it fails
	do   func(context.Context) (finding string, err error)
}

// A patient is the bench under examination. Parts that did not open are nil,
// and what needs them is not examined.
type patient struct {
	*bench
	ports []string // nil: all that are found
}

var errNotExamined = errors.New("not examined: what it needs has failed above")

// doctor examines everything even when something fails.
func (c *command) doctor(ctx context.Context, ports []string) (err error) {
	s, err := existing(c.dir)
	if err != nil {
		return err
	}
	p := &patient{bench: &bench{state: s}, ports: ports}
	defer func() { err = errors.Join(err, p.close()) }()
	var failed []string
	for _, e := range p.examinations() {
		finding, err := e.do(ctx)
		if ctx.Err() != nil {
			return &exitError{exitAborted, fmt.Errorf("examining %s: %w", e.name, errors.Join(errInterrupted, err))}
		}
		if errors.Is(err, errNotExamined) {
			fmt.Fprintf(c.stdout, "?     %-14s %v\n", e.name, err)
			failed = append(failed, e.name)
			continue
		}
		if errors.Is(err, errEnding) {
			fmt.Fprintf(c.stdout, "warn  %-14s %v\n", e.name, err)
			continue
		}
		if err != nil {
			failed = append(failed, e.name)
			fmt.Fprintf(c.stdout, "FAIL  %-14s %v\n      %-14s next: %s\n", e.name, err, "", e.next)
			continue
		}
		fmt.Fprintf(c.stdout, "ok    %-14s %s\n", e.name, finding)
	}
	if len(failed) > 0 {
		return errors.Join(fmt.Errorf("%d parts of the bench failed or were not examined", len(failed)), p.sayFailed(failed))
	}
	fmt.Fprintln(c.stdout, "\nThe bench is ready.")
	return p.note("doctor.done", audit.Success, nil)
}

// sayFailed puts the findings on record, if there is a record.
func (p *patient) sayFailed(names []string) error {
	if p.registry == nil {
		return nil
	}
	return p.note("doctor.done", audit.Failure, map[string]string{"failed": strings.Join(names, ", ")})
}

func (p *patient) examinations() []examination {
	return []examination{
		{"configuration", "correct the file; `station init` made it from --config", p.files},
		{"disk", "free some space, or lower minimum_free_mib in station.yaml", p.disk},
		{"registry", "do as it says; do not remove registry.db", p.database},
		{"clock", "set the clock right; evidence must be in order", p.clock},
		{"certificates", "make a new one with `station renew-verifier`, or restore pki/ from its backup", p.certificates},
		{"HSM", "check that the HSM is connected and the PIN source is right", p.hsm},
		{"issuing key", "compare the token's keys with `pkcs11-tool --list-objects`", p.issuingKey},
		{"audit key", "compare the token's keys with `pkcs11-tool --list-objects`", p.auditKey},
		{"key policy", "use keys that were made in the token and never left it", p.keyPolicy},
		{"audit log", "stop the line and keep a copy of the directory: evidence does not verify", p.auditLog},
		{"verifier", "check verifier.listen and network.listen in station.yaml, and pki/verifier.pem", p.endpoint},
		{"self-test", "do not enrol boards: the verifier does not refuse what it must", p.selfTest},
		{"ports", "reconnect the adapter, or end the program that uses the port", p.serialPorts},
	}
}

func (p *patient) files(ctx context.Context) (string, error) {
	if err := p.unless(ctx, p.config != nil, p.openFiles); err != nil {
		p.config = nil
		return "", err
	}
	var names []string
	for _, profile := range p.profiles() {
		names = append(names, profile.Name())
	}
	return fmt.Sprintf("station %q, profile %s", p.config.Station, strings.Join(names, " and ")), nil
}

func (p *patient) disk(context.Context) (string, error) {
	if p.config == nil {
		return "", errNotExamined
	}
	if err := p.roomOnDisk(); err != nil {
		return "", err
	}
	free, err := freeMiB(string(p.state))
	return fmt.Sprintf("%d MiB free", free), err
}

func (p *patient) hsm(ctx context.Context) (string, error) {
	if p.config == nil || p.registry == nil {
		return "", errNotExamined
	}
	if err := p.unless(ctx, p.token != nil, p.openToken); err != nil {
		return "", err
	}
	info := p.token.Info()
	text := fmt.Sprintf("%s %s, token %q, serial %s", info.Manufacturer, info.Model, info.Label, info.Serial)
	if info.Software {
		text += "; software, protects nothing"
	}
	return text, nil
}

// issuingKey signs by the path of a Run: adopted by the certificate, checked with it.
func (p *patient) issuingKey(ctx context.Context) (string, error) {
	if p.token == nil {
		return "", errNotExamined
	}
	if err := p.unless(ctx, p.issuer != nil, p.openIssuer); err != nil {
		return "", err
	}
	signer, err := p.signer(ctx, p.config.Authority.IssuingLabel, p.issuing.PublicKey)
	if err != nil {
		return "", err
	}
	return prove(signer)
}

func (p *patient) auditKey(ctx context.Context) (string, error) {
	if p.token == nil {
		return "", errNotExamined
	}
	if err := p.unless(ctx, p.audit != nil, p.openAudit); err != nil {
		return "", err
	}
	return prove(p.audit)
}

// prove has a random challenge signed and verifies the signature here.
func prove(signer crypto.Signer) (string, error) {
	challenge := make([]byte, 32)
	if _, err := io.ReadFull(rand.Reader, challenge); err != nil {
		return "", fmt.Errorf("drawing a challenge: %w", err)
	}
	digest := sha256.Sum256(challenge)
	began := time.Now()
	signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing a challenge: %w", err)
	}
	took := time.Since(began)
	if key, ok := signer.Public().(*ecdsa.PublicKey); !ok || !ecdsa.VerifyASN1(key, digest[:], signature) {
		return "", errors.New("the signature over a challenge does not verify")
	}
	return fmt.Sprintf("signed a challenge in %s", took.Round(time.Microsecond)), nil
}

// keyPolicy reads every attribute of each key of ours alone.
func (p *patient) keyPolicy(ctx context.Context) (string, error) {
	if p.token == nil {
		return "", errNotExamined
	}
	return p.keys(ctx)
}

func (p *patient) endpoint(ctx context.Context) (string, error) {
	if p.registry == nil || p.config == nil {
		return "", errNotExamined
	}
	if err := p.unless(ctx, p.verifier != nil, p.openVerifier); err != nil {
		p.verifier = nil
		return "", err
	}
	finding := "listens, as " + p.verifier.ServerName()
	if p.overNetwork() {
		finding += "; boards come to " + p.config.Network.Listen
	}
	return finding, nil
}

// selfTest shows each row, so that "it refused" can be seen and not only believed.
func (p *patient) selfTest(ctx context.Context) (string, error) {
	if p.verifier == nil {
		return "", errNotExamined
	}
	checks, err := p.verifier.SelfTest(ctx)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%d clients, each answered as it must be", len(checks))
	var wrong []error
	for _, check := range checks {
		verdict := "accepted"
		if check.Got != nil {
			verdict = "refused: " + check.Got.Error()
		}
		text += fmt.Sprintf("\n      %-14s %s: %s", "", check.Name, verdict)
		if !check.OK {
			wrong = append(wrong, fmt.Errorf("%s: %s", check.Name, verdict))
		}
	}
	return text, errors.Join(wrong...)
}
