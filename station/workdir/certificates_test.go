package workdir

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

func selfSigned(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// encoding/pem skips a damaged block, so a CA would be missing without a word.
func TestADamagedCertificateIsNamedWithItsPlaceAndNotSkipped(t *testing.T) {
	one, two := CertificatePEM(selfSigned(t)), CertificatePEM(selfSigned(t))
	both := append(bytes.Clone(one), two...)
	lines := bytes.Count(one, []byte("\n"))
	edit := func(from, to string) []byte { return bytes.Replace(both, []byte(from), []byte(to), 1) }
	for _, test := range []struct {
		name string
		text []byte
		want string // of the error; empty: two certificates are read
	}{
		{"two certificates", both, ""},
		{"two certificates with text around them", append(append([]byte("Bag Attributes\nsubject=CN = x\n"), one...), append([]byte("\ni:CN = y\n"), append(two, "end\n"...)...)...), ""},
		{"lines that end as on Windows", bytes.ReplaceAll(both, []byte("\n"), []byte("\r\n")), ""},
		{"a byte order mark", append([]byte("\xef\xbb\xbf"), both...), "byte order mark of UTF-8"},
		{"UTF-16", append([]byte("\xff\xfe"), both...), "byte order mark of UTF-16"},
		{"base64 of the first that is damaged", edit("\nMI", "\n!!"), "line 1: certificate 1 cannot be read: its PEM is damaged"},
		{"base64 of the second that is damaged", append(bytes.Clone(one), bytes.Replace(two, []byte("\nMI"), []byte("\n!!"), 1)...), "certificate 2 cannot be read: its PEM is damaged"},
		{"a cut end", both[:len(both)-30], "certificate 2 cannot be read: its end is missing"},
		{"an end that is missing in the middle", append(one[:len(one)-30:len(one)-30], two...), "line 1: certificate 1 cannot be read: its end is missing"},
		{"a begin that is damaged", edit("-----BEGIN C", "----BEGIN C"), "a PEM block ends here that does not begin"},
		{"other names at begin and end", edit("END CERTIFICATE", "END CERT"), "certificate 1 cannot be read: its PEM is damaged"},
		{"contents that are no certificate", append(bytes.Clone(one), CertificatePEM([]byte("x"))...), "certificate 2 cannot be read: x509: "},
		{"a private key", append(bytes.Clone(one), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"...), `want only CERTIFICATE`},
		{"nothing", []byte("\n"), "no PEM certificate in it"},
	} {
		all, err := ParseCertificates(test.text)
		switch {
		case test.want == "" && (err != nil || len(all) != 2):
			t.Errorf("%s: %d certificates, %v", test.name, len(all), err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want …%s…", test.name, err, test.want)
		}
	}
	if _, err := ParseCertificates(append(bytes.Clone(one), '-', '\n')); err != nil {
		t.Error(err)
	}
	if _, err := ParseCertificates(both[:len(both)-30]); !strings.HasPrefix(err.Error(), fmt.Sprintf("line %d: ", lines+1)) {
		t.Errorf("the second certificate begins at line %d: %v", lines+1, err)
	}
}
