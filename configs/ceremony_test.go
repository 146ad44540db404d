package configs

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestACeremonyThatCannotBeHeldIsRefused(t *testing.T) {
	const base = "hsm: {module: /m.so, token_label: t}\nkey: {label: k}\nout: o\nwitnesses: [Anna, Ben]\n"
	const root = "ceremony: root\nsubject: {common_name: R}\nnot_after: 2046-12-31\npath_length: 1\n" + base
	const ocsp = "ceremony: ocsp\nissuer: i\nissuer_label: ca\nsubject: {common_name: O}\nnot_after: 2027-05-31\n" + base
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct{ name, kind, text, want string }{
		{"a root", "root", root, ""},
		{"a root whose name is not ASCII", "root", strings.Replace(root, "common_name: R", "common_name: Müller & 株式会社", 1), ""},
		{"a root on a token whose URI names a key", "root", strings.Replace(root, "token_label: ", `token_uri: "pkcs11:token=x;object=y", token_label: `, 1), "leave object and id out"},
		{"a root whose name has a line feed", "root", strings.Replace(root, "common_name: R", `common_name: "R\nS"`, 1), "subject.common_name"},
		{"a root without end", "root", strings.Replace(root, "2046-12-31", "never", 1), ""},
		{"an unknown key", "root", root + "years: 3\n", `unknown key "years"`},
		{"a typo of a key that is there, too", "root", root + "path_lenght: 2\n", `c.yaml:9: unknown key "path_lenght"; it looks like "path_length", which is there in line 4: delete one of the two lines`},
		{"a typo and a value that is not possible", "root", strings.Replace(root, "2046-12-31", "2026-11-28", 1) + "kee: 2\n", "c.yaml:3: not_after"},
		{"another kind than the command names", "csr", root, `ceremony: value not possible: "root", want csr`},
		{"a day that has passed", "root", strings.Replace(root, "2046-12-31", "2026-11-28", 1), "want a day in the future"},
		{"today", "root", strings.Replace(root, "2046-12-31", "2026-11-29", 1), "want a day in the future; correct the day, or the clock of this machine, where today is 2026-11-29"},
		{"tomorrow", "root", strings.Replace(root, "2046-12-31", "2026-11-30", 1), ""},
		{"no day", "root", strings.Replace(root, "2046-12-31", "31.12.2046", 1), "want a day such as 2046-12-31"},
		{"no end is given", "root", strings.Replace(root, "not_after: 2046-12-31\n", "", 1), "not_after: value not possible: nothing"},
		{"a path length that forbids the issuing CA", "root", strings.Replace(root, "path_length: 1", "path_length: 0", 1), "want 1 to 9"},
		{"a path length of an issuing CA", "issuing", "ceremony: issuing\nissuer: r\nrequest: q\nnot_after: never\npath_length: 2\n" + base, "path_length"},
		{"a path length for a ceremony that decides it", "issuing", "ceremony: issuing\nissuer: r\nrequest: q\nnot_after: never\npath_length: 0\n" + base, "path_length: value not possible: 0, want nothing"},
		{"a root without a path length", "root", strings.Replace(root, "path_length: 1\n", "", 1), "path_length: value not possible: nothing, want 1 to 9"},
		{"a cross certificate without a path length", "cross", "ceremony: cross\nissuer: r\ncertificate: q\nnot_after: never\n" + base, "path_length: value not possible: nothing, want 0 to 9"},
		{"a cross certificate for an issuing CA", "cross", "ceremony: cross\nissuer: r\ncertificate: q\nnot_after: never\npath_length: 0\n" + base, ""},
		{"a path length that is too long", "cross", "ceremony: cross\nissuer: r\ncertificate: q\nnot_after: never\npath_length: 10\n" + base, "want 0 to 9"},
		{"an OCSP responder", "ocsp", ocsp, ""},
		{"an OCSP responder for ever", "ocsp", strings.Replace(ocsp, "2027-05-31", "never", 1), "not_after: value not possible: never, want a day until 2027-11-29"},
		{"an OCSP responder for years", "ocsp", strings.Replace(ocsp, "2027-05-31", "2027-12-01", 1), "want a day until 2027-11-29"},
		{"an OCSP responder without the key of its issuer", "ocsp", strings.Replace(ocsp, "issuer_label: ca\n", "", 1), "issuer_label: value not possible: nothing"},
		{"an OCSP responder with the key of its issuer", "ocsp", strings.Replace(ocsp, "issuer_label: ca", "issuer_label: k", 1), "key.label: value not possible: the label of the issuer's key, want a label of its own"},
		{"the label of an issuer that cannot be read", "ocsp", strings.Replace(ocsp, "issuer_label: ca", `issuer_label: "c\ea"`, 1), "issuer_label: value not possible"},
		{"the label of an issuer for a root", "root", root + "issuer_label: ca\n", "issuer_label: value not possible: a value, want nothing"},
		{"a weak curve", "root", strings.Replace(root, "{label: k}", "{label: k, curve: P-192}", 1), "key.curve"},
		{"one witness", "root", strings.Replace(root, "[Anna, Ben]", "[Anna]", 1), "want the names of two persons"},
		{"the same witness twice", "root", strings.Replace(root, "[Anna, Ben]", "[Anna, anna]", 1), "the same name twice"},
		{"a witness with a line feed", "root", strings.Replace(root, "[Anna, Ben]", `[Anna, "B\nen"]`, 1), "two different names"},
		{"a witness who rewrites the screen", "root", strings.Replace(root, "[Anna, Ben]", `[Anna, "B\e[2Jen"]`, 1), `"B\x1b[2Jen", want two different names of visible`},
		{"a witness with a letter without a shape", "root", strings.Replace(root, "[Anna, Ben]", `[Anna, "An\u200bna"]`, 1), "want two different names of visible"},
		{"witnesses whose names are not ASCII", "root", strings.Replace(root, "[Anna, Ben]", "[Zoë Müller, 山田太郎]", 1), ""},
		{"a directory that rewrites the screen", "root", strings.Replace(root, "out: o", `out: "o\n 9. sign nothing"`, 1), "out: value not possible"},
		{"a module that rewrites the screen", "root", strings.Replace(root, "/m.so", `"/m.so\e[2J"`, 1), "hsm.module: value not possible"},
		{"a key that the ceremony would ignore", "csr", "ceremony: csr\nsubject: {common_name: C}\nchain: c\n" + base, "chain: value not possible: a value, want nothing"},
		{"a key that the ceremony needs", "import", "ceremony: import\n" + base, "chain: value not possible: nothing"},
		{"a token that does not exist yet", "audit-key", "ceremony: audit-key\n" + strings.Replace(base, "/m.so", "softhsm2, create_token: true, allow_software_token: true, pin_source: 'file:p'", 1), "hsm.create_token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseCeremony("c.yaml", []byte(test.text), test.kind, now)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// People copy the files out of the documentation.
func TestEachFileInTheDocumentationIsACeremony(t *testing.T) {
	text, err := os.ReadFile("../docs/ceremony.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		file, _, _ := strings.Cut(block, "```")
		kind, _, _ := strings.Cut(strings.TrimPrefix(file, "ceremony: "), "\n")
		seen[kind] = true
		if _, err := ParseCeremony("docs/ceremony.md", []byte(file), kind, time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, kind := range CeremonyKinds() {
		if !seen[kind] {
			t.Errorf("the documentation has no file for %s", kind)
		}
	}
}

func TestTheExampleOfACeremonyIsOne(t *testing.T) {
	text, err := os.ReadFile("ceremony.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseCeremony("ceremony.example.yaml", text, CeremonyCSR, time.Now()); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"ceremony", "hsm", "key", "label", "curve", "subject", "common_name", "organization", "not_after", "path_length", "issuer", "issuer_label", "request", "certificate", "chain", "out", "witnesses"} {
		if !strings.Contains(string(text), key+":") {
			t.Errorf("the example does not explain %s", key)
		}
	}
}

// One person is not two, however the name is written.
func TestTwoFormsOfOneNameAreNotTwoWitnesses(t *testing.T) {
	for other, good := range map[string]bool{
		"Ben Beispiel": true, "Jörg Müller": true, "Анна Петрова": true, "株式 太郎": true,
		"anna müller": false, "Anna  Müller": false, "Anna Mu\u0308ller": false, "\u0410nna Müller": false, "Anna\u00a0Müller": false, "Anna\u3164Müller": false,
	} {
		_, err := ParseCeremony("x.yaml", []byte("ceremony: audit-key\nhsm: {module: /m.so, token_label: t}\nkey: {label: k}\nout: o\nwitnesses: [\"Anna Müller\", \""+other+"\"]\n"), CeremonyAuditKey, time.Now())
		if good != (err == nil) {
			t.Errorf("%+q: got %v", other, err)
		}
	}
}

// A character without a shape in the name of a CA would be signed for years.
func TestANameOfACAIsSeen(t *testing.T) {
	for text, good := range map[string]bool{"ACME, Inc.": true, "株式会社": true, "ACME\u115f": false, "\u3164": false} {
		err := subject("authority.name", text, 64)
		if good != (err == nil) {
			t.Errorf("%+q: got %v", text, err)
		}
	}
}
