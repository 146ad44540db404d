package audit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The catalogue of entries is testdata/kinds.tsv: each type of entry, its family, and the functions
// that write it. The acts that must have an entry are in testdata/acts.tsv: each function that signs,
// makes a key, opens the HSM, signs somebody in, changes a file of the station or takes something out
// of it, and the type of entry that tells of the act. Both are compared with the sources.

// sources are the functions of the product, by package and name.
type sources struct {
	constants map[string]string // constants with a text, by name
	endings   []string          // types of the entries that end a Run
	functions []function
}

type function struct {
	name string // package.Function, or package.Type.Function
	body *ast.FuncDecl
}

func readSources(t *testing.T) *sources {
	t.Helper()
	s := &sources{constants: map[string]string{}}
	for _, folder := range []string{"station", "hsm", "configs", "ui"} {
		root := filepath.Join("..", "..", folder)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				err = s.readFile(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *sources) readFile(path string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return err
	}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.GenDecl:
			s.addConstants(d)
			if d.Tok == token.VAR && file.Name.Name == "registry" {
				s.addEndings(d)
			}
		case *ast.FuncDecl:
			name := file.Name.Name + "."
			if d.Recv != nil {
				name += receiver(d.Recv.List[0].Type) + "."
			}
			s.functions = append(s.functions, function{name + d.Name.Name, d})
		}
	}
	return nil
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

func (s *sources) addConstants(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		values, ok := spec.(*ast.ValueSpec)
		if !ok || d.Tok != token.CONST {
			continue
		}
		for n, name := range values.Names {
			if n < len(values.Values) {
				if text, ok := literal(values.Values[n]); ok {
					s.constants[name.Name] = text
				}
			}
		}
	}
}

// addEndings takes the types of the entries that end a Run: they are the keys of a map.
func (s *sources) addEndings(d *ast.GenDecl) {
	ast.Inspect(d, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if text, is := "", false; ok {
			if text, is = literal(pair.Key); is && strings.HasPrefix(text, "run.") {
				s.endings = append(s.endings, text)
			}
		}
		return true
	})
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

// kindForm is what a type of entry looks like.
var kindForm = regexp.MustCompile(`^[a-z]+(\.[a-z]+)+$`)

// noKind is a name of a file, which has the same form.
var noKind = regexp.MustCompile(`\.(yaml|db|pem)$`)

func isKind(text string) bool { return kindForm.MatchString(text) && !noKind.MatchString(text) }

// kinds gives the texts that an expression may have: a literal, a constant, or what the function
// assigns to a variable.
func (s *sources) kinds(in *ast.FuncDecl, e ast.Expr) (texts []string) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, ok := literal(e); ok {
			texts = append(texts, text)
		}
	case *ast.SelectorExpr:
		texts = append(texts, s.constants[e.Sel.Name])
	case *ast.Ident:
		texts = append(texts, s.constants[e.Name])
		ast.Inspect(in, func(n ast.Node) bool {
			if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == 1 && len(a.Rhs) == 1 {
				if to, ok := a.Lhs[0].(*ast.Ident); ok && to.Name == e.Name {
					if text, ok := literal(a.Rhs[0]); ok {
						texts = append(texts, text)
					}
				}
			}
			return true
		})
	case *ast.CallExpr: // text("...")
		for _, argument := range e.Args {
			texts = append(texts, s.kinds(in, argument)...)
		}
	}
	return slices.DeleteFunc(texts, func(text string) bool { return !isKind(text) })
}

// writers are the functions whose argument is the type of an entry.
var writers = []string{"Note", "NoteBy", "entry", "runEntry", "intentEntry", "checkpointEntry", "note", "noteLock", "lockEntry", "holdEntry", "updateEntry"}

