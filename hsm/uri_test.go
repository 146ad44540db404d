package hsm_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"hallmark/hsm"
)

var acceptedURIs = []struct {
	name, text string
	want       hsm.URI
}{
	{"a token and a key", "pkcs11:token=factory-ca;id=%73%30;object=root-2026;type=private?pin-source=file:/run/pin&module-path=/usr/lib/m.so",
		hsm.URI{Token: "factory-ca", ID: []byte("s0"), Object: "root-2026", PINSource: "file:/run/pin", ModulePath: "/usr/lib/m.so"}},
	{"as p11tool prints it", "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=2bd1;token=demo;id=%01;object=a;type=private",
		hsm.URI{Model: "SoftHSM v2", Manufacturer: "SoftHSM project", Serial: "2bd1", Token: "demo", ID: []byte{1}, Object: "a"}},
	{"a module path in the path, as step writes it", "pkcs11:module-path=/usr/lib/m.so;token=a", hsm.URI{ModulePath: "/usr/lib/m.so", Token: "a"}},
	{"a plus sign is itself", "pkcs11:object=a+b", hsm.URI{Object: "a+b"}},
	{"an ampersand in the path is itself", "pkcs11:object=a&b", hsm.URI{Object: "a&b"}},
	{"an id with a zero octet", "pkcs11:id=%00%ff", hsm.URI{ID: []byte{0, 255}}},
	{"nothing at all", "pkcs11:", hsm.URI{}},
	{"an empty query", "pkcs11:token=a?", hsm.URI{Token: "a"}},
	{"UTF-8", "pkcs11:object=%c3%bc", hsm.URI{Object: "ü"}},
}

func TestURIsThatAreAccepted(t *testing.T) {
	for _, test := range acceptedURIs {
		t.Run(test.name, func(t *testing.T) {
			got, err := hsm.ParseURI(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Fatalf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

var refusedURIs = []struct {
	name, text string
	want       error
}{
	{"another scheme", "https://example.com", hsm.ErrURI},
	{"an attribute without =", "pkcs11:token", hsm.ErrURI},
	{"an attribute given twice", "pkcs11:token=a;token=b", hsm.ErrURI},
	{"a module path in both places", "pkcs11:module-path=/a?module-path=/b", hsm.ErrURI},
	{"an empty attribute", "pkcs11:token=", hsm.ErrURI},
	{"a trailing separator", "pkcs11:token=a;", hsm.ErrURI},
	{"bare hexadecimal digits as id", "pkcs11:id=7330", hsm.ErrURI},
	{"an id that is half encoded", "pkcs11:id=%73a", hsm.ErrURI},
	{"a cut-off octet", "pkcs11:object=a%4", hsm.ErrURI},
	{"an octet that is not hexadecimal", "pkcs11:object=%zz", hsm.ErrURI},
	{"a space", "pkcs11:object=a b", hsm.ErrURI},
	{"a slash in a label", "pkcs11:object=a/b", hsm.ErrURI},
	{"a control character", "pkcs11:object=a%0a", hsm.ErrURI},
	{"octets that are not UTF-8", "pkcs11:object=%ff", hsm.ErrURI},
	{"a certificate", "pkcs11:object=a;type=cert", hsm.ErrURI},
	{"a slot", "pkcs11:slot-id=1", hsm.ErrURI},
	{"an attribute of a vendor", "pkcs11:x-vendor=1", hsm.ErrURI},
	{"a path attribute in the query", "pkcs11:?token=a", hsm.ErrURI},
	{"a query attribute in the path", "pkcs11:pin-source=prompt", hsm.ErrURI},
	{"a PIN", "pkcs11:token=a?pin-value=4711", hsm.ErrURI},
	{"a PIN in the path", "pkcs11:pin-value=4711", hsm.ErrURI},
	{"a PIN as PIN source", "pkcs11:token=a?pin-source=4711", hsm.ErrPINSource},
	{"a command as PIN source", "pkcs11:token=a?pin-source=|echo%204711", hsm.ErrPINSource},
}

func TestURIsThatAreRefused(t *testing.T) {
	for _, test := range refusedURIs {
		t.Run(test.name, func(t *testing.T) {
			_, err := hsm.ParseURI(test.text)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if strings.Contains(err.Error(), "4711") {
				t.Fatalf("the error shows the PIN: %v", err)
			}
		})
	}
}

// The laws: a URI that was read is written again and reads as the same URI; a URI has
// only one written form.
func FuzzURI(f *testing.F) {
	for _, test := range acceptedURIs {
		f.Add(test.text)
	}
	for _, test := range refusedURIs {
		f.Add(test.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := hsm.ParseURI(text)
		if err != nil {
			return
		}
		second, err := hsm.ParseURI(first.String())
		if err != nil {
			t.Fatalf("%q is written as %q, which is refused: %v", text, first.String(), err)
		}
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("%q reads as %+v, written and read again as %+v", text, first, second)
		}
		if first.String() != second.String() {
			t.Fatalf("two spellings: %q and %q", first.String(), second.String())
		}
	})
}

func TestAURIFillsTheConfiguration(t *testing.T) {
	uri, err := hsm.ParseURI("pkcs11:token=a;serial=1;object=k;id=%01?module-path=/m.so")
	if err != nil {
		t.Fatal(err)
	}
	got := uri.Apply(hsm.Config{Module: "/other.so", TokenModel: "kept"})
	if got.Module != "/m.so" || got.TokenLabel != "a" || got.TokenSerial != "1" || got.TokenModel != "kept" {
		t.Errorf("got %+v", got)
	}
	if ref := uri.Key(); ref.Label != "k" || string(ref.ID) != "\x01" {
		t.Errorf("got %v", ref)
	}
}

func TestARefusedURIEndsWithTheAdviceAsItIs(t *testing.T) {
	_, err := hsm.ParseURI("softhsm:token=a")
	if err == nil || !strings.HasSuffix(err.Error(), "("+hsm.Advice(err)+")") {
		t.Errorf("got %v", err)
	}
}
