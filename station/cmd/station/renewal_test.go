package main

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/workdir"
)

// A field is a sealed posix board that a station enrolled, and that now has its product's image.
type field struct {
	*testing.T
	dir    workdir.Dir
	id     devices.BoardID
	config emulated.Config
	own    *x509.Certificate
}

// newField enrols and seals a board.
func newField(t *testing.T) *field {
	t.Helper()
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := workdir.Dir(filepath.Join(t.TempDir(), "D"))
	if code, _, errs := do(t, "init", "--dir", string(dir)); code != exitPass {
		t.Fatal(errs)
	}
	fixtures.Configure(t, dir, "boards:\n", "boards:\n  seal: true\n")
	if code, out, errs := do(t, "enrol", "--dir", string(dir), "--firmware", firmware, "posix"); code != exitPass {
		t.Fatalf("enrol: exit code %d\n%s%s", code, out, errs)
	}
	homes := fixtures.Must(filepath.Glob(filepath.Join(string(dir.In("bays")), "*", "*", "flash*")))(t)
	if len(homes) != 1 {
		t.Fatalf("the boards' flash files are %q", homes)
	}
	f := &field{T: t, dir: dir, config: emulated.Config{Kind: emulated.Posix, Dir: filepath.Dir(homes[0]),
		Image: prerequisite.Firmware(t, filepath.Join(firmware, "posix", "hallmark-posix-product"))}}
	f.onBoard(func(board *devices.Client) {
		f.id = fixtures.Must(board.Identify(t.Context()))(t).ID
		f.own = f.holds(board)
	})
	return f
}

// onBoard starts the board with its product's image, as in the field.
func (f *field) onBoard(do func(*devices.Client)) {
	f.Helper()
	board := fixtures.Must(emulated.Start(f.Context(), f.config))(f.T)
	client := devices.NewClient(board.Transport(), devices.Options{Answer: emulated.AnswerTime})
	do(client)
	if err := errors.Join(client.Close(), board.Close()); err != nil {
		f.Error(err)
	}
}

func (f *field) holds(board *devices.Client) *x509.Certificate {
	f.Helper()
	return fixtures.Must(x509.ParseCertificate(fixtures.Must(board.Read(f.Context(), devices.SlotCertificate))(f.T)))(f.T)
}

// successor has the issuing key sign another certificate for the key of a certificate.
func (f *field) successor(key any) string {
	f.Helper()
	files := fixtures.Must(instance.OpenFiles(f.dir, instance.Options{}))(f.T)
	defer files.Close()
	keys := fixtures.Must(fixtures.Must(files.OpenRecord(f.Context()))(f.T).OpenKeys(f.Context(), nil))(f.T)
	issuing := fixtures.Must(keys.IssuingSigner(f.Context()))(f.T)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: f.id.String()},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature}
	der := fixtures.Must(x509.CreateCertificate(rand.Reader, template, keys.Issuing, key, issuing))(f.T)
	path := filepath.Join(f.TempDir(), "next.pem")
	f.must(os.WriteFile(path, workdir.CertificatePEM(der), 0o600))
	return path
}

func (f *field) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// signByRoot signs as openssl dgst does.
func (f *field) signByRoot(octets []byte) []byte {
	f.Helper()
	files := fixtures.Must(instance.OpenFiles(f.dir, instance.Options{}))(f.T)
	defer files.Close()
	keys := fixtures.Must(fixtures.Must(files.OpenRecord(f.Context()))(f.T).OpenKeys(f.Context(), nil))(f.T)
	digest := sha256.Sum256(octets)
	return fixtures.Must(fixtures.Must(keys.RootSigner(f.Context()))(f.T).Sign(rand.Reader, digest[:], crypto.SHA256))(f.T)
}

// renew gives the command, and returns the path of the file.
func (f *field) renew(want int, board string, args ...string) (file, output string) {
	f.Helper()
	file = filepath.Join(f.TempDir(), "update.cbor")
	code, out, errs := do(f.T, append([]string{"renew", "--dir", string(f.dir), board, "--file", file, "--operator", "anna"}, args...)...)
	if code != want {
		f.Fatalf("renew %q: exit code %d, want %d\n%s%s", args, code, want, out, errs)
	}
	return file, out + errs
}

func (f *field) entries(kind string) (found []audit.Entry) {
	for _, e := range fixtures.Entries(f.T, f.dir) {
		if e.Type == kind {
			found = append(found, e)
		}
	}
	return found
}

