package main

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/verifier"
	"hallmark/station/workdir"
)

// certificate reads one of the certificates.
func (b *filesByOpenSSL) certificate(name string) *x509.Certificate {
	b.t.Helper()
	read, err := workdir.ReadCertificate(b.path(name + ".pem"))
	if err != nil {
		b.t.Fatal(err)
	}
	return read
}

func (b *filesByOpenSSL) signer(name string) crypto.Signer {
	b.t.Helper()
	key, err := workdir.ReadPrivateKey(b.path(name + ".key"))
	if err != nil {
		b.t.Fatal(err)
	}
	return key
}

// put replaces a file in one step.
func (b *filesByOpenSSL) put(name string, octets []byte) {
	b.t.Helper()
	if err := workdir.WriteFile(b.path(name), octets); err != nil {
		b.t.Fatal(err)
	}
}

// bundle makes a status bundle that the issuing CA signs.
func (b *filesByOpenSSL) bundle(number uint64, nextUpdate time.Time, status map[string]station.Status) []byte {
	b.t.Helper()
	names := make([]string, 0, len(status))
	for name := range status {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int {
		return b.certificate(x).SerialNumber.Cmp(b.certificate(y).SerialNumber)
	})
	w := &verifier.BundleWriter{}
	for _, name := range names {
		certificate := b.certificate(name)
		board, err := devices.ParseBoardID(certificate.Subject.CommonName)
		if err == nil {
			err = w.Add([16]byte(certificate.SerialNumber.FillBytes(make([]byte, 16))), station.Record{BoardID: board, Purpose: devices.PurposeTLS,
				CertificateSHA256: sha256.Sum256(certificate.Raw), Status: status[name]})
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	return b.finish(w, number, nextUpdate)
}

// finish has the issuing CA sign a bundle.
func (b *filesByOpenSSL) finish(w *verifier.BundleWriter, number uint64, nextUpdate time.Time) []byte {
	b.t.Helper()
	head := verifier.BundleHead{Number: number, Issued: time.Now(), NextUpdate: nextUpdate, Issuer: sha256.Sum256(b.certificate("issuing").RawSubjectPublicKeyInfo)}
	octets, err := w.Finish(head, func(digest [sha256.Size]byte) ([]byte, error) {
		return b.signer("issuing").Sign(rand.Reader, digest[:], crypto.SHA256)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return octets
}

// crl makes a CRL of the issuing CA.
func (b *filesByOpenSSL) crl(number int64, nextUpdate time.Time, revoked ...string) []byte {
	b.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: nextUpdate}
	for _, name := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: b.certificate(name).SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, b.certificate("issuing"), b.signer("issuing"))
	if err != nil {
		b.t.Fatal(err)
	}
	return der
}

// with gives flags without --known.
func (b *filesByOpenSSL) with(extra ...string) []string {
	flags := b.flags()
	return append(flags[:len(flags)-2], extra...)
}

var accepted = regexp.MustCompile(`^ok [0-9a-f]{6}\n$`)

func TestARevocationInANewBundleIsInTheNextHandshake(t *testing.T) {
	b := newFiles(t)
	later := time.Now().Add(time.Hour)
	active := map[string]station.Status{"good": station.StatusActive}
	older := b.bundle(5, later, active)
	b.put("status", older)
	address, log := b.startWith("1 certificate known, status bundle 5 of .*, next update ", b.with("--status", b.path("status"), "--state", b.path("newest.json"))...)
	if got := b.client(address, "good"); !accepted.MatchString(got) {
		t.Fatalf("the client read %q\n%s", got, log)
	}
	b.put("status", b.bundle(6, later, map[string]station.Status{"good": station.StatusRevoked}))
	log.waitFor(t, "msg=reloaded .*status bundle 6")
	if got := b.client(address, "good"); got != "" {
		t.Errorf("a revoked board read %q", got)
	}
	log.waitFor(t, `msg=refused .*reason="certificate is not good any more: it is revoked`)

	b.put("status", older)
	log.waitFor(t, "the one from before stays.*its number is 5, and a file with the number 6 was accepted")
	if got := b.client(address, "good"); got != "" {
		t.Errorf("after the older bundle the revoked board read %q", got)
	}
	for _, test := range []struct {
		name   string
		octets []byte
		extra  []string
		want   string
	}{
		{"an older bundle after a restart", older, []string{"--state", b.path("newest.json")}, "older than one that was accepted before"},
		{"a stale bundle", b.bundle(7, time.Now().Add(-time.Second), active), nil, "its next update was due at"},
		{"a cut bundle", older[:100], nil, "cut off or damaged"},
		{"another file", []byte("hello"), nil, "cut off or damaged"},
	} {
		b.put("other", test.octets)
		var stdout, stderr buffer
		code := run(t.Context(), b.with(append(test.extra, "--status", b.path("other"))...), strings.NewReader(""), &stdout, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), test.want) || !strings.Contains(stderr.String(), "\nverifier: next: ") {
			t.Errorf("%s: exit code %d\n%s", test.name, code, &stderr)
		}
	}
}

func TestAStaleBundleIsAWarningIfThePolicySaysSo(t *testing.T) {
	b := newFiles(t)
	b.put("status", b.bundle(1, time.Now().Add(-time.Second), map[string]station.Status{"good": station.StatusActive}))
	address, log := b.startWith("1 certificate known", b.with("--status", b.path("status"), "--stale", "warn")...)
	if got := b.client(address, "good"); !accepted.MatchString(got) {
		t.Errorf("the client read %q", got)
	}
	log.waitFor(t, "level=WARN msg=.using a stale status file")
}

func TestABundleThatBecomesStaleAcceptsNobodyUntilANewerOneComes(t *testing.T) {
	b := newFiles(t)
	active := map[string]station.Status{"good": station.StatusActive}
	soon := time.Now().Add(3 * time.Second).Truncate(time.Second)
	b.put("status", b.bundle(1, soon, active))
	address, log := b.startWith("1 certificate known", b.with("--status", b.path("status"))...)
	time.Sleep(time.Until(soon))
	if got := b.client(address, "good"); got != "" {
		t.Errorf("the client read %q", got)
	}
	log.waitFor(t, `msg=refused .*reason="the status of certificates is not of this time: its next update was due at`)
	b.put("status", b.bundle(2, time.Now().Add(time.Hour), active))
	log.waitFor(t, "msg=reloaded .*status bundle 2")
	if got := b.client(address, "good"); !accepted.MatchString(got) {
		t.Errorf("the client read %q", got)
	}
}

func TestACRLAloneRefusesWhatIsOnIt(t *testing.T) {
	b := newFiles(t)
	later := time.Now().Add(time.Hour)
	b.put("crl", b.crl(1, later))
	b.make("fresh", "/O=Test/CN="+boardID+"/OU=Boards", "issuing", board...)
	address, log := b.startWith("CRL 1 of ", b.with("--crl", b.path("crl"), "--state", b.path("newest.json"))...)
	for _, name := range []string{"good", "fresh"} {
		if got := b.client(address, name); !accepted.MatchString(got) {
			t.Errorf("%s read %q", name, got)
		}
	}
	b.put("crl", b.crl(2, later, "good"))
	log.waitFor(t, "msg=reloaded .*CRL 2")
	if got := b.client(address, "good"); got != "" {
		t.Errorf("a revoked board read %q", got)
	}
	log.waitFor(t, `msg=refused .*reason="certificate is not good any more: serial number [0-9a-f]+ is on the CRL 2 of`)
	if got := b.client(address, "fresh"); !accepted.MatchString(got) {
		t.Errorf("the other board read %q", got)
	}
	b.put("crl", b.crl(1, later))
	log.waitFor(t, "its number is 1, and a file with the number 2 was accepted")
}

func TestACRLCountsBesideTheListOfKnownCertificates(t *testing.T) {
	b := newFiles(t)
	b.put("crl", b.crl(1, time.Now().Add(time.Hour), "good"))
	address, log := b.startWith("1 certificate known, CRL 1 of ", b.flags("--crl", b.path("crl"))...)
	if got := b.client(address, "good"); got != "" {
		t.Errorf("a revoked board read %q", got)
	}
	log.waitFor(t, "is on the CRL 1 of")
}

func TestFlagsAboutStatusAreChecked(t *testing.T) {
	b := newFiles(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{b.with(), "--status is missing: want --status, --known or --crl"},
		{b.flags("--status", "x"), "--status and --known: give one of them"},
		{b.flags("--stale", "warn"), "which are missing"},
		{b.flags("--state", "x"), "which are missing"},
		{b.with("--status", "x", "--stale", "maybe"), `--stale "maybe": want refuse or warn`},
		{b.with("--status", b.path("nowhere")), "no such file"},
	} {
		var stdout, stderr buffer
		if code := run(t.Context(), test.args, strings.NewReader(""), &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("exit code %d, want …%s… in:\n%s", code, test.want, &stderr)
		}
	}
}

// What crypto/x509 accepts, and no profile of a station allows.
func TestCertificatesThatNoProfileAllowsAreRefused(t *testing.T) {
	b := newFiles(t)
	subject := "/O=Test/CN=" + boardID + "/OU=Boards"
	b.make("authority", subject, "issuing", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,digitalSignature,keyCertSign", "-addext", "extendedKeyUsage=clientAuth")
	b.makeKey([]string{"rsa:2048"}, "rsa", subject, "issuing", board...)
	b.makeKey([]string{"ec", "-pkeyopt", "ec_paramgen_curve:P-384"}, "p384", subject, "issuing", board...)
	b.makeKey([]string{"ed25519"}, "ed25519", subject, "issuing", board...)
	b.write("known", b.line("good", "active")+b.line("authority", "active")+b.line("rsa", "active")+b.line("p384", "active")+b.line("ed25519", "active"))
	address, log := b.startWith("5 certificates known", b.flags()...)
	for name, want := range map[string]string{
		"authority": "certificate is one of a CA, not of a board",
		"rsa":       "certificate is for a key of a kind that no board has: want P-256, it is RSA of 2048 bits",
		"p384":      "want P-256, it is P-384",
		"ed25519":   "want P-256, it is Ed25519",
	} {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			if got := b.client(address, name, version); got != "" {
				t.Errorf("%s with %s read %q", name, version, got)
			}
		}
		log.waitFor(t, `msg=refused .*serial=`+strings.TrimPrefix(serialOf(name), "0x")+` .*reason=".*`+regexp.QuoteMeta(want))
	}
	if got := b.client(address, "good"); !accepted.MatchString(got) {
		t.Errorf("the good client read %q", got)
	}
}

func TestCBCIsNotSpoken(t *testing.T) {
	b := newFiles(t)
	address, log := b.start()
	for _, suite := range []string{"ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-SHA256"} {
		if got := b.client(address, "good", "-tls1_2", "-cipher", suite+":@SECLEVEL=0"); got != "" {
			t.Errorf("%s: the client read %q", suite, got)
		}
	}
	log.waitFor(t, "no cipher suite supported by both client and server")
	for _, suite := range []string{"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"} {
		if got := b.client(address, "good", "-tls1_2", "-cipher", suite); !accepted.MatchString(got) {
			t.Errorf("%s: the client read %q", suite, got)
		}
	}
}

func TestCAsThatAClientBringsBelowTheRootAreUsed(t *testing.T) {
	b := newFiles(t)
	var flags []string
	for _, flag := range b.flags() {
		if flag != "--intermediate" && flag != b.path("issuing.pem") {
			flags = append(flags, flag)
		}
	}
	b.make("other", "/O=Test/CN=Root", "", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
	address, log := b.startWith("1 certificate known", flags...)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		if got := b.client(address, "good", version, "-cert_chain", b.path("issuing.pem")); !accepted.MatchString(got) {
			t.Errorf("%s: the client read %q\n%s", version, got, log)
		}
	}
	if got := b.client(address, "good"); got != "" {
		t.Errorf("without the CA the client read %q", got)
	}
	// A root that the client brings is none.
	b.make("stranger", "/O=Test/CN="+boardID+"/OU=Boards", "other", board...)
	if got := b.client(address, "stranger", "-cert_chain", b.path("other.pem")); got != "" {
		t.Errorf("a client with its own root read %q", got)
	}
	log.waitFor(t, `msg=refused .*serial=`+strings.TrimPrefix(serialOf("stranger"), "0x")+` .*x509: certificate signed by unknown authority`)
}

func TestTheEndpointSendsTheChainBehindItsCertificate(t *testing.T) {
	b := newFiles(t)
	b.make("below", "/CN=verifier.test", "issuing", "-addext", "subjectAltName=DNS:verifier.test", "-addext", "extendedKeyUsage=serverAuth")
	b.write("chain.pem", read(t, b.path("below.pem"))+read(t, b.path("issuing.pem")))
	flags := []string{"--listen", "127.0.0.1:0", "--certificate", b.path("chain.pem"), "--key", b.path("below.key"), "--root", b.path("root.pem"), "--known", b.path("known")}
	address, _ := b.startWith("1 certificate known", flags...)
	// The client knows the root alone, so the handshake needs the CA that the endpoint sends.
	if got := b.client(address, "good", "-cert_chain", b.path("issuing.pem")); !accepted.MatchString(got) {
		t.Errorf("the client read %q", got)
	}
	flags[3] = b.path("below.pem")
	var stdout, stderr buffer
	if code := run(t.Context(), flags, strings.NewReader(""), &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "checking the verifier's own certificate") {
		t.Errorf("without its chain: exit code %d\n%s", code, &stderr)
	}
}

func TestDamagedPEMStopsTheStartWithItsPlace(t *testing.T) {
	b := newFiles(t)
	issuing, root := read(t, b.path("issuing.pem")), read(t, b.path("root.pem"))
	lines := strings.Count(root, "\n")
	for _, test := range []struct{ name, text, want string }{
		{"a byte order mark", "\ufeff" + issuing, "begins with a byte order mark of UTF-8"},
		{"bad base64 in the second certificate", root + strings.Replace(issuing, "\nMI", "\n!!", 1), fmt.Sprintf("line %d: certificate 2 cannot be read", lines+1)},
		{"a cut end", root + issuing[:len(issuing)-40], fmt.Sprintf("line %d: certificate 2 cannot be read: its end is missing", lines+1)},
	} {
		b.write("damaged.pem", test.text)
		for _, flag := range []string{"--intermediate", "--root", "--certificate"} {
			var stdout, stderr buffer
			code := run(t.Context(), b.flags(flag, b.path("damaged.pem")), strings.NewReader(""), &stdout, &stderr)
			if code != exitUsage || !strings.Contains(stderr.String(), b.path("damaged.pem")+": ") || !strings.Contains(stderr.String(), test.want) {
				t.Errorf("%s, %s: exit code %d\n%s", test.name, flag, code, &stderr)
			}
		}
	}
}
