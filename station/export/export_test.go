package export

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"hallmark/devices"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// hostile is a name that breaks careless CSV, JSON and C.
const hostile = "=cmd|' /C calc'!A1 \"q\" \\ ??/\n*/ ??)\r\x01 é\u202e"

// A world has a chain, and certificates that it signed.
type world struct {
	t     *testing.T
	chain Chain
	key   *ecdsa.PrivateKey // of the issuing CA
	unit  string            // OU of the next board
	rows  []*Row
}

func newWorld(t *testing.T, boards int) *world {
	t.Helper()
	w := &world{t: t, unit: hostile}
	rootKey := newKey(t)
	w.key = newKey(t)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hostile, Organization: []string{"Acme"}}, NotAfter: time.Unix(4e9, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte("root")}
	w.chain.Root = w.sign(root, root, &rootKey.PublicKey, rootKey)
	issuing := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Issuing"}, NotAfter: time.Unix(4e9, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte("issuing")}
	w.chain.Issuing = w.sign(issuing, w.chain.Root, &w.key.PublicKey, rootKey)
	for range boards {
		w.add(devices.PurposeTLS)
	}
	return w
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (w *world) sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	w.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		w.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		w.t.Fatal(err)
	}
	return certificate
}

// add certifies the key of one more board.
func (w *world) add(purpose devices.Purpose) *Row {
	w.t.Helper()
	id := devices.BoardID(uuid.New())
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(len(w.rows)) + 3), Subject: pkix.Name{CommonName: id.String(), OrganizationalUnit: []string{w.unit}}, NotAfter: time.Unix(4e9, 0)}
	certificate := w.sign(template, w.chain.Issuing, &newKey(w.t).PublicKey, w.key)
	row, err := NewRow(registry.ActiveCertificate{BoardID: id, Purpose: purpose, Profile: hostile, Order: hostile, Issued: "2026-11-28T07:00:00Z", DER: certificate.Raw})
	if err != nil {
		w.t.Fatal(err)
	}
	w.rows = append(w.rows, row)
	return row
}

func (w *world) each(visit func(*Row) error) error {
	for _, row := range w.rows {
		if err := visit(row); err != nil {
			return err
		}
	}
	return nil
}

// write writes a format, and gives its place.
func (w *world) write(f *Format) string {
	w.t.Helper()
	to := filepath.Join(w.t.TempDir(), "new", "out")
	if rows, written, err := f.Write(to, w.chain, w.each); err != nil || !written || rows == 0 {
		w.t.Fatalf("%s: %d rows, %v, %v", f.Name, rows, written, err)
	}
	return to
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// names gives the files below a directory.
func names(t *testing.T, folder string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			name, _ := filepath.Rel(folder, path)
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// strict reads JSON, and refuses fields that into does not have.
func strict(t *testing.T, text string, into any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if decoder.More() {
		t.Fatalf("more than one value: %s", text)
	}
}

func TestCSVAndJSONHaveTheSameCells(t *testing.T) {
	w := newWorld(t, 2)
	w.add(devices.PurposeCOSE)
	rows, err := csv.NewReader(strings.NewReader(read(t, w.write(csvList)))).ReadAll()
	if err != nil || len(rows) != 4 || !slices.Equal(rows[0], columns) {
		t.Fatalf("%q, %v", rows, err)
	}
	lines := strings.Split(strings.TrimSuffix(read(t, w.write(jsonLines)), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3", len(lines))
	}
	for i, line := range lines {
		var object map[string]string
		strict(t, line, &object)
		if len(object) != len(columns) {
			t.Errorf("%d fields, want %d", len(object), len(columns))
		}
		for n, column := range columns {
			want := object[column]
			if strings.HasPrefix(want, "=") { // CSV keeps it from being a formula
				want = "'" + want
			}
			if cell := strings.ReplaceAll(rows[i+1][n], "\r\n", "\n"); cell != strings.ReplaceAll(want, "\r\n", "\n") {
				t.Errorf("%s: %q in CSV and %q in JSON", column, cell, want)
			}
		}
		if object["work_order"] != hostile || object["board_id"] != w.rows[i].BoardID.String() || object["common_name"] != object["board_id"] {
			t.Errorf("got %q", object)
		}
		if der, err := base64.StdEncoding.DecodeString(object["certificate"]); err != nil || !bytes.Equal(der, w.rows[i].DER) {
			t.Errorf("another certificate: %v", err)
		}
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
				t.Errorf("the cell %q begins a formula", cell)
			}
		}
	}
}

func TestOpensslReadsTheChainInPKCS7(t *testing.T) {
	openssl := prerequisite.Program(t, "openssl", "openssl")
	w := newWorld(t, 1)
	cose := w.add(devices.PurposeCOSE)
	to := w.write(pkcs7)
	want := []string{w.rows[0].BoardID.String() + ".p7b", cose.BoardID.String() + ".cose.p7b"}
	if got := names(t, to); len(got) != 2 || !slices.Contains(got, want[0]) || !slices.Contains(got, want[1]) {
		t.Fatalf("got %q, want %q", got, want)
	}
	out, err := exec.Command(openssl, "pkcs7", "-print_certs", "-in", filepath.Join(to, want[0])).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got [][]byte
	for block, rest := pem.Decode(out); block != nil; block, rest = pem.Decode(rest) {
		got = append(got, block.Bytes)
	}
	if !slices.EqualFunc(got, [][]byte{w.rows[0].DER, w.chain.Issuing.Raw, w.chain.Root.Raw}, bytes.Equal) {
		t.Errorf("openssl prints %d certificates:\n%s", len(got), out)
	}
	if out, err := exec.Command(openssl, "cms", "-cmsout", "-print", "-inform", "PEM", "-in", filepath.Join(to, want[0])).CombinedOutput(); err != nil || !strings.Contains(string(out), "signerInfos:\n      <EMPTY>") {
		t.Errorf("openssl cms: %v\n%s", err, out)
	}
}

func TestWhatAServiceCouldNotUseIsRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		formats []*Format
		change  func(*world)
		want    error
	}{
		{"no certificate", []*Format{pkcs7, csvList, jsonLines, awsBulk, azureDPS, azureHub, nrfCloud, cSource}, func(w *world) { w.rows = nil }, ErrEmpty},
		{"a COSE key alone", []*Format{awsBulk, azureDPS, azureHub, nrfCloud}, func(w *world) { w.rows[0].Purpose = devices.PurposeCOSE }, ErrEmpty},
		{"a common name that is no BoardID", []*Format{awsJITP, azureDPS, azureHub, nrfCloud}, func(w *world) { w.rows[0].BoardID = devices.BoardID(uuid.New()) }, ErrOtherName},
		{"another issuing CA", []*Format{pkcs7, awsBulk, cSource}, func(w *world) { w.chain = newWorld(t, 0).chain; w.chain.Issuing.SubjectKeyId = []byte("new") }, ErrOtherIssuer},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, f := range test.formats {
				w := newWorld(t, 1)
				test.change(w)
				folder := t.TempDir()
				if _, written, err := f.Write(filepath.Join(folder, "out"), w.chain, w.each); !errors.Is(err, test.want) || written {
					t.Errorf("%s: %v, %v", f.Name, written, err)
				}
				if left := names(t, folder); len(left) > 0 {
					t.Errorf("%s leaves %q", f.Name, left)
				}
			}
		})
	}
}

