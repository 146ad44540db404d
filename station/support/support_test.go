package support

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/station/audit"
	"hallmark/station/health"
	"hallmark/station/instance"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// made is a station with a Run, and with secrets where people leave them by mistake.
func made(t *testing.T) (workdir.Dir, map[string][]byte, registry.FoundRun) {
	t.Helper()
	dir := fixtures.NewDirectory(t)
	record := fixtures.OpenRecord(t, dir)
	fixtures.EndRun(t, record, "Zarathustra")
	must(t, record.Note("doctor.done", audit.Success, map[string]string{"by": "Zarathustra"}))
	must(t, record.Close())
	found := newestRun(t, dir)
	secrets := map[string][]byte{"the badge": []byte("OP-4711-geheim"), "the name of an operator": []byte("Zarathustra")}
	pin := []byte(fixtures.PINOf(t, dir))
	secrets["the PIN"] = pin
	key := fixtures.Must(os.ReadFile(dir.ServerKey()))(t)
	block, _ := pem.Decode(key)
	lines := bytes.Split(bytes.TrimSpace(key), []byte("\n"))
	secrets["a line of the verifier's key"] = lines[1]
	secrets["the verifier's key in DER"] = block.Bytes
	private := fixtures.Must(fixtures.Must(x509.ParsePKCS8PrivateKey(block.Bytes))(t).(*ecdsa.PrivateKey).Bytes())(t)
	secrets["the verifier's key in hex"] = []byte(hex.EncodeToString(private))
	secrets["the verifier's key in base64"] = []byte(base64.StdEncoding.EncodeToString(private))

	file := fixtures.Must(os.OpenFile(dir.LogFile(), os.O_APPEND|os.O_WRONLY, 0))(t)
	_, err := io.WriteString(file, "key read: "+string(key)+"\nuri=pkcs11:token=x?pin-value="+string(pin)+"&a=b url=https://ann:"+string(pin)+
		"@mes.example/ operator=Zarathustra badge=OP-4711-geheim by=\"Zarathustra S.\"\nboard "+found.BoardID.String()+"\n")
	must(t, errors.Join(err, file.Close()))
	config := fixtures.Must(os.ReadFile(dir.Config()))(t)
	must(t, os.WriteFile(dir.Config(), append(config, "\n# the PIN is "+string(pin)+"\n"...), 0o600))
	must(t, os.WriteFile(dir.Badges(), []byte("OP-4711-geheim: {id: Zarathustra, name: Zarathustra, role: lead}\n"), 0o600))
	return dir, secrets, found
}

func TestNoSecretIsInTheReport(t *testing.T) {
	dir, secrets, found := made(t)
	files := gathered(t, dir, false)
	for name, content := range files {
		for what, secret := range secrets {
			if bytes.Contains(content, secret) {
				t.Errorf("%s has %s", name, what)
			}
		}
	}
	for _, name := range []string{"runs.txt", "audit.jsonl", "station.log"} {
		if !bytes.Contains(files[name], []byte(found.BoardID.String())) {
			t.Errorf("%s does not name the board; so the test below would find nothing either", name)
		}
	}
	for name, want := range map[string]string{"configuration.txt": "hsm.pin_source:", "system.txt": "version", "registry.txt": "audit log", "files.txt": "registry.db", "doctor.txt": "ok    disk", "readme.txt": "no PIN"} {
		if !bytes.Contains(files[name], []byte(want)) {
			t.Errorf("%s has no %q:\n%s", name, want, files[name])
		}
	}
}

