package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/station/workdir"
)

// The names of real companies go through init, a batch, openssl and the evidence.
func TestACompanyMayHaveAnyName(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	folders := t.TempDir() // the name of a subtest is part of the path of its own directory
	for i, name := range []string{"Müller GmbH", "ACME, Inc.", "AT&T", "株式会社", `O'Brien "Sons" <a+b>; C\D = 1/2 #`} {
		t.Run(name, func(t *testing.T) {
			dir, config := filepath.Join(folders, fmt.Sprint(i), "D"), filepath.Join(t.TempDir(), "station.yaml")
			demo := "hsm: {module: softhsm2, token_label: t, allow_software_token: true, create_token: true, pin_source: file:hsm/pin}\nboards: {allow_emulated: true}\n"
			text := fmt.Sprintf("%sauthority: {name: %q, organization: %q}\n", demo, name, name)
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"init", "--dir", dir, "--config", config},
				{"batch", "--dir", dir, "--boards", "posix:2", "--count", "2", "--firmware", firmware, "--progress", "none"},
				{"audit", "verify", "--dir", dir},
				{"audit", "export", "--dir", dir, "--out", filepath.Join(t.TempDir(), "bundle")},
			} {
				if code, out, errs := do(t, args...); code != exitPass {
					t.Fatalf("%s: exit code %d\n%s%s", args[0], code, out, errs)
				}
			}
			issuing, err := workdir.ReadCertificate(filepath.Join(dir, "pki", "issuing.pem"))
			if err != nil {
				t.Fatal(err)
			}
			if issuing.Subject.CommonName != name+" CA" || issuing.Subject.Organization[0] != name {
				t.Errorf("subject %v", issuing.Subject)
			}
			verifiesWithOpenSSL(t, dir)
		})
	}
}

// verifiesWithOpenSSL has openssl verify each certificate of a board.
func verifiesWithOpenSSL(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "certificates", "*.pem"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d certificates, %v", len(files), err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "chain.pem") {
			continue
		}
		verify := exec.Command("openssl", "verify", "-CAfile", filepath.Join(dir, "pki", "root.pem"), "-untrusted", filepath.Join(dir, "pki", "issuing.pem"), file)
		if output, err := verify.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, output)
		}
	}
}
