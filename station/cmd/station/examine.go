package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// database opens the registry, which reads its settings back and recovers.
func (p *patient) database(ctx context.Context) (string, error) {
	if p.config == nil {
		return "", errNotExamined
	}
	if err := p.unless(ctx, p.registry != nil, p.openRegistry); err != nil {
		p.registry = nil
		return "", err
	}
	return "open, settings read back: WAL, synchronous=FULL", nil
}

// clock has passed the registry, which refuses one that went back; here it is
// compared with the certificates that everything rests on.
func (p *patient) clock(context.Context) (string, error) {
	if p.config == nil || p.registry == nil {
		return "", errNotExamined
	}
	now := time.Now()
	return now.UTC().Format(time.RFC3339) + ", not behind the audit log", p.clockAt(now)
}

// clockAt refuses a clock that was not set or has gone back. It answers from memory.
func (b *bench) clockAt(now time.Time) error {
	for _, certificate := range []struct {
		name              string
		notBefore, nogood time.Time
	}{{"root", b.root.NotBefore, b.root.NotAfter}, {"issuing CA", b.issuing.NotBefore, b.issuing.NotAfter}} {
		if now.Before(certificate.notBefore) || now.After(certificate.nogood) {
			return fmt.Errorf("it says %s, when the %s certificate is not valid", now.UTC().Format(time.RFC3339), certificate.name)
		}
	}
	return b.registry.ClockStep()
}

// certificates looks at the one that ends while a bench is in use.
func (p *patient) certificates(context.Context) (string, error) {
	if p.config == nil {
		return "", errNotExamined
	}
	server, err := readCertificate(p.state.server())
	if err != nil {
		return "", err
	}
	return "the verifier's is valid until " + server.NotAfter.UTC().Format(time.DateOnly), expiry(server, time.Now())
}

// keys reads every attribute of each key of ours alone.
func (p *patient) keys(ctx context.Context) (string, error) {
	reports, err := p.token.Keys(ctx)
	if err != nil {
		return "", err
	}
	authority := p.config.Authority
	root, _ := p.root.PublicKey.(*ecdsa.PublicKey)
	issuing, _ := p.issuing.PublicKey.(*ecdsa.PublicKey)
	missing := map[string]*ecdsa.PublicKey{authority.RootLabel: root, authority.IssuingLabel: issuing, authority.AuditLabel: nil}
	var bad []error
	for _, report := range reports {
		want, ours := missing[report.Label]
		if !ours {
			continue
		}
		delete(missing, report.Label)
		bad = append(bad, report.Refused(), report.Problem)
		if want != nil && !want.Equal(report.Public) {
			bad = append(bad, fmt.Errorf("%s is not the key of its certificate", report.Label))
		}
	}
	// The root's key may be kept elsewhere; the other two are adopted above.
	delete(missing, authority.RootLabel)
	for label := range missing {
		bad = append(bad, fmt.Errorf("%s is not on the token", label))
	}
	return "sensitive, never extractable, made on the token", errors.Join(bad...)
}

// auditLog recomputes the log with the key that `init` wrote down, not with the
// one that the log names.
func (p *patient) auditLog(ctx context.Context) (string, error) {
	if p.registry == nil {
		return "", errNotExamined
	}
	key, err := os.ReadFile(p.state.auditKey())
	if err != nil {
		return "", err
	}
	report, err := p.registry.VerifyAudit(ctx, strings.TrimSpace(string(key)))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d entries verify, %d checkpoints", report.Size, report.Checkpoints), nil
}
