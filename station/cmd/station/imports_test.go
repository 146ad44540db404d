package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// without lists binaries with the packages that must never be linked into them.
var without = map[string][]string{
	"station/cmd/station":    {"testing", "hallmark/fixtures", "hallmark/devices/conformance"},
	"station/cmd/auditcheck": {"testing", "hallmark/devices", "hallmark/hsm", "hallmark/station/registry", "github.com/mattn/go-sqlite3", "github.com/miekg/pkcs11"},
	"station/cmd/hub":        {"testing", "hallmark/devices", "hallmark/hsm", "hallmark/station/registry", "github.com/mattn/go-sqlite3", "github.com/miekg/pkcs11", "github.com/ThalesIgnite/crypto11"},
	"station/cmd/verifier":   {"testing", "hallmark/devices/emulated", "hallmark/hsm", "github.com/miekg/pkcs11", "github.com/ThalesIgnite/crypto11"},
}

type listed struct {
	ImportPath string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

const module = "hallmark/"

func TestImportGraphIsTheDataFlow(t *testing.T) {
	mayImport, packages := tableOfImports(t), list(t)
	if len(packages) < 8 {
		t.Fatalf("only %d packages of ours are listed", len(packages))
	}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := allowedFor(mayImport, name)
		if !known {
			t.Errorf("%s is not in the table of DESIGN.md section 1", name)
		}
		for _, imported := range p.Imports {
			imported, ours := strings.CutPrefix(imported, module)
			if ours && !covers(allowed, imported) {
				t.Errorf("%s imports %s, but may import of ours only %v", name, imported, allowed)
			}
		}
		for _, row := range mayImport[name] {
			if row != "anything" && !strings.HasSuffix(row, "/") && !slices.Contains(p.Imports, module+row) {
				t.Errorf("%s may import %s and does not: take it out of the table", name, row)
			}
		}
		for _, forbidden := range without[name] {
			if slices.Contains(p.Deps, forbidden) {
				t.Errorf("%s links %s", name, forbidden)
			}
		}
	}
}

// tableOfImports reads the table of DESIGN.md section 1. The table says which packages of this
// module each package may import.
func tableOfImports(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../../DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n### Who may import whom\n")
	section, _, _ = strings.Cut(section, "\n### ")
	quoted := regexp.MustCompile("`([a-z0-9/]+)`")
	mayImport := map[string][]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			continue
		}
		var allowed []string
		for _, name := range quoted.FindAllStringSubmatch(cells[2], -1) {
			allowed = append(allowed, name[1])
		}
		if strings.TrimSpace(cells[2]) == "anything" {
			allowed = []string{"anything"}
		}
		for _, name := range quoted.FindAllStringSubmatch(cells[1], -1) {
			mayImport[name[1]] = allowed
		}
	}
	return mayImport
}

// covers reports whether one of the rows allows the import.
func covers(allowed []string, imported string) bool {
	return slices.ContainsFunc(allowed, func(row string) bool {
		return row == "anything" || row == imported || strings.HasSuffix(row, "/") && strings.HasPrefix(imported, row)
	})
}

// allowedFor returns the row of a package, or the row of a directory above the package.
func allowedFor(mayImport map[string][]string, name string) ([]string, bool) {
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
		if strings.HasPrefix(p.ImportPath, module) && len(p.GoFiles) > 0 { // a package without GoFiles holds only tests
			packages = append(packages, p)
		}
	}
}
