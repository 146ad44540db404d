package workorder

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/station/audit"
)

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
}

// stationKey makes the verifier key of a station.
func stationKey(t *testing.T, name string) string {
	t.Helper()
	return must(audit.VerifierKey("hallmark/"+name, newKey(t).Public()))(t)
}

var digestText = strings.Repeat("ab", sha256.Size)

// orderFile gives an order file for two stations.
func orderFile(t *testing.T) (text, first, second string) {
	t.Helper()
	first, second = stationKey(t, "bench-1"), stationKey(t, "bench-2")
	return fmt.Sprintf(`order: WO-1
revision: 1
product: sensor
lot: L7
profiles: [%s]
firmware: [%s]
quota: 5
not_before: 2026-11-28
until: 2027-01-31T12:00:00Z
stations:
  - {key: "%s", share: 3}
  - {key: "%s", share: 2}
`, digestText, digestText, first, second), first, second
}

func TestAnOrderGivesEachStationItsShare(t *testing.T) {
	text, first, second := orderFile(t)
	order := must(Parse("order.yaml", []byte(text)))(t)
	for station, want := range map[string]int64{first: 3, second: 2} {
		if share, err := order.Share(station); share != want || err != nil {
			t.Errorf("%s: %d, %v", station, share, err)
		}
	}
	// The name of a station is no proof: another audit key is another station.
	if _, err := order.Share(stationKey(t, "bench-1")); !errors.Is(err, ErrElsewhere) {
		t.Errorf("a station of the same name: %v", err)
	}
	if !order.Allows([sha256.Size]byte(order.Profiles[0])) || order.Allows(sha256.Sum256(nil)) {
		t.Error("the order allows other profiles than those that it names")
	}
}

