package main

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestPrivateWordsAreRefused(t *testing.T) {
	for _, test := range []struct {
		name, file, text string
		want             string // the lines of the report, empty: nothing is refused
	}{
		{"a type", "a/b.go", "package a\n\ntype Desk struct{}", `a/b.go:3: type Desk: "desk" is a private word, write: operator services`},
		{"a part of a type's name", "a/b.go", "package a\ntype badgeDesk struct{}", `a/b.go:2: type badgeDesk: "desk" is a private word, write: operator services`},
		{"a type inside a function", "a/b.go", "package a\nfunc f() { type scene int }", `a/b.go:2: type scene: "scene" is a private word, write: self-test set-up`},
		{"a function, with an ending", "a/b.go", "package a\nfunc vouches() {}", `a/b.go:2: function vouches: "vouch" is a private word, write: TLS-key attestation`},
		{"two words", "a/b.go", "package a\nfunc (x T) sameStory() {}", `a/b.go:2: method sameStory: "same story" is a private word, write: cross-check`},
		{"a test", "a/b_test.go", "package a\nfunc TestTheLedgerIsFull() {}", `a/b_test.go:2: function TestTheLedgerIsFull: "ledger" is a private word, write: issuance store`},
		{"a method of an interface", "a/b.go", "package a\ntype T interface {\n\tknock()\n}", `a/b.go:3: method knock: "knock" is a private word, write: probe`},
		{"an exported field", "a/b.go", "package a\ntype T struct{ Office int }", `a/b.go:2: field Office: "office" is a private word, write: admin`},
		{"an exported variable", "a/b.go", "package a\nvar ErrNoOffice error", `a/b.go:2: variable ErrNoOffice: "office" is a private word, write: admin`},
		{"an exported constant", "a/b.go", "package a\nconst Office = 1", `a/b.go:2: constant Office: "office" is a private word, write: admin`},
		{"a file", "a/tui_desk_test.go", "package a", `a/tui_desk_test.go:1: file tui_desk: "desk" is a private word, write: operator services`},
		{"a package", "a/b.go", "// Package hush hushes.\npackage hush", `a/b.go:2: package hush: "hush" is a private word, write: terminal guard`},
		{"the folder of a command", "fixtures/bench/main.go", "package main", `fixtures/bench/main.go:1: package bench: "bench" is a private word, write: instance, pool, dashboard, suite environment or benchmark`},
		{"a word in its own folder", "hsm/a.go", "package hsm\ntype flight int", `hsm/a.go:2: type flight: "flight" is a private word, write: reconnect`},
		{"a word below its folder", "hsm/softtoken/a.go", "package softtoken\ntype site int", `hsm/softtoken/a.go:2: type site: "site" is a private word, write: token info`},
		{"anchored, where checkpoints are", "station/registry/a.go", "package registry\nfunc Anchored() {}", `station/registry/a.go:2: function Anchored: "anchored" is a private word, write: checkpoint; anchored is what lies outside`},
		{"visits of the verifier", "station/verifier/a.go", "package verifier\nfunc serveVisits() {}", `station/verifier/a.go:2: function serveVisits: "visit" is a private word, write: network session`},
		{"a type called line", "a/b.go", "package a\ntype Line int", `a/b.go:2: type Line: "line" is a private word, write: steps, Controller or transport`},

		{"a field that is not exported", "a/b.go", "package a\ntype T struct{ office int }", ""},
		{"a variable that is not exported", "a/b.go", "package a\nvar office int\nconst desk = 1", ""},
		{"a parameter, a local variable", "a/b.go", "package a\nfunc f(desk int) { office := desk; _ = office }", ""},
		{"a comment and a text", "a/b.go", "package a\n// A ledger.\nvar x = \"desk\"", ""},
		{"another word that begins so", "a/b.go", "package a\ntype Officer int\nfunc deskewed() {}", ""},
		{"an ambiguous word as a part", "a/b.go", "package a\ntype EntryLine int\nfunc lookUp() {}\nfunc TestThatWordsStay() {}", ""},
		{"line as a function", "a/b.go", "package a\nfunc line() {}", ""},
		{"a word outside its folders", "ui/a.go", "package ui\nfunc view() {}\ntype visit int\nfunc anchored() {}", ""},
		{"visit below a folder that stands alone", "station/registry/a.go", "package registry\nfunc visit() {}", ""},
		{"bubbletea's Model", "ui/a.go", "package ui\ntype Model int", ""},
		{"a benchmark", "fixtures/benchmark/a.go", "package main\nfunc BenchmarkX() {}", ""},
		{"a catalogue's bench", "ui/catalogue/a.go", "package catalogue\ntype Bench int", ""},
		{"test data", "a/testdata/b.go", "package desk", ""},
		{"a build folder", "build/b.go", "package desk", ""},
		{"a file of another language", "a/desk.c", "int desk;", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, said := lint(t, fstest.MapFS{test.file: {Data: []byte(test.text)}}, false)
			if said != test.want || (code != 0) != (test.want != "") {
				t.Errorf("exit code %d and\n%s\nwant\n%s", code, said, test.want)
			}
		})
	}
}

