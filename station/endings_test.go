package station

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEverySentinelHasARow reads the sources: a sentinel that somebody adds to
// one of these packages must be given an ending.
func TestEverySentinelHasARow(t *testing.T) {
	rows := rowNames(t)
	for prefix, dir := range map[string]string{"": ".", "issuance.": "issuance", "devices.": "../devices"} {
		for _, name := range sentinels(t, dir) {
			if !slices.Contains(rows, prefix+name) {
				t.Errorf("%s%s has no row in the table of endings", prefix, name)
			}
		}
	}
	if len(rows) != len(verdicts) {
		t.Errorf("%d names for %d rows", len(rows), len(verdicts))
	}
}

// sentinels gives the exported error variables of a package.
func sentinels(t *testing.T, dir string) (names []string) {
	t.Helper()
	eachDeclaration(t, dir, func(spec *ast.ValueSpec) {
		for _, name := range spec.Names {
			if strings.HasPrefix(name.Name, "Err") && ast.IsExported(name.Name) {
				names = append(names, name.Name)
			}
		}
	})
	return names
}

// rowNames gives the sentinels of the table as they are written there.
func rowNames(t *testing.T) (names []string) {
	t.Helper()
	eachDeclaration(t, ".", func(spec *ast.ValueSpec) {
		if spec.Names[0].Name != "verdicts" {
			return
		}
		for _, row := range spec.Values[0].(*ast.CompositeLit).Elts {
			switch name := row.(*ast.CompositeLit).Elts[0].(type) {
			case *ast.Ident:
				names = append(names, name.Name)
			case *ast.SelectorExpr:
				names = append(names, fmt.Sprint(name.X, ".", name.Sel))
			}
		}
	})
	return names
}

func eachDeclaration(t *testing.T, dir string, do func(*ast.ValueSpec)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no sources in %s: %v", dir, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			general, ok := declaration.(*ast.GenDecl)
			for _, spec := range specs(general, ok) {
				do(spec)
			}
		}
	}
}

func specs(general *ast.GenDecl, ok bool) (values []*ast.ValueSpec) {
	if !ok || general.Tok != token.VAR {
		return nil
	}
	for _, spec := range general.Specs {
		values = append(values, spec.(*ast.ValueSpec))
	}
	return values
}

func TestEachRowIsReachedByItsOwnSentinel(t *testing.T) {
	words := map[string]Verdict{}
	word := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, row := range verdicts {
		wrapped := fmt.Errorf("write: slot 2: %w", blame(ErrLine, row.err))
		if got := verdictOn(wrapped); got != row.Verdict {
			t.Errorf("%v: got %+v, want %+v", row.err, got, row.Verdict)
		}
		if !word.MatchString(row.Reason) {
			t.Errorf("%v: the reason %q is not a word or hyphenated words", row.err, row.Reason)
		}
		if row.StopBay && row.Ending != Reject {
			t.Errorf("%v stops the bay without a Reject", row.err)
		}
		if other, twice := words[row.Reason]; twice && other != row.Verdict {
			t.Errorf("the word %q means %+v and %+v", row.Reason, other, row.Verdict)
		}
		words[row.Reason] = row.Verdict
	}
}

func TestEndingsThatDependOnTheCaller(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancelExpired := context.WithTimeout(t.Context(), 0)
	defer cancelExpired()
	for _, test := range []struct {
		name   string
		ctx    context.Context
		err    error
		ending Ending
		reason string
	}{
		{"no error is a Pass", t.Context(), nil, Pass, ""},
		{"a Pass stays one when the operator stops afterwards", cancelled, nil, Pass, ""},
		{"a cut line after the operator stopped is Aborted", cancelled, blame(ErrLine, errors.New("cut")), Aborted, "operator"},
		{"what is said of the board stands when the operator stops", cancelled, ErrReadBack, Reject, "read-back-differs"},
		{"a deadline of the caller is no operator", expired, &stopped{ErrTimeout, errors.New("cut")}, Fault, "timeout"},
		{"an error that nobody knows is a Fault", t.Context(), errors.New("?"), Fault, "fault"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := endingOf(test.ctx, test.err); got.Ending != test.ending || got.Reason != test.reason {
				t.Errorf("got %+v", got)
			}
		})
	}
}