func TestAnOrderFileThatIsNotCompleteIsRefused(t *testing.T) {
	good, first, _ := orderFile(t)
	images := strings.TrimSuffix(strings.Repeat(digestText+", ", maxImages+1), ", ")
	for _, test := range []struct{ name, old, new, saying string }{
		{"no id", "order: WO-1\n", "", "order: "},
		{"an id of two lines", "order: WO-1", `order: "WO\n1"`, "order: "},
		{"an unknown key", "lot: L7", "price: 7", "unknown key"},
		{"a key that is there twice", "lot: L7", "lot: L7\nlot: L8", "duplicate key"},
		{"no revision", "revision: 1\n", "", "revision 0"},
		{"no profile", "profiles: [" + digestText + "]\n", "", "profiles: "},
		{"a profile that is no digest", "profiles: [" + digestText, "profiles: [12", "profiles[0]"},
		{"too many images", "firmware: [" + digestText, "firmware: [" + images, "firmware: want at most"},
		{"no quota", "quota: 5\n", "", "quota 0"},
		{"a negative quota", "quota: 5", "quota: -5", "quota -5"},
		{"a quota that does not fit", "quota: 5", "quota: 99999999999999999999", "quota holds another value"},
		{"no end", "until: 2027-01-31T12:00:00Z\n", "", "until: want"},
		{"an end that is no time", "until: 2027-01-31T12:00:00Z", "until: soon", "until: want"},
		{"an end before the begin", "not_before: 2026-11-28", "not_before: 2028-01-01", "is not after not_before"},
		{"shares beyond the quota", "share: 2", "share: 3", "6 boards together"},
		{"a share of nothing", "share: 2", "share: 0", "stations[1].share 0"},
		{"a negative share", "share: 3", "share: -3", "stations[0].share -3"},
		{"a station that has no key", first, "bench-1", "pki/audit.vkey"},
		{"two documents", "lot: L7", "lot: L7\n---\norder: WO-2", "2 documents"},
	} {
		_, err := Parse("order.yaml", []byte(strings.Replace(good, test.old, test.new, 1)))
		if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), test.saying) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.saying)
		}
	}
	for name, text := range map[string]string{
		"a station that is there twice": strings.Replace(good, good[strings.Index(good, `  - {key: "hallmark/bench-2`):], fmt.Sprintf("  - {key: %q, share: 1}\n", first), 1),
		"no stations":                   good[:strings.Index(good, "stations:")],
		"a large file":                  good + strings.Repeat("# comment\n", MaxFile/10),
		"nothing":                       "",
	} {
		if _, err := Parse("order.yaml", []byte(text)); !errors.Is(err, ErrFile) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// signedAt is before the end of the order in the file.
var signedAt = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

func TestAnOrderThatHasEndedIsNotSigned(t *testing.T) {
	text, _, _ := orderFile(t)
	until := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	for now, refused := range map[time.Time]bool{until.Add(-time.Second): false, until: true, until.Add(time.Hour): true} {
		_, _, err := Sign("order.yaml", []byte(text), newKey(t), rand.Reader, now)
		if errors.Is(err, ErrFile) != refused || refused && !strings.Contains(err.Error(), "until: 2027-01-31T12:00:00Z has passed") {
			t.Errorf("at %v: %v", now, err)
		}
	}
}

func TestASignatureIsGoodForOneFileOfOneOwner(t *testing.T) {
	text, _, _ := orderFile(t)
	key := newKey(t)
	owner := must(NewOwner(key.Public()))(t)
	stranger := must(NewOwner(newKey(t).Public()))(t)
	signed, order, err := Sign("order.yaml", []byte(text), key, rand.Reader, signedAt)
	if err != nil || order.Owner != owner.SHA256 || !strings.HasPrefix(string(signed.File), text) {
		t.Fatalf("%v, %+v", err, order)
	}
	read, by, err := signed.Verify("x", []Owner{stranger, owner})
	if err != nil || by.SHA256 != owner.SHA256 || read.SHA256 != sha256.Sum256(signed.File) {
		t.Fatalf("%v, %+v", err, read)
	}
	again, _, err := Sign("x", signed.File, key, rand.Reader, signedAt)
	if err != nil || string(again.File) != string(signed.File) {
		t.Errorf("signing a file that names its owner changes the file: %v", err)
	}
	if _, _, err := Sign("x", signed.File, newKey(t), rand.Reader, signedAt); !errors.Is(err, ErrFile) {
		t.Errorf("another key than the file names: %v", err)
	}
	forged := strings.Replace(string(signed.File), "quota: 5", "quota: 9", 1)
	claimed := strings.Replace(string(signed.File), fmt.Sprintf("%x", owner.SHA256), fmt.Sprintf("%x", stranger.SHA256), 1)
	for _, test := range []struct {
		name            string
		file, signature string
		owners          []Owner
		want            error
	}{
		{"another quota", forged, string(signed.Signature), []Owner{owner}, ErrForged},
		{"an octet more", string(signed.File) + "\n", string(signed.Signature), []Owner{owner}, ErrForged},
		{"another owner in the file", claimed, string(signed.Signature), []Owner{owner, stranger}, ErrForged},
		{"an owner who is not known", string(signed.File), string(signed.Signature), []Owner{stranger}, ErrOwner},
		{"no owners", string(signed.File), string(signed.Signature), nil, ErrOwner},
		{"a signature that was cut", string(signed.File), string(signed.Signature[:20]), []Owner{owner}, ErrForged},
		{"octets after the signature", string(signed.File), string(signed.Signature) + "\x00", []Owner{owner}, ErrForged},
		{"no signature", string(signed.File), "", []Owner{owner}, ErrForged},
		{"a long signature", string(signed.File), strings.Repeat("x", maxSignature+1), []Owner{owner}, ErrFile},
		{"a file that nobody signed", text, string(signed.Signature), []Owner{owner}, ErrFile},
	} {
		if _, _, err := (Signed{[]byte(test.file), []byte(test.signature)}).Verify("x", test.owners); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

// A line behind a flow map, or inside of the last value, would change what the owner signs.
func TestAFileThatTakesNoLineForItsOwnerIsRefused(t *testing.T) {
	text, first, _ := orderFile(t)
	for name, file := range map[string]string{
		"the end of the document": text + "...\n",
		"a flow map":              fmt.Sprintf("{order: WO-1, revision: 1, product: p, profiles: [%s], quota: 5, until: 2027-01-31, stations: [{key: %q, share: 3}]}", digestText, first),
	} {
		if _, err := Parse("order.yaml", []byte(file)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if signed, order, err := Sign("order.yaml", []byte(file), newKey(t), rand.Reader, signedAt); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v, %+v, %s", name, err, order, signed.File)
		}
	}
	if _, _, err := Sign("order.yaml", []byte(strings.TrimSuffix(text, "\n")), newKey(t), rand.Reader, signedAt); err != nil {
		t.Errorf("without a new line at its end: %v", err)
	}
}

func TestOnlyAPublicKeyOnP256IsAnOwner(t *testing.T) {
	folder := t.TempDir()
	openssl := func(args ...string) []byte {
		cmd := exec.Command("openssl", args...)
		cmd.Dir = folder
		return must(cmd.Output())(t)
	}
	openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "owner.pem")
	public := openssl("pkey", "-in", "owner.pem", "-pubout")
	if _, err := ParseOwner(public); err != nil {
		t.Errorf("a key of openssl: %v", err)
	}
	openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "other.pem")
	for name, text := range map[string][]byte{
		"a private key":           must(os.ReadFile(filepath.Join(folder, "owner.pem")))(t),
		"another curve":           openssl("pkey", "-in", "other.pem", "-pubout"),
		"another kind of key":     openssl("pkey", "-in", "../"+filepath.Base(folder)+"/owner.pem", "-text", "-noout"),
		"two keys":                append(public[:len(public):len(public)], public...),
		"text that is no PEM":     []byte("owner"),
		"a PEM block that is cut": []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
	} {
		if _, err := ParseOwner(text); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Whatever a person writes or an attacker sends, a file that is taken has bounds, and no signature is good for it by itself.
func FuzzAnOrderFile(f *testing.F) {
	f.Add([]byte("order: WO-1\nrevision: 1\n"), []byte{0x30})
	f.Add([]byte("{}"), []byte{})
	f.Fuzz(func(t *testing.T, text, signature []byte) {
		order, err := Parse("fuzz", text)
		if err == nil && (order.Quota < 1 || order.allotted() > order.Quota || len(order.Shares) == 0 || len(order.Profiles) == 0 || order.Until.IsZero()) {
			t.Errorf("taken without bounds: %+v", order)
		}
		if _, _, err := (Signed{text, signature}).Verify("fuzz", nil); err == nil {
			t.Error("a file of nobody is signed")
		}
	})
}
