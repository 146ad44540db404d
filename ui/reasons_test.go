package ui

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hallmark/station"
	"hallmark/ui/catalogue"
)

// Each reason the engine, the boards' client, the issuer and the registry know has words in each language, and
// a row for what the operator does next.
func TestEachReasonHasWordsAndANextAction(t *testing.T) {
	reasons := knownReasons(t)
	if len(reasons) < 100 {
		t.Fatalf("found only %d reasons", len(reasons))
	}
	for _, reason := range reasons {
		if nextFor(reason) == "" {
			t.Errorf("no next action for reason %q: give it a row in nextRows", reason)
		}
		for _, language := range catalogue.Languages() {
			if texts := load(t, language); !texts.Has("reason." + reason) {
				t.Errorf("%s: no text for reason %q", language, reason)
			}
		}
	}
	for _, row := range nextRows() {
		for _, reason := range row.reasons {
			if !slices.Contains(reasons, reason) {
				t.Errorf("%s has a row for %q, which no Run ends with", row.key, reason)
			}
		}
	}
}

// A bad board is never tried again by habit, and what is no board's fault sets none aside.
func TestTheNextActionFitsTheEnding(t *testing.T) {
	again := []string{"next.again", "next.reseat", "next.insert", "next.shift"}
	for word, ending := range verdictsOf(t) {
		key := nextKey(ending, word)
		if ending == station.Reject && slices.Contains(again, key) || ending == station.Fault && (key == "next.reject" || key == "next.scrapped") {
			t.Errorf("a Run that ends as %s because of %q says %q", ending, word, key)
		}
	}
	for ending, want := range map[station.Ending]string{station.Pass: "next.pass", station.Reject: "next.reject", station.Fault: "next.reseat", station.Aborted: "next.again"} {
		if got := nextKey(ending, "a-reason-of-next-year"); got != want {
			t.Errorf("an unknown reason of a %s: %s, want %s", ending, got, want)
		}
	}
}

func TestReasonsAndNextActionsFitTheSmallestTile(t *testing.T) {
	for _, language := range catalogue.Languages() {
		texts := load(t, language)
		for _, key := range texts.Keys() {
			text := texts.Text(key, "32")
			if strings.HasPrefix(key, "reason.") && len(wrap(text, tileWidth-2, 0, "")) > 3 {
				t.Errorf("%s: %s needs more than three lines of %d: %q", language, key, tileWidth-2, text)
			}
			if strings.HasPrefix(key, "next.") && len(wrap("> "+text, tileWidth-2, 0, "")) > 2 {
				t.Errorf("%s: %s needs more than two lines of %d: %q", language, key, tileWidth-2, text)
			}
		}
	}
}

func load(t testing.TB, language string) *catalogue.Catalogue {
	t.Helper()
	texts, err := catalogue.Load(language)
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// knownReasons reads the sources, sorted. "interrupted" is what recovery writes.
func knownReasons(t *testing.T) []string {
	t.Helper()
	words := map[string]bool{"interrupted": true}
	for _, pattern := range []string{"station/verdicts.go", "station/endings.go", "devices/*.go", "station/issuance/errors.go"} {
		eachCall(t, pattern, func(name string, args []ast.Expr) {
			if word := firstWord(args); word != "" && slices.Contains([]string{"Reason", "Refusal", "Verdict", "rejects", "faults"}, name) {
				words[word] = true
			}
		})
	}
	return slices.Sorted(maps.Keys(words))
}

// verdictsOf gives the ending of each reason in the engine's table.
func verdictsOf(t *testing.T) map[string]station.Ending {
	t.Helper()
	sentinels := map[string]string{}
	for folder, pattern := range map[string]string{"devices": "devices/*.go", "issuance": "station/issuance/errors.go"} {
		eachNode(t, pattern, func(n ast.Node) {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
				if pointer, ok := spec.Values[0].(*ast.UnaryExpr); ok {
					_, args := named(pointer.X)
					sentinels[folder+"."+spec.Names[0].Name] = firstWord(args)
				}
			}
		})
	}
	endings := map[string]station.Ending{}
	eachCall(t, "station/verdicts.go", func(name string, args []ast.Expr) {
		ending := map[string]station.Ending{"rejects": station.Reject, "faults": station.Fault}[name]
		if ending == "" || len(args) != 1 {
			return
		}
		word := firstWord(args)
		if field, ok := args[0].(*ast.SelectorExpr); ok {
			word = sentinels[types.ExprString(field.X)]
		}
		if word == "" {
			t.Errorf("no word for %s", types.ExprString(args[0]))
		}
		endings[word] = ending
	})
	if len(endings) < 100 {
		t.Fatalf("found only %d verdicts", len(endings))
	}
	return endings
}

// eachCall visits the calls and the composite literals of the sources that fit a pattern.
func eachCall(t *testing.T, pattern string, do func(name string, args []ast.Expr)) {
	t.Helper()
	eachNode(t, pattern, func(n ast.Node) {
		if name, args := named(n); name != "" {
			do(name, args)
		}
	})
}

func eachNode(t *testing.T, pattern string, do func(ast.Node)) {
	t.Helper()
	root := os.DirFS("..")
	paths, err := fs.Glob(root, pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files for %s: %v", pattern, err)
	}
	for _, path := range paths {
		raw, err := fs.ReadFile(root, path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, raw, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, "_test.go") {
			ast.Inspect(file, func(n ast.Node) bool { do(n); return true })
		}
	}
}

func named(n ast.Node) (string, []ast.Expr) {
	switch n := n.(type) {
	case *ast.CompositeLit:
		if name, ok := n.Type.(*ast.Ident); ok {
			return name.Name, n.Elts
		}
	case *ast.CallExpr:
		if name, ok := n.Fun.(*ast.Ident); ok {
			return name.Name, n.Args
		}
	}
	return "", nil
}

var oneReason = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// firstWord is the reason among the first two arguments, "" when there is none.
func firstWord(args []ast.Expr) string {
	for _, arg := range args[:min(2, len(args))] {
		if pair, ok := arg.(*ast.KeyValueExpr); ok {
			arg = pair.Value
		}
		literal, ok := arg.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			continue
		}
		if word, err := strconv.Unquote(literal.Value); err == nil && oneReason.MatchString(word) {
			return word
		}
		return ""
	}
	return ""
}
