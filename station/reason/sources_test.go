package reason_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"hallmark/station/reason"
)

// withoutReason are the errors that never occur in a Run, or only inside a sentinel.
var withoutReason = map[string]string{
	"devices.errNoScalar":               "no hardware unique key that exists leads to it",
	"hsm.errSecretDecoded":              "of decoding a configuration",
	"issuance.errNames":                 "of the ceremony, which makes the CA",
	"issuance.errOtherThanTwin":         "of the ceremony",
	"issuance.errRequestKey":            "of the ceremony",
	"issuance.errRequestName":           "of the ceremony",
	"registry.errAgain":                 "stays inside the writer, which then does the calls once more",
	"registry.ErrNoStart":               "of comparing the configuration with that of the newest start",
	"registry.ErrNotDurable":            "wraps station.ErrRegistry",
	"registry.ErrUnknownOutcome":        "wraps station.ErrRegistry",
	"registry.ErrUnread":                "wraps station.ErrRegistry",
	"verifier.errLine":                  "of reading the list of known certificates",
	"verifier.errSecondNetworkListener": "of starting the verifier",
	"verifier.errUnknownAuthority":      "an answer that the self-test wants to see",
	"verifier.errExpired":               "an answer that the self-test wants to see",
}

// The test reads the sources to find every sentinel. A list that New fills would be package
// state, and would hold only the sentinels of the packages that the test imports.
func TestEachSentinelHasARowAndEachRowASentinel(t *testing.T) {
	module := os.DirFS("../..")
	found := read(t, module, folders(t, module)...)
	if len(found.made) < 150 {
		t.Fatalf("only %d words of sentinels found", len(found.made))
	}
	for _, complaint := range complaints(reason.Rows(), found) {
		t.Error(complaint)
	}
}

func TestErrorsThatReachARunAreMadeByReason(t *testing.T) {
	plain := read(t, os.DirFS("../.."), "devices", "hsm", "station", "station/issuance", "station/registry", "station/verifier").plain
	for _, name := range plain {
		if withoutReason[name] == "" {
			t.Errorf("%s: make it with reason.New, or say in withoutReason why no Run ends with it", name)
		}
	}
	for name := range withoutReason {
		if !slices.Contains(plain, name) {
			t.Errorf("withoutReason names %s, which is not there", name)
		}
	}
}

func TestComplaintsAboutSources(t *testing.T) {
	found := read(t, fstest.MapFS{
		"part/part.go": {Data: []byte(`package part
			import ("errors"; "fmt"; r "hallmark/station/reason")
			var ErrClone, ErrLost = r.New("clone", "text").Below("sealed"), r.New("lost", "text")
			var errPlain, errWrapped, count = errors.New("plain"), fmt.Errorf("%w: wrapped", ErrClone), len("x")
			func f(word string) error { return r.New(word, "text") }`)},
		"part/other.go":       {Data: []byte("package part\nvar other = reason.New(\"orphan\", \"of another package of that name\")")},
		"part/part_test.go":   {Data: []byte("package part\nimport \"hallmark/station/reason\"\nvar test = reason.New(\"orphan\", \"text\")")},
		"station/reason/a.go": {Data: []byte("package reason\nvar unnamed = New(\"fault\", \"text\")")},
	}, "part", "station/reason")
	if want := []string{"part.errPlain", "part.errWrapped"}; !slices.Equal(found.plain, want) {
		t.Errorf("plain errors %v, want %v", found.plain, want)
	}
	got := complaints([]reason.Row{{Word: "clone"}, {Word: "orphan"}, {Word: "fault"}}, found)
	want := []string{
		"part/part.go:5: a sentinel needs its word as a literal",
		`part/part.go:3: the table has no row "lost"`,
		`no sentinel has the row "orphan"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// sources are the results of reading the sources of some packages.
type sources struct {
	made  map[string]string // word of a sentinel → place of a reason.New with this word; the word is "" if it is no literal
	plain []string          // package-level errors made by errors.New or fmt.Errorf
}

// complaints compares the table with the sentinels.
func complaints(rows []reason.Row, found sources) (all []string) {
	words := map[string]bool{}
	for _, row := range rows {
		words[row.Word] = true
	}
	for _, word := range slices.Sorted(maps.Keys(found.made)) {
		switch {
		case word == "":
			all = append(all, found.made[word]+": a sentinel needs its word as a literal")
		case !words[word]:
			all = append(all, fmt.Sprintf("%s: the table has no row %q", found.made[word], word))
		}
	}
	for _, row := range rows {
		if found.made[row.Word] == "" {
			all = append(all, fmt.Sprintf("no sentinel has the row %q", row.Word))
		}
	}
	return all
}

// folders returns all folders that may hold Go sources of the product.
func folders(t *testing.T, module fs.FS) (all []string) {
	t.Helper()
	err := fs.WalkDir(module, ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil || !entry.IsDir():
			return err
		case name != "." && strings.HasPrefix(base, "."), base == "testdata", base == "firmware":
			return fs.SkipDir
		}
		all = append(all, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func read(t *testing.T, module fs.FS, folders ...string) sources {
	t.Helper()
	found := sources{made: map[string]string{}}
	for _, folder := range folders {
		names, err := fs.Glob(module, path.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !strings.HasSuffix(name, "_test.go") {
				found.add(t, module, name)
			}
		}
	}
	return found
}

func (s *sources) add(t *testing.T, module fs.FS, name string) {
	t.Helper()
	text, err := fs.ReadFile(module, name)
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	maker := makerIn(file)
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && maker != "" && called(call) == maker {
			at := files.Position(call.Pos())
			s.made[literal(call.Args)] = fmt.Sprintf("%s:%d", at.Filename, at.Line)
		}
		return true
	})
	for _, declaration := range file.Decls {
		if general, ok := declaration.(*ast.GenDecl); ok && general.Tok == token.VAR {
			s.addPlain(file.Name.Name, general.Specs)
		}
	}
}

func (s *sources) addPlain(folder string, specs []ast.Spec) {
	for _, spec := range specs {
		spec := spec.(*ast.ValueSpec)
		for i, value := range spec.Values {
			if call, ok := value.(*ast.CallExpr); ok && slices.Contains([]string{"errors.New", "fmt.Errorf"}, called(call)) {
				s.plain = append(s.plain, folder+"."+spec.Names[i].Name)
			}
		}
	}
}

// makerIn returns the name by which a file calls reason.New, or "" if the file cannot call it.
func makerIn(file *ast.File) string {
	if file.Name.Name == "reason" {
		return "New"
	}
	for _, spec := range file.Imports {
		switch {
		case spec.Path.Value != `"hallmark/station/reason"`:
		case spec.Name != nil:
			return spec.Name.Name + ".New"
		default:
			return "reason.New"
		}
	}
	return ""
}

// called returns the name of the called function, with its package.
func called(call *ast.CallExpr) string {
	switch function := call.Fun.(type) {
	case *ast.Ident:
		return function.Name
	case *ast.SelectorExpr:
		if of, ok := function.X.(*ast.Ident); ok {
			return of.Name + "." + function.Sel.Name
		}
	}
	return ""
}

// literal returns the first argument, or "" if the argument is no string literal.
func literal(args []ast.Expr) string {
	if first, ok := args[0].(*ast.BasicLit); ok && first.Kind == token.STRING {
		if word, err := strconv.Unquote(first.Value); err == nil {
			return word
		}
	}
	return ""
}
