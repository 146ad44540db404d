package ceremony

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"hallmark/hsm"
	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/issuance"
	"hallmark/station/workdir"
)

// RenewVerifier makes a new certificate for the verifier's key, and installs the certificate. It does not open the verifier, because the old certificate may have ended.
func RenewVerifier(ctx context.Context, dir workdir.Dir) (_ *x509.Certificate, err error) {
	files, err := instance.OpenFiles(dir, instance.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	record, err := files.OpenRecord(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := record.OpenKeys(ctx, nil)
	if err != nil {
		return nil, err
	}
	if _, err := keys.AuditSigner(ctx); err != nil { // without it nothing is signed that no checkpoint covers
		return nil, err
	}
	if err := keys.Begin(ctx); err != nil { // compares the log with the checkpoint on the token
		return nil, err
	}
	defer func() { err = errors.Join(err, keys.Cover(ctx)) }()
	made, err := endpointCertificate(ctx, keys, record)
	if err != nil {
		return nil, fmt.Errorf("renewing the verifier's certificate: %w", err)
	}
	if err := install(record, made); err != nil {
		return nil, fmt.Errorf("installing the verifier's certificate: %w", err)
	}
	return made, nil
}

// endpointCertificate makes a certificate for the present key of the verifier. With authority.chain the issuing CA signs it, so that
// the root may stay offline. Without, the root signs it, or the issuing CA if the root key was taken away. The audit log has
// the intent before the signature.
func endpointCertificate(ctx context.Context, keys *instance.Keys, record *instance.Record) (*x509.Certificate, error) {
	key, err := workdir.ReadPrivateKey(keys.Dir.ServerKey())
	if err != nil {
		return nil, err
	}
	issuer, signer, err := endpointIssuer(ctx, keys)
	if err != nil {
		return nil, err
	}
	config := endpointConfig(keys.Config, issuer, keys.Now().UTC().Truncate(time.Second))
	config.Intend = func(twin *x509.Certificate) error {
		sum := sha256.Sum256(twin.RawTBSCertificate)
		return record.Note("verifier.intent", audit.Success, map[string]string{
			"serial": fmt.Sprintf("%032x", twin.SerialNumber), "tbs_sha256": hex.EncodeToString(sum[:]), "not_after": twin.NotAfter.UTC().Format(time.RFC3339),
		})
	}
	return issuance.Server(config, &key.PublicKey, issuer, signer, rand.Reader)
}

// endpointIssuer gives the CA that signs the verifier's certificate. A station with authority.chain has no root key, and must not look for
// one: another station on the same token may have a root with the same label.
func endpointIssuer(ctx context.Context, keys *instance.Keys) (*x509.Certificate, crypto.Signer, error) {
	if keys.Config.Authority.Chain == "" {
		signer, err := keys.RootSigner(ctx)
		if !errors.Is(err, hsm.ErrKeyMissing) {
			return keys.Root, signer, err
		}
	}
	signer, err := keys.IssuingSigner(ctx)
	return keys.Issuing, signer, err
}

// install records the certificate in the audit log, and then replaces the file in one step.
func install(record *instance.Record, made *x509.Certificate) error {
	sum := sha256.Sum256(made.Raw)
	err := record.Note("verifier.renewed", audit.Success, map[string]string{
		"certificate_server_sha256": hex.EncodeToString(sum[:]),
		"not_after":                 made.NotAfter.UTC().Format(time.RFC3339),
	})
	if err != nil {
		return err
	}
	if err := workdir.WriteFile(record.Dir.Server(), endpointPEM(made, record.Root, record.Issuing)); err != nil {
		return err
	}
	return workdir.Sync(record.Dir.Server())
}
