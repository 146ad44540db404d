package hsm_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"testing"

	"hallmark/fixtures"
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

// The station signs for many bays at once; verification overlaps the next call.
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