func TestNoBoardIsInAReportWithoutBoards(t *testing.T) {
	dir, secrets, found := made(t)
	id := found.BoardID.String()
	plain, serial := strings.ReplaceAll(id, "-", ""), "3AD77BB40D7A3660A89ECAF32466EF97"
	for what, text := range map[string]string{"the BoardID": id, "the BoardID without hyphens": plain, "the BoardID in capitals": strings.ToUpper(id),
		"the hardware ID": found.HardwareID, "the serial number": serial, "the id of the Run": found.ID} {
		secrets[what] = []byte(text)
		if len(text) < 16 {
			t.Fatalf("%s is %q", what, text)
		}
	}
	file := fixtures.Must(os.OpenFile(dir.LogFile(), os.O_APPEND|os.O_WRONLY, 0))(t)
	_, err := io.WriteString(file, "a clone: "+plain+" is known on "+found.HardwareID+", certificate 0x"+serial+"\n")
	must(t, errors.Join(err, file.Close()))
	files := gathered(t, dir, true)
	for name, content := range files {
		for what, secret := range secrets {
			if bytes.Contains(bytes.ToLower(content), bytes.ToLower(secret)) {
				t.Errorf("%s has %s", name, what)
			}
		}
	}
	number := newRedactor(true)
	if a, b := number.text(id), number.text(plain); a != b || a == id {
		t.Errorf("one board is %s and %s", a, b)
	}
}

// A station whose files are all gone or broken still has a report, which says what cannot be read.
func TestABrokenStationHasAReport(t *testing.T) {
	dir, _, _ := made(t)
	must(t, os.WriteFile(dir.Config(), []byte("station: [\n"), 0o600))
	must(t, os.WriteFile(dir.Registry(), []byte("no database"), 0o600))
	must(t, os.Remove(dir.LogFile()))
	files := gathered(t, dir, false)
	for _, name := range []string{"configuration.txt", "registry.txt", "runs.txt", "audit.jsonl", "bench.txt"} {
		if !bytes.Contains(files[name], []byte("this part is not complete: ")) {
			t.Errorf("%s does not say that it is not complete:\n%s", name, files[name])
		}
	}
}

// Secrets that people put into addresses, and hardware IDs that are shorter than a digest.
func TestTheRedactorHidesWhatAddressesHold(t *testing.T) {
	hide := newRedactor(true)
	for text, secret := range map[string]string{
		"post https://ann:pass/word@mes.example/x": "word", "post HTTPS://ann:geheim@mes.example": "geheim", "https://ann:p@geheim@mes.example/": "geheim",
		`url: "http://tsa.example/tsr?apikey=geheim"`: "geheim", "url: https://mes.example/services/T0/geheim": "geheim", "https://mes.example?key=geheim": "geheim", `{"board":{"hardware_id":"0a1b2c"}}`: "0a1b2c", "hardware_id=0a1b2c": "0a1b2c",
	} {
		if got := hide.text(text); strings.Contains(got, secret) {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := hide.text("see https://mes.example:8443/"); got != "see https://mes.example:8443/" {
		t.Errorf("an address without a secret became %q", got)
	}
}

func gathered(t *testing.T, dir workdir.Dir, withoutBoards bool) map[string][]byte {
	t.Helper()
	b := &Bundle{withoutIDs: withoutBoards, testingRoot: t.TempDir()}
	for _, folder := range []string{"sys", "dev"} {
		must(t, os.Mkdir(filepath.Join(b.testingRoot, folder), 0o700))
	}
	b.Add(health.Check{Name: "disk", State: health.OK, Finding: "free"})
	zipped := fixtures.Must(gzip.NewReader(bytes.NewReader(fixtures.Must(b.pack(t.Context(), dir, time.Now()))(t))))(t)
	files, all := tar.NewReader(zipped), map[string][]byte{}
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		all[strings.TrimPrefix(header.Name, "station-report/")] = fixtures.Must(io.ReadAll(files))(t)
	}
}

func newestRun(t *testing.T, dir workdir.Dir) registry.FoundRun {
	t.Helper()
	reader := fixtures.Must(instance.OpenReader(context.Background(), dir))(t)
	defer reader.Close()
	found := fixtures.Must(reader.SearchRuns(context.Background(), registry.Search{Limit: 1}))(t)
	if len(found) != 1 || found[0].Ending != "reject" {
		t.Fatalf("%+v", found)
	}
	return found[0]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