func TestAnUnknownFormatIsAnsweredWithTheKnownOnes(t *testing.T) {
	_, err := Find("gcp")
	for _, f := range All() {
		if !errors.Is(err, ErrUnknownFormat) || !strings.Contains(err.Error(), f.Name) {
			t.Errorf("%s is missing in: %v", f.Name, err)
		}
		if found, err := Find(f.Name); found != f || err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

func TestNothingElseIsOverwritten(t *testing.T) {
	w := newWorld(t, 2)
	folder := t.TempDir()
	list := filepath.Join(folder, "list.csv")
	refused := func(f *Format, to string, want error) {
		t.Helper()
		before := names(t, folder)
		if _, written, err := f.Write(to, w.chain, w.each); !errors.Is(err, want) || written || reason.ExitOf(err) != reason.ExitUsage {
			t.Errorf("%s: %v, %v, want %v", f.Name, written, err, want)
		}
		if after := names(t, folder); !slices.Equal(before, after) {
			t.Errorf("%q became %q", before, after)
		}
	}
	if _, written, err := csvList.Write(list, w.chain, w.each); err != nil || !written {
		t.Fatal(written, err)
	}
	if _, written, err := csvList.Write(list, w.chain, w.each); err != nil || written {
		t.Errorf("the same again: %v, %v", written, err)
	}
	refused(jsonLines, list, workdir.ErrOtherContent)
	refused(jsonLines, folder, workdir.ErrNotRegular)
	refused(pkcs7, folder, workdir.ErrFolderTaken)
	refused(pkcs7, list, syscall.ENOTDIR)
	empty := filepath.Join(folder, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, written, err := pkcs7.Write(empty, w.chain, w.each); err != nil || !written {
		t.Errorf("an empty directory: %v, %v", written, err)
	}
	link := filepath.Join(folder, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	refused(jsonLines, link, workdir.ErrOtherContent)
}

// A disk that is full, and one that is read-only, leave no file under the name and nothing beside it.
func TestADiskThatTakesNothingGetsNoPartOfAnExport(t *testing.T) {
	w := newWorld(t, 1)
	for len(w.rows) < 400 {
		again := *w.rows[0]
		again.BoardID = devices.BoardID(uuid.New())
		w.rows = append(w.rows, &again)
	}
	disk := prerequisite.SmallDisk(t, "64k")
	refused := func(want error) {
		for _, f := range []*Format{csvList, pkcs7, cSource} {
			if _, written, err := f.Write(filepath.Join(disk, "out"), w.chain, w.each); !errors.Is(err, want) || written {
				t.Errorf("%s: %v, %v, want %v", f.Name, written, err, want)
			}
			if left, err := os.ReadDir(disk); err != nil || len(left) > 0 {
				t.Errorf("%s leaves %v, %v", f.Name, left, err)
			}
		}
	}
	refused(syscall.ENOSPC)
	if err := unix.Mount("hallmark-test", disk, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "size=64k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	refused(syscall.EROFS)
}
