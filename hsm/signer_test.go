package hsm_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"testing"

	"hallmark/fixtures"
	"hallmark/hsm"
)

func TestASignerSignsWithAKeyOfTheCeremony(t *testing.T) {
	token := fixtures.NewToken(t)
	open := token.Open(t)
	signer, public := fixtures.NewKey(t, open, "issuing", 1)
	digest := sha256.Sum256([]byte("a certificate"))
	signature, err := signer.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if !ecdsa.VerifyASN1(public, digest[:], signature) {
		t.Fatal("the signature does not verify")
	}
}

// The station signs for many bays at the same time; the next call begins while a signature is verified.
func BenchmarkSignParallel(b *testing.B) {
	token := fixtures.NewToken(b)
	open := token.Open(b)
	signer, _ := fixtures.NewKey(b, open, "issuing", 1)
	digest := sha256.Sum256([]byte("a certificate"))
	b.SetParallelism(8)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := signer.Sign(nil, digest[:], crypto.SHA256); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
}

func BenchmarkSign(b *testing.B) {
	token := fixtures.NewToken(b)
	open := token.Open(b)
	signer, _ := fixtures.NewKey(b, open, "issuing", 1)
	digest := sha256.Sum256([]byte("a certificate"))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, err := signer.Sign(nil, digest[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
}

func TestAnErrorSaysWhetherTheTokenWasAsked(t *testing.T) {
	digest := sha256.Sum256([]byte("a certificate"))
	unasked := func(err error) bool {
		var sure interface{ NotSigned() bool }
		return errors.As(err, &sure) && sure.NotSigned()
	}
	token := fixtures.NewToken(t)
	shim := fixtures.NewShim(t, token)
	open, err := hsm.Open(t.Context(), shim.Config, token.PIN)
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := fixtures.NewKey(t, open, "issuing", 1)
	if _, err := signer.Sign(nil, digest[:20], nil); !unasked(err) {
		t.Errorf("a wrong digest: %v counts as possibly signed", err)
	}
	shim.Fail(t, "C_Sign 6") // the token signs, and the reply is lost
	if _, err := signer.Sign(nil, digest[:], nil); err == nil || unasked(err) {
		t.Errorf("a lost reply: %v counts as certainly not signed", err)
	}
	shim.Fail(t)
	if err := open.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(nil, digest[:], nil); !errors.Is(err, hsm.ErrClosed) || !unasked(err) {
		t.Errorf("a closed token: %v counts as possibly signed", err)
	}
}
