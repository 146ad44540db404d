package configs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hallmark/hsm"
)

func TestAURINamesTheToken(t *testing.T) {
	config, err := Parse("x.yaml", []byte(`hsm: {token_uri: "pkcs11:token=M%C3%BCller;serial=07550054?module-path=/usr/lib/hsm.so&pin-source=file:/etc/pin", token_slot: "3", exceptions: [restored-keys]}
authority: {issuing_uri: "pkcs11:object=ca;id=%01%02"}
`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := config.Token("/d", func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	if token.TokenLabel != "Müller" || token.TokenSerial != "07550054" || token.Module != "/usr/lib/hsm.so" || token.Slot == nil || *token.Slot != 3 ||
		token.Exceptions.String() != "restored-keys" || config.PINSource("/d") != "file:/etc/pin" {
		t.Errorf("got %+v with PIN from %s", token, config.PINSource("/d"))
	}
	if ref := config.Authority.IssuingRef(); ref.Label != "ca" || string(ref.ID) != "\x01\x02" {
		t.Errorf("issuing key %v", ref)
	}
	if ref := config.Authority.AuditRef(); ref.String() != (hsm.KeyRef{Label: "hallmark-audit"}).String() {
		t.Errorf("audit key %v", ref)
	}
}

func TestKeysOfTheHSMThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"a URI that is none":              {`hsm: {module: /m, token_uri: "token=x"}`, "hsm.token_uri"},
		"a URI without a token":           {`hsm: {module: /m, token_uri: "pkcs11:model=x"}`, "hsm.token_uri"},
		"a URI of a key":                  {`hsm: {module: /m, token_uri: "pkcs11:token=x;object=y"}`, "authority.issuing_uri"},
		"a URI and a serial":              {`hsm: {module: /m, token_serial: "1", token_uri: "pkcs11:token=x"}`, "hsm.token_serial"},
		"a slot that is no number":        {`hsm: {module: /m, token_slot: first}`, "hsm.token_slot"},
		"an exception that nobody knows":  {`hsm: {module: /m, exceptions: [all]}`, "hsm.exceptions[0]"},
		"a key's URI with a token":        {"hsm: {module: /m}\nauthority: {audit_uri: \"pkcs11:token=x;object=y\"}", "authority.audit_uri"},
		"a key's URI that names nothing":  {"hsm: {module: /m}\nauthority: {audit_uri: \"pkcs11:\"}", "authority.audit_uri"},
		"a pause without an end":          {`hsm: {module: /m, keep_alive: 2h}`, "hsm.keep_alive"},
		"an id without octets":            {`hsm: {module: /m, key_id_octets: 0}`, "hsm.key_id_octets"},
		"a module of a URI by its name":   {`hsm: {token_uri: "pkcs11:token=x?module-path=x.so"}`, "hsm.module"},
		"a template of another name":      {`hsm: {module: /m, key_template: none}`, "hsm.key_template"},
		"a token to be made behind a URI": {`hsm: {module: softhsm2, allow_software_token: true, create_token: true, pin_source: file:p, token_uri: "pkcs11:token=x"}`, "hsm.create_token"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse("x.yaml", []byte(test.text+"\n")); !errors.Is(err, ErrValue) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The default label beside a serial or a slot would hide each token with another label.
func TestASerialOrASlotAloneNamesAToken(t *testing.T) {
	for _, test := range []struct{ keys, label string }{
		{"", "hallmark"},
		{"token_serial: 07550054", ""},
		{"token_slot: 3", ""},
		{"token_serial: 07550054, token_label: hallmark", "hallmark"},
		{"token_slot: 3, token_label: line", "line"},
		{"token_label: line", "line"},
	} {
		station, err := Parse("x.yaml", []byte("hsm: {module: /m.so, "+test.keys+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		ceremony, err := ParseCeremony("x.yaml", []byte("ceremony: audit-key\nhsm: {module: /m.so, "+test.keys+"}\nkey: {label: k}\nout: o\nwitnesses: [Anna, Ben]\n"), CeremonyAuditKey, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, config := range []*Config{station, ceremony.Station()} {
			token, err := config.Token(".", func(string) bool { return true })
			if err != nil || token.TokenLabel != test.label {
				t.Errorf("%q: the label is %q, want %q; %v", test.keys, token.TokenLabel, test.label, err)
			}
		}
	}
}

// A PIN that stands in the wrong place must not get into a log.
func TestNoErrorRepeatsAPINThatIsWrittenAsModule(t *testing.T) {
	_, err := Parse("x.yaml", []byte("hsm: {module: \"4711\", token_label: t}\n"))
	if !errors.Is(err, ErrValue) || strings.Contains(err.Error(), "4711") {
		t.Errorf("got %v", err)
	}
}
