package issuance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"

	"github.com/google/uuid"
	"hallmark/station/reason"

	"hallmark/devices"
)

var someBoard = devices.BoardID(uuid.MustParse("3f6c9a52-8c1e-4b7d-9a30-1f5e2d7c8b90"))

var someNonce = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

func someWanted(t testing.TB) wanted {
	t.Helper()
	subject, err := subjectDER("Linaro", someBoard.String(), "Device Client TLS")
	must(t, err)
	return wanted{subject: subject, boardID: someBoard, nonce: someNonce}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// parts of a CSR that a test may change before it is signed.
type parts struct {
	version    int
	subject    []byte
	spki       []byte
	attributes []byte // content of [0]
	algorithm  []byte
	key        *ecdsa.PrivateKey
}

func honest(t testing.TB) parts {
	t.Helper()
	key := newKey(t)
	spki, err := keyDER(&key.PublicKey)
	must(t, err)
	return parts{
		subject: someWanted(t).subject, spki: spki, key: key, algorithm: mustDER(algorithm{oidECDSAWithSHA256}),
		attributes: attributeDER(oidExtensionRequest, sequence(nonceExtension(nonceOID, false, someNonce[:]))),
	}
}

func sequence(contents ...[]byte) []byte {
	return mustDER(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: bytes.Join(contents, nil)})
}

func setOf(contents ...[]byte) []byte {
	return mustDER(asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: bytes.Join(contents, nil)})
}

func attributeDER(oid asn1.ObjectIdentifier, values ...[]byte) []byte {
	return sequence(mustDER(oid), setOf(values...))
}

func nonceExtension(oid []byte, critical bool, nonce []byte) []byte {
	return mustDER(requested{ID: asn1.RawValue{Tag: asn1.TagOID, Bytes: oid}, Critical: critical, Value: mustDER(nonce)})
}

func (p parts) info() []byte {
	attributes := mustDER(asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: p.attributes})
	return sequence(mustDER(p.version), p.subject, p.spki, attributes)
}

func (p parts) sign(t testing.TB) []byte {
	t.Helper()
	info := p.info()
	digest := sha256.Sum256(info)
	signature, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	must(t, err)
	return sequence(info, p.algorithm, mustDER(asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}))
}