// written gives the types of entries that a function writes.
func (s *sources) written(f function) (kinds []string) {
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if slices.Contains(writers, called(n)) {
				for _, argument := range n.Args {
					kinds = append(kinds, s.kinds(f.body, argument)...)
				}
			}
		case *ast.AssignStmt: // what := "bay.skipped"; a call further down has the variable
			for _, value := range n.Rhs {
				if text, ok := literal(value); ok && isKind(text) {
					kinds = append(kinds, text)
				}
			}
		case *ast.CompositeLit:
			if name := last(n.Type); name == "Entry" || name == "Notice" || name == "Event" {
				for _, element := range n.Elts {
					if pair, ok := element.(*ast.KeyValueExpr); ok && last(pair.Key) == "Type" {
						kinds = append(kinds, s.kinds(f.body, pair.Value)...)
					}
				}
			}
		}
		return true
	})
	return kinds
}

func called(c *ast.CallExpr) string { return last(c.Fun) }

// last gives the last name of an expression: Sign of audit.Sign.
func last(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// actNames are the calls that are acts: a signature, a key, the HSM, a sign-in, a file of the station,
// evidence that leaves the station, a board that is flashed, sealed or locked. A name with a point is the last two names of the call.
var actNames = []string{"Sign", "SignASN1", "x509.CreateCertificate", "x509.CreateRevocationList", "Generate", "StoreData", "hsm.Open", "SignIn", "workdir.WriteFile",
	"workdir.WriteFiles", "WritePart", "bundle.Write", "os.WriteFile", "os.Rename", "Backup", "Seal", "port.Lock", "Flash"}

// acts gives the acts of a function.
func acts(f function) (names []string) {
	ast.Inspect(f.body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		full := called(call)
		if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
			full = last(selector.X) + "." + full
		}
		isAct := slices.ContainsFunc(actNames, func(name string) bool {
			return full == name || strings.HasSuffix(full, "."+name) && !strings.Contains(name, ".")
		})
		if isAct && full != "SerialNumber.Sign" { // the sign of a number
			names = append(names, full)
		}
		return true
	})
	return names
}

// table reads a table of testdata. Lines that begin with # are comments.
func table(t *testing.T, name string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}

// compare reports lines that only one of the two has.
func compare(t *testing.T, what string, want, got []string) {
	t.Helper()
	slices.Sort(got)
	got = slices.Compact(got)
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("%s: the sources have %q and the table does not", what, line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("%s: the table has %q and the sources do not", what, line)
		}
	}
}

func TestEachTypeOfEntryHasItsWritersAndEachWriterItsType(t *testing.T) {
	var want, got []string
	for _, row := range table(t, "kinds.tsv") {
		if len(row) != 3 {
			t.Fatalf("%q: want type, family, functions", row)
		}
		for _, writer := range strings.Fields(row[2]) {
			want = append(want, row[0]+" by "+writer)
		}
	}
	s := readSources(t)
	for _, kind := range s.endings {
		got = append(got, kind+" by registry.endings")
	}
	for _, f := range s.functions {
		for _, kind := range s.written(f) {
			got = append(got, kind+" by "+f.name)
		}
	}
	compare(t, "types of entries", want, got)
}

func TestEachActHasItsEntry(t *testing.T) {
	kinds := map[string]bool{"-": true} // the reason stands behind
	for _, row := range table(t, "kinds.tsv") {
		kinds[row[0]] = true
	}
	var want, got []string
	for _, row := range table(t, "acts.tsv") {
		if len(row) != 4 || row[3] == "" {
			t.Fatalf("%q: want function, call, type of entry, reason", row)
		}
		for _, kind := range strings.Fields(row[2]) {
			if !kinds[kind] {
				t.Errorf("%s: there is no entry %s", row[0], kind)
			}
		}
		want = append(want, row[0]+" calls "+row[1])
	}
	for _, f := range readSources(t).functions {
		for _, name := range acts(f) {
			got = append(got, f.name+" calls "+name)
		}
	}
	compare(t, "acts", want, got)
}
