package hsm

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A URI is a pkcs11: URI (RFC 7512) that names one private key on one token. Empty
// fields were not given.
type URI struct {
	Token, Serial, Model, Manufacturer string // CK_TOKEN_INFO
	Object                             string // CKA_LABEL
	ID                                 []byte // CKA_ID
	ModulePath                         string
	PINSource                          string // for [ParsePINSource]
}

// A field connects the name of a URI attribute with its field of URI.
type field struct {
	name  string
	query bool // after the question mark
	text  func(*URI) *string
}

// fields are the text attributes, in the order in which String writes them.
var fields = []field{
	{"token", false, func(u *URI) *string { return &u.Token }},
	{"manufacturer", false, func(u *URI) *string { return &u.Manufacturer }},
	{"model", false, func(u *URI) *string { return &u.Model }},
	{"serial", false, func(u *URI) *string { return &u.Serial }},
	{"object", false, func(u *URI) *string { return &u.Object }},
	{"pin-source", true, func(u *URI) *string { return &u.PINSource }},
	{"module-path", true, func(u *URI) *string { return &u.ModulePath }},
}

// ParseURI reads a pkcs11: URI. It is stricter than RFC 7512. It refuses attributes
// that the station would ignore, and attributes that are empty or given twice. In id
// each octet must be percent-encoded, because bare hexadecimal digits have one
// meaning in the RFC and another in other tools. type may only be private.
// module-path may also stand in the path. pin-value is refused, and the error does
// not repeat it.
func ParseURI(text string) (URI, error) {
	rest, ok := strings.CutPrefix(text, "pkcs11:")
	if !ok {
		return URI{}, refuse(ErrURI, "it does not begin with pkcs11:")
	}
	path, query, asked := strings.Cut(rest, "?")
	p := uriParser{seen: map[string]bool{}}
	if err := p.attributes(path, ";", false); err != nil {
		return URI{}, err
	}
	if asked {
		if err := p.attributes(query, "&", true); err != nil {
			return URI{}, err
		}
	}
	return p.uri, nil
}

type uriParser struct {
	uri  URI
	seen map[string]bool
}

func (p *uriParser) attributes(part, separator string, query bool) error {
	if part == "" {
		return nil
	}
	for one := range strings.SplitSeq(part, separator) {
		name, value, ok := strings.Cut(one, "=")
		if !ok {
			return refuse(ErrURI, "an attribute has no =")
		}
		if err := p.attribute(name, value, query); err != nil {
			return err
		}
	}
	return nil
}

func (p *uriParser) attribute(name, value string, query bool) error {
	switch {
	case name == "pin-value":
		return refuse(ErrURI, "pin-value puts the PIN into the configuration; use pin-source")
	case p.seen[name]:
		return refuse(ErrURI, "attribute %q is given twice", name)
	case value == "":
		return refuse(ErrURI, "attribute %q is empty", name)
	}
	p.seen[name] = true
	octets, err := unescape(value, query || name == "module-path")
	if err != nil {
		return refuse(ErrURI, "attribute %q: %w", name, err)
	}
	if !query && name == "id" {
		p.uri.ID = octets
		if 3*len(octets) != len(value) {
			return refuse(ErrURI, "id %q is ambiguous; write each octet as %%xx", value)
		}
		return nil
	}
	if !utf8.Valid(octets) || strings.ContainsFunc(string(octets), func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return refuse(ErrURI, "attribute %q holds control characters or is not UTF-8", name)
	}
	return p.text(name, string(octets), query)
}

func (p *uriParser) text(name, value string, query bool) error {
	if !query && name == "type" {
		if value != "private" {
			return refuse(ErrURI, "type %q; expected private", value)
		}
		return nil
	}
	for _, f := range fields {
		if f.name != name || f.query != query && name != "module-path" {
			continue
		}
		*f.text(&p.uri) = value
		if name == "pin-source" {
			_, err := ParsePINSource(value)
			return err
		}
		return nil
	}
	return refuse(ErrURI, "attribute %q does not select a key here", name)
}

// plain is true for octets that need no percent-encoding (RFC 7512 section 2.3).
func plain(b byte, query bool) bool {
	switch {
	case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
		return true
	case strings.IndexByte("-._~:[]@!$'()*+,=", b) >= 0:
		return true
	case query:
		return strings.IndexByte("/?|", b) >= 0
	}
	return b == '&'
}

func unescape(value string, query bool) ([]byte, error) {
	var octets []byte
	for i := 0; i < len(value); i++ {
		if value[i] != '%' {
			if !plain(value[i], query) {
				return nil, fmt.Errorf("character %q must be percent-encoded", value[i])
			}
			octets = append(octets, value[i])
			continue
		}
		if i+2 >= len(value) {
			return nil, fmt.Errorf("cut-off %q", value[i:])
		}
		octet, err := hex.DecodeString(value[i+1 : i+3])
		if err != nil {
			return nil, fmt.Errorf("%q is not a percent-encoded octet", value[i:i+3])
		}
		octets = append(octets, octet...)
		i += 2
	}
	return octets, nil
}

// String returns the canonical spelling of the URI.
func (u URI) String() string {
	var path, query []string
	for _, f := range fields {
		value := *f.text(&u)
		if value == "" {
			continue
		}
		if f.query {
			query = append(query, f.name+"="+escape(value, true))
		} else {
			path = append(path, f.name+"="+escape(value, false))
		}
	}
	if len(u.ID) > 0 {
		id := "id="
		for _, b := range u.ID {
			id += fmt.Sprintf("%%%02X", b)
		}
		path = append(path, id)
	}
	text := "pkcs11:" + strings.Join(path, ";")
	if len(query) > 0 {
		text += "?" + strings.Join(query, "&")
	}
	return text
}

func escape(value string, query bool) string {
	var text strings.Builder
	for i := range len(value) {
		if plain(value[i], query) {
			text.WriteByte(value[i])
		} else {
			fmt.Fprintf(&text, "%%%02X", value[i])
		}
	}
	return text.String()
}

// OnlyKey is true if the URI names nothing but a key.
func (u URI) OnlyKey() bool {
	u.Object, u.ID = "", nil
	return u.String() == "pkcs11:"
}

// Key returns the key that the URI names.
func (u URI) Key() KeyRef { return KeyRef{ID: u.ID, Label: u.Object} }

// Apply returns cfg with the module and the token that the URI names.
func (u URI) Apply(cfg Config) Config {
	for _, set := range []struct {
		to   *string
		from string
	}{
		{&cfg.Module, u.ModulePath}, {&cfg.TokenLabel, u.Token}, {&cfg.TokenSerial, u.Serial},
		{&cfg.TokenModel, u.Model}, {&cfg.TokenManufacturer, u.Manufacturer},
	} {
		if set.from != "" {
			*set.to = set.from
		}
	}
	return cfg
}