// csrCases has each way in which a CSR can be wrong, with its refusal.
var csrCases = []struct {
	name string
	make func(t testing.TB, p parts) []byte
	want error
}{
	{"what was asked for is accepted", func(t testing.TB, p parts) []byte { return p.sign(t) }, nil},
	{"nothing is not DER", func(testing.TB, parts) []byte { return nil }, ErrNotDER},
	{"text is not DER", func(testing.TB, parts) []byte { return []byte("-----BEGIN CERTIFICATE REQUEST-----") }, ErrNotDER},
	{"a cut CSR is not DER", func(t testing.TB, p parts) []byte { der := p.sign(t); return der[:len(der)-1] }, ErrNotDER},
	{"octets after it are refused", func(t testing.TB, p parts) []byte { return append(p.sign(t), 0) }, ErrTrailing},
	{"more than 768 octets are refused unread", func(t testing.TB, p parts) []byte { return make([]byte, MaxCSR+1) }, ErrTooLarge},
	{"version 1 is refused", func(t testing.TB, p parts) []byte { p.version = 1; return p.sign(t) }, ErrVersion},
	{"a P-384 key is refused", func(t testing.TB, p parts) []byte {
		key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		must(t, err)
		p.spki, err = x509.MarshalPKIXPublicKey(&key.PublicKey)
		must(t, err)
		return p.sign(t)
	}, ErrKeyNotP256},
	{"a compressed point is refused", func(t testing.TB, p parts) []byte {
		point := elliptic.MarshalCompressed(elliptic.P256(), p.key.X, p.key.Y)
		p.spki = sequence(sequence(mustDER(oidECPublicKey), mustDER(oidP256)), mustDER(asn1.BitString{Bytes: point, BitLength: 8 * len(point)}))
		return p.sign(t)
	}, ErrKeyNotP256},
	{"a point beside the curve is refused", func(t testing.TB, p parts) []byte { p.spki[len(p.spki)-1] ^= 1; return p.sign(t) }, ErrNotOnCurve},
	{"the point at infinity is refused", func(t testing.TB, p parts) []byte {
		clear(p.spki[len(p.spki)-64:])
		return p.sign(t)
	}, ErrNotOnCurve},
	{"ecdsa-with-SHA384 is refused", func(t testing.TB, p parts) []byte {
		p.algorithm = sequence(mustDER(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}))
		return p.sign(t)
	}, ErrSignatureAlgorithm},
	{"parameters of ecdsa-with-SHA256 are refused", func(t testing.TB, p parts) []byte {
		p.algorithm = sequence(mustDER(oidECDSAWithSHA256), []byte{5, 0})
		return p.sign(t)
	}, ErrSignatureAlgorithm},
	{"a signature by another key is refused (I5)", func(t testing.TB, p parts) []byte { p.key = newKey(t); return p.sign(t) }, ErrSignature},
	{"a flipped bit in the signature is refused", func(t testing.TB, p parts) []byte { der := p.sign(t); der[len(der)-1] ^= 1; return der }, ErrSignature},
	{"another organization is refused", func(t testing.TB, p parts) []byte {
		p.subject, _ = subjectDER("Other", someBoard.String(), "Device Client TLS")
		return p.sign(t)
	}, ErrSubject},
	{"a subject without OU is refused", func(t testing.TB, p parts) []byte {
		p.subject, _ = subjectDER("Linaro", someBoard.String(), "")
		return p.sign(t)
	}, ErrSubject},
	{"a BoardID in upper case is refused", func(t testing.TB, p parts) []byte {
		p.subject, _ = subjectDER("Linaro", "3F6C9A52-8C1E-4B7D-9A30-1F5E2D7C8B90", "Device Client TLS")
		return p.sign(t)
	}, ErrSubject},
	{"another board's BoardID is refused", func(t testing.TB, p parts) []byte {
		p.subject, _ = subjectDER("Linaro", "00000000-0000-4000-8000-000000000000", "Device Client TLS")
		return p.sign(t)
	}, ErrBoardID},
	{"no attributes at all: the nonce is missing (I5)", func(t testing.TB, p parts) []byte { p.attributes = nil; return p.sign(t) }, ErrNonceMissing},
	{"an empty extension request: the nonce is missing", func(t testing.TB, p parts) []byte {
		p.attributes = attributeDER(oidExtensionRequest, sequence())
		return p.sign(t)
	}, ErrNonceMissing},
	{"the nonce of another Run is refused (I5)", func(t testing.TB, p parts) []byte {
		p.attributes = attributeDER(oidExtensionRequest, sequence(nonceExtension(nonceOID, false, make([]byte, 16))))
		return p.sign(t)
	}, ErrNonceWrong},
	{"a longer nonce is refused", func(t testing.TB, p parts) []byte {
		p.attributes = attributeDER(oidExtensionRequest, sequence(nonceExtension(nonceOID, false, append(someNonce[:], 0))))
		return p.sign(t)
	}, ErrNonceWrong},
	{"two nonces in one request are refused", func(t testing.TB, p parts) []byte {
		one := nonceExtension(nonceOID, false, someNonce[:])
		p.attributes = attributeDER(oidExtensionRequest, sequence(one, one))
		return p.sign(t)
	}, ErrNonceDuplicated},
	{"two extension requests are refused", func(t testing.TB, p parts) []byte {
		p.attributes = append(p.attributes, p.attributes...)
		return p.sign(t)
	}, ErrNonceDuplicated},
	{"a critical nonce is refused", func(t testing.TB, p parts) []byte {
		p.attributes = attributeDER(oidExtensionRequest, sequence(nonceExtension(nonceOID, true, someNonce[:])))
		return p.sign(t)
	}, ErrUnexpectedExtension},
	{"asking to be a CA is refused", func(t testing.TB, p parts) []byte {
		ca := sequence(mustDER(oidBC), mustDER(sequence(mustDER(true))))
		p.attributes = attributeDER(oidExtensionRequest, sequence(ca))
		return p.sign(t)
	}, ErrUnexpectedExtension},
	{"a challenge password is refused", func(t testing.TB, p parts) []byte {
		p.attributes = append(p.attributes, attributeDER(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}, mustDER("secret"))...)
		return p.sign(t)
	}, ErrUnexpectedAttribute},
	{"an extension request with two values is refused", func(t testing.TB, p parts) []byte {
		one := sequence(nonceExtension(nonceOID, false, someNonce[:]))
		p.attributes = attributeDER(oidExtensionRequest, one, one)
		return p.sign(t)
	}, ErrUnexpectedAttribute},
	{"an attribute that is no sequence is not DER", func(t testing.TB, p parts) []byte { p.attributes = mustDER(1); return p.sign(t) }, ErrNotDER},
}

func TestCSRs(t *testing.T) {
	for _, c := range csrCases {
		t.Run(c.name, func(t *testing.T) {
			p := honest(t)
			key, err := checkCSR(c.make(t, p), someWanted(t))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.want == nil && !key.Equal(&p.key.PublicKey) {
				t.Error("got another key than the one in the CSR")
			}
			if c.want != nil && reason.Of(err).Word == "fault" {
				t.Error("the refusal has no reason word")
			}
		})
	}
}

func TestRefusalsHaveDifferentWords(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range []*reason.Sentinel{ErrTooLarge, ErrNotDER, ErrTrailing, ErrVersion, ErrKeyNotP256, ErrNotOnCurve, ErrSignatureAlgorithm, ErrSignature,
		ErrSubject, ErrBoardID, ErrNonceMissing, ErrNonceWrong, ErrNonceDuplicated, ErrUnexpectedAttribute, ErrUnexpectedExtension, ErrDummyIdentity,
		ErrBadRequest, ErrOutlives, ErrDoesNotFit, ErrIssuerChain, ErrIssuerKey, ErrProfile, ErrGrantForeign, ErrGrantUsed, ErrUnresolved, ErrNotSigned} {
		if seen[r.Word()] {
			t.Errorf("reason %q is used twice", r.Word())
		}
		seen[r.Word()] = true
	}
}

// FuzzCSR holds checkCSR to this law: whatever a board sends, checkCSR refuses it with
// a word, or the signed part is octet for octet what the station asked for.
func FuzzCSR(f *testing.F) {
	for _, c := range csrCases {
		f.Add(c.make(f, honest(f)))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		want := someWanted(t)
		key, err := checkCSR(der, want)
		if err != nil {
			if reason.Of(err).Word == "fault" {
				t.Fatalf("refused without a word: %v", err)
			}
			return
		}
		info, err := expectedInfo(key, want)
		must(t, err)
		request, err := parseCSR(der)
		must(t, err)
		again, err := seal(info, request.Signature.Bytes)
		must(t, err)
		if !bytes.Equal(again, der) {
			t.Fatal("accepted something that was not asked for")
		}
	})
}
