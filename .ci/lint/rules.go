package main

import (
	"slices"
	"strings"
)

// A kind is the kind of a declaration.
type kind string

const (
	aPackage  kind = "package"
	aFile     kind = "file"
	aType     kind = "type"
	aFunction kind = "function"
	aMethod   kind = "method"
	aField    kind = "field" // only exported fields, constants and variables
	aConstant kind = "constant"
	aVariable kind = "variable"
)

// A rule refuses words as names, and has the standard term instead.
type rule struct {
	words []string // in lower case; "same story" is sameStory
	write string   // what to write instead
	part  bool     // refused as any part of a CamelCase name, with its usual endings; otherwise only as the whole name
	kinds []kind   // empty: all kinds
	in    []string // folders; "hsm/" is hsm and all below. Empty: all folders
	notIn []string
}

// rules lists the private words that earlier versions used as names, with the standard terms. A word is refused as a part
// of a name if the project does not need the word. A word that is also a normal word here is refused only as a whole name,
// and only in the folders where it was private.
var rules = []rule{
	{words: []string{"desk"}, write: "operator services", part: true},
	{words: []string{"keeper"}, write: "Supervisor", part: true},
	{words: []string{"sitting"}, write: "session", part: true},
	{words: []string{"fleet"}, write: "board sources", part: true},
	{words: []string{"patient", "examination"}, write: "health check", part: true},
	{words: []string{"office"}, write: "admin", part: true},
	{words: []string{"glance"}, write: "queries", part: true},
	{words: []string{"ledger"}, write: "issuance store", part: true},
	{words: []string{"vouch"}, write: "TLS-key attestation", part: true},
	{words: []string{"hush"}, write: "terminal guard", part: true},
	{words: []string{"blame"}, write: "with component", part: true},
	{words: []string{"same story"}, write: "cross-check", part: true},
	{words: []string{"welcome"}, write: "serve", part: true},
	{words: []string{"knock"}, write: "probe", part: true},
	{words: []string{"scene"}, write: "self-test set-up", part: true},
	{words: []string{"visit"}, write: "network session", part: true, in: []string{"station", "station/verifier", "station/operate"}},

	{words: []string{"bench"}, write: "instance, pool, dashboard, suite environment or benchmark", kinds: []kind{aPackage, aFile, aType}, notIn: []string{"ui/catalogue/"}},
	{words: []string{"line"}, write: "steps, Controller or transport", kinds: []kind{aPackage, aType}},
	{words: []string{"look"}, write: "tick"},
	{words: []string{"place"}, write: "bay"},
	{words: []string{"model"}, write: "board source", kinds: []kind{aPackage, aFile, aType, aFunction, aMethod}, notIn: []string{"ui/"}},
	{words: []string{"words"}, write: "text"},
	{words: []string{"story", "tell"}, write: "replay"},
	{words: []string{"door"}, write: "network session"},
	{words: []string{"cast"}, write: "self-test run"},
	{words: []string{"needs"}, write: "interfaces"},
	{words: []string{"legal"}, write: "invariants"},
	{words: []string{"typed"}, write: "key input"},
	{words: []string{"another"}, write: "recheck board"},
	{words: []string{"flight", "fly", "land"}, write: "reconnect", in: []string{"hsm/"}},
	{words: []string{"board"}, write: "reconnect", kinds: []kind{aFunction, aMethod}, in: []string{"hsm/"}},
	{words: []string{"site"}, write: "token info", in: []string{"hsm/"}},
	{words: []string{"view"}, write: "session", in: []string{"hsm/"}},
	{words: []string{"anchored", "anchors"}, write: "checkpoint; anchored is what lies outside", in: []string{"station/registry/", "station/operate/"}},
}

// refuses returns the refused word in the name, or "".
func (r *rule) refuses(n name) string {
	if len(r.kinds) > 0 && !slices.Contains(r.kinds, n.kind) || len(r.in) > 0 && !within(r.in, n.folder()) || within(r.notIn, n.folder()) {
		return ""
	}
	parts := n.parts()
	for _, word := range r.words {
		if r.part && holds(parts, strings.Fields(word)) || !r.part && strings.Join(parts, "") == word {
			return word
		}
	}
	return ""
}

// within reports whether the folder is one of folders, or below a folder that ends with a slash.
func within(folders []string, folder string) bool {
	return slices.ContainsFunc(folders, func(f string) bool {
		below, all := strings.CutSuffix(f, "/")
		return folder == below || all && strings.HasPrefix(folder, f)
	})
}

// holds reports whether parts contains the words in sequence. The last word may have an ending.
func holds(parts, words []string) bool {
	last := len(words) - 1
	for i := range len(parts) - last {
		if slices.Equal(parts[i:i+last], words[:last]) && isForm(parts[i+last], words[last]) {
			return true
		}
	}
	return false
}

func isForm(part, word string) bool {
	ending, ok := strings.CutPrefix(part, word)
	return ok && slices.Contains([]string{"", "s", "es", "d", "ed", "ing"}, ending)
}