func TestAPackageIsNamedOnce(t *testing.T) {
	_, said := lint(t, fstest.MapFS{"a/a.go": {Data: []byte("package hush")}, "a/b.go": {Data: []byte("package hush")}, "a/b_test.go": {Data: []byte("package hush_test")}}, false)
	if n := strings.Count(said, "package hush"); n != 1 {
		t.Errorf("said %d times:\n%s", n, said)
	}
}

func TestExceptionsAreLetThroughAndOnlyShrink(t *testing.T) {
	tree := fstest.MapFS{
		"a/b.go":       {Data: []byte("package a\ntype desk int\ntype office int")},
		exceptionsFile: {Data: []byte("a/b.go: type desk\na/gone.go: type office\n")},
	}
	code, said := lint(t, tree, false)
	want := `a/b.go:3: type office: "office" is a private word, write: admin
.ci/lint/exceptions.txt: not needed any more: a/gone.go: type office`
	if code != 1 || said != want {
		t.Errorf("exit code %d and\n%s\nwant\n%s", code, said, want)
	}
	if code, said = lint(t, tree, true); code != 0 || said != "a/b.go: type desk\na/b.go: type office" {
		t.Errorf("the list is, with exit code %d:\n%s", code, said)
	}
	tree[exceptionsFile] = &fstest.MapFile{Data: []byte(said + "\n")}
	if code, said = lint(t, tree, false); code != 0 || said != "" {
		t.Errorf("with the whole list: exit code %d and\n%s", code, said)
	}
}

func TestAFileThatIsNoGoIsNamed(t *testing.T) {
	code, err := run(fstest.MapFS{"a/b.go": {Data: []byte("packet a")}}, false, new(strings.Builder))
	if code == 0 || err == nil || !strings.HasPrefix(err.Error(), "reading a/b.go: ") {
		t.Errorf("exit code %d, %v", code, err)
	}
}

func TestNamesAreSplitIntoWords(t *testing.T) {
	for text, want := range map[string][]string{
		"desk": {"desk"}, "Desk": {"desk"}, "sameStory": {"same", "story"}, "same_story": {"same", "story"}, "HSMView2": {"hsm", "view", "2"},
		"openHSM": {"open", "hsm"}, "TestAnOfficeIsShut": {"test", "an", "office", "is", "shut"}, "_": nil, "x": {"x"}, "TLSKey": {"tls", "key"}, "Straße": {"straße"},
	} {
		if got := (name{text: text}).parts(); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestEveryRuleHasAWordThatReplaces(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules {
		for _, word := range r.words {
			if r.write == "" || word != strings.ToLower(word) || seen[word] || len(strings.Fields(word)) > 1 && !r.part {
				t.Errorf("the rule for %q is crooked", word)
			}
			seen[word] = true
		}
	}
}

func lint(t *testing.T, tree fstest.MapFS, list bool) (int, string) {
	t.Helper()
	var out strings.Builder
	code, err := run(tree, list, &out)
	if err != nil {
		t.Fatal(err)
	}
	return code, strings.TrimSuffix(out.String(), "\n")
}