// The whole way of a renewal: the station makes the file, any client delivers it, and the sealed product board takes it once.
func TestAnUpdateFileRenewsASealedProductBoard(t *testing.T) {
	f := newField(t)
	next := f.successor(f.own.PublicKey)
	file, out := f.renew(exitPass, f.id.String(), "--certificate", next)
	if !strings.Contains(out, "renews certificate of board "+f.id.String()) {
		t.Errorf("renew says %s", out)
	}
	octets := fixtures.Must(os.ReadFile(file))(t)
	f.onBoard(func(board *devices.Client) {
		f.must(board.Update(t.Context(), octets))
		if got := f.holds(board); !got.Equal(fixtures.Must(workdir.ReadCertificate(next))(t)) {
			t.Errorf("the board holds %x", got.Raw)
		}
		if err := board.Update(t.Context(), octets); !errors.Is(err, devices.ErrUpdateOld) {
			t.Errorf("the same file again: %v", err)
		}
		if err := board.Update(t.Context(), octets[:len(octets)-1]); err == nil {
			t.Error("a file that is cut was taken")
		}
	})
	f.onBoard(func(board *devices.Client) { // after a power cut
		if got := f.holds(board); !got.Equal(fixtures.Must(workdir.ReadCertificate(next))(t)) || !fixtures.Must(board.Identify(t.Context()))(t).Sealed {
			t.Errorf("the board holds %x", got.Raw)
		}
	})
	// A second file has a greater counter, and its intent is on record before the signature.
	again, _ := f.renew(exitPass, f.id.String(), "--certificate", next)
	f.onBoard(func(board *devices.Client) { f.must(board.Update(t.Context(), fixtures.Must(os.ReadFile(again))(t))) })
	intents, signed := f.entries("board.update.intent"), f.entries("board.update.signed")
	if len(intents) != 2 || len(signed) != 2 || intents[0].Seq > signed[0].Seq || intents[0].Details["counter"] >= intents[1].Details["counter"] {
		t.Errorf("the intents are %+v, the signatures %+v", intents, signed)
	}
	if e := intents[0]; e.Board == nil || e.Board.ID != f.id.String() || e.Actor.ID != "anna" || e.Details["slots"] != "certificate" {
		t.Errorf("the intent says %+v", e)
	}
	if code, out, errs := do(t, "audit", "verify", "--dir", string(f.dir)); code != exitPass {
		t.Errorf("audit verify: exit code %d\n%s%s", code, out, errs)
	}
}

// What the board would refuse is named before anything is signed or on record.
func TestRenewRefusesWhatTheBoardWouldRefuse(t *testing.T) {
	f := newField(t)
	key := fixtures.Must(x509.ParseCertificate(fixtures.Must(workdir.ReadCertificate(f.dir.Issuing()))(t).Raw))(t).PublicKey
	next, foreign := f.successor(f.own.PublicKey), f.successor(key)
	other := f.id
	other[0] ^= 1
	before := len(fixtures.Entries(t, f.dir))
	for _, row := range []struct {
		name, board, want string
		args              []string
	}{
		{"nothing", f.id.String(), "nothing to renew", nil},
		{"no BoardID", "board-7", "board-7", []string{"--certificate", next}},
		{"a certificate for another key", f.id.String(), "not the tls key of board", []string{"--certificate", foreign}},
		{"another board", other.String(), "not the tls key of board", []string{"--certificate", next}},
		{"a chain alone", f.id.String(), "give --certificate, too", []string{"--chain", f.dir.Issuing()}},
		{"a certificate that another CA signed", f.id.String(), "has signed for a board", []string{"--certificate", next, "--anchor", f.dir.Root()}},
		{"an anchor that has not signed itself", f.id.String(), "not a CA certificate that has signed itself", []string{"--certificate", next, "--anchor", f.dir.Issuing()}},
		{"no such file", f.id.String(), "nothing.pem", []string{"--certificate", filepath.Join(t.TempDir(), "nothing.pem")}},
		{"a signature without a draft", f.id.String(), ".unsigned", []string{"--signature", next}},
	} {
		if _, out := f.renew(exitUsage, row.board, row.args...); !strings.Contains(out, row.want) {
			t.Errorf("%s: %s, want %q", row.name, out, row.want)
		}
	}
	if after := f.entries("board.update.intent"); len(after) != 0 {
		t.Errorf("%d entries before, then the intents %+v", before, after)
	}
}

// Where the key of the anchor is offline, the manifest travels, and openssl signs it.
func TestTheKeyOfTheAnchorMayBeElsewhere(t *testing.T) {
	f := newField(t)
	next := f.successor(f.own.PublicKey)
	const here, elsewhere = "  name: Demo\n", "  name: Demo\n  root_label: elsewhere\n"
	fixtures.Configure(t, f.dir, here, elsewhere)
	file, out := f.renew(exitPass, f.id.String(), "--certificate", next)
	if !strings.Contains(out, "not on this token") {
		t.Fatalf("renew says %s", out)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("an update file without a signature is there")
	}
	manifest := fixtures.Must(os.ReadFile(file + ".manifest"))(t)
	key := filepath.Join(t.TempDir(), "stranger.key")
	for _, args := range [][]string{{"ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key}, {"dgst", "-sha256", "-sign", key, "-out", file + ".signature", file + ".manifest"}} {
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl: %v %s", err, out)
		}
	}
	finish := []string{"renew", "--dir", string(f.dir), f.id.String(), "--file", file, "--signature", file + ".signature"}
	if code, _, errs := do(t, finish...); code != exitUsage || !strings.Contains(errs, "not signed with the key of this trust anchor") {
		t.Errorf("a stranger's signature: exit code %d, %s", code, errs)
	}
	fixtures.Configure(t, f.dir, elsewhere, here)
	f.must(os.WriteFile(file+".signature", f.signByRoot(manifest), 0o600))
	fixtures.Configure(t, f.dir, here, elsewhere)
	if code, out, errs := do(t, finish...); code != exitPass {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	f.onBoard(func(board *devices.Client) { f.must(board.Update(t.Context(), fixtures.Must(os.ReadFile(file))(t))) })
	if kinds := slices.Concat(f.entries("board.update.intent"), f.entries("board.update.signed")); len(kinds) != 2 {
		t.Errorf("the log has %s", fmt.Sprint(kinds))
	}
}
