package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is the table of DESIGN.md section 1: what each package may import,
// of ours. "anything" is for those that wire.
// A row that ends in a slash is for all packages below.
var mayImport = map[string][]string{
	"station/reason":      {},
	"station/workdir":     {"station/reason"},
	"devices/smp":         {},
	"devices/serial":      {},
	"devices":             {"devices/smp", "station/reason"},
	"devices/emulated":    {"devices", "devices/serial"},
	"devices/conformance": {"devices", "devices/smp", "station/reason"}, // linked into tests only
	"hsm":                 {"station/reason"},
	"hsm/softtoken":       {"hsm", "station/workdir"},
	"station/audit":       {"station/reason"},
	"station/issuance":    {"devices", "station/reason"},
	"station":             {"devices", "station/issuance", "station/reason"},
	"station/registry":    {"station", "station/issuance", "station/audit", "station/reason", "devices"},
	"station/verifier":    {"devices", "station", "station/reason"},
	"configs":             {"devices", "hsm", "station", "station/issuance", "station/registry", "station/verifier"},
	"station/instance": {"configs", "hsm", "hsm/softtoken", "devices", "devices/emulated", "devices/serial", "station", "station/audit",
		"station/issuance", "station/reason", "station/registry", "station/verifier", "station/workdir"},
	"station/health":   {"devices/serial", "hsm", "station/instance", "station/issuance", "station/reason", "station/workdir"},
	"station/ceremony": {"configs", "devices", "hsm", "hsm/softtoken", "station/audit", "station/instance", "station/issuance", "station/reason", "station/registry", "station/workdir"},
	"station/operate": {"configs", "devices", "hsm", "station", "station/audit", "station/health", "station/instance", "station/issuance",
		"station/reason", "station/registry"},
	"station/report": {"devices", "station", "station/issuance", "station/reason", "station/workdir"},
	"ui":             {"devices", "station", "station/health", "station/operate", "station/reason", "station/workdir", "ui/"},
	"ui/":            {"station", "ui/"},
	"fixtures":       {"anything"},
	"fixtures/":      {"anything"}, // and below
	"station/cmd/":   {"anything"},
}

// without names binaries and the packages that must never be linked into them.
var without = map[string][]string{
	"station/cmd/station":  {"testing", "hallmark/fixtures", "hallmark/devices/conformance"},
	"station/cmd/verifier": {"testing", "hallmark/devices/emulated", "hallmark/hsm", "github.com/miekg/pkcs11", "github.com/ThalesIgnite/crypto11"},
}

type listed struct {
	ImportPath string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

const module = "hallmark/"

func TestImportGraphIsTheDataFlow(t *testing.T) {
	packages := list(t)
	if len(packages) < 8 {
		t.Fatalf("only %d packages of ours are listed", len(packages))
	}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := allowedFor(name)
		if !known {
			t.Errorf("%s is not in the table of DESIGN.md section 1", name)
		}
		for _, imported := range p.Imports {
			imported, ours := strings.CutPrefix(imported, module)
			if ours && !covers(allowed, imported) {
				t.Errorf("%s imports %s, but may import of ours only %v", name, imported, allowed)
			}
		}
		for _, forbidden := range without[name] {
			if slices.Contains(p.Deps, forbidden) {
				t.Errorf("%s links %s", name, forbidden)
			}
		}
	}
}

// covers reports whether one of the rows allows the import.
func covers(allowed []string, imported string) bool {
	return slices.ContainsFunc(allowed, func(row string) bool {
		return row == "anything" || row == imported || strings.HasSuffix(row, "/") && strings.HasPrefix(imported, row)
	})
}

// allowedFor finds the row for a package, or for the directory it is in.
func allowedFor(name string) ([]string, bool) {
	if allowed, ok := mayImport[name]; ok {
		return allowed, true
	}
	for row, allowed := range mayImport {
		if strings.HasSuffix(row, "/") && strings.HasPrefix(name, row) {
			return allowed, true
		}
	}
	return nil, false
}

// list asks the go command for the packages of this module, without their tests.
func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,GoFiles,Imports,Deps", module+"...")
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []listed
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.ImportPath, module) && len(p.GoFiles) > 0 { // else it holds tests only
			packages = append(packages, p)
		}
	}
}
