package configs

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"hallmark/hsm"
	"hallmark/station/reason"
)

func (h *HSM) validate() error {
	err := errors.Join(h.checkSessions(), checkDuration("hsm.timeout", h.Timeout, 100*time.Millisecond, time.Minute), checkRange("hsm.key_id_octets", h.KeyIDOctets, 1, 32),
		checkDuration("hsm.keep_alive", h.KeepAlive, 0, time.Hour), h.choices())
	uri, bad := h.parsedURI()
	if err = errors.Join(err, bad); bad != nil {
		return err
	}
	module := h.Module
	if uri.ModulePath != "" {
		module = uri.ModulePath
	}
	if module != "softhsm2" && (!filepath.IsAbs(module) || reason.CheckPath(module) != nil) {
		err = errors.Join(err, &ValueError{"hsm.module", "a text that is no such path", "the absolute path of a PKCS#11 module, or softhsm2", "ask `pkcs11-tool` or the vendor's manual where it is"})
	}
	if h.TokenLabel == "" && h.TokenSerial == "" && h.TokenSlot == "" && h.URI == "" {
		err = errors.Join(err, &ValueError{"hsm.token_label", "nothing", "a token label, token_serial, token_slot or token_uri", "find both with `pkcs11-tool --module PATH --list-slots`"})
	}
	if h.CreateToken && (!h.AllowSoftwareToken || h.Module != "softhsm2" || h.TokenLabel == "" || h.URI != "") {
		err = errors.Join(err, &ValueError{"hsm.create_token", "true", "false, or SoftHSM (module: softhsm2, allow_software_token: true) with a label and without token_uri", "initialise a hardware token with its vendor's tool"})
	}
	return errors.Join(err, checkPINSource(h.pinSource(), h.CreateToken))
}

func (h *HSM) checkSessions() error {
	if h.Sessions >= hsm.MinSessions && h.Sessions <= hsm.MaxSessions {
		return nil
	}
	return &ValueError{"hsm.sessions", strconv.Itoa(h.Sessions), fmt.Sprintf("%d to %d", hsm.MinSessions, hsm.MaxSessions), "one keeps the login, one looks at the keys, the others sign; leave the key out for " + strconv.Itoa(hsm.DefaultSessions)}
}

// choices checks the keys that take one of a few words.
func (h *HSM) choices() error {
	var err error
	if h.KeyTemplate != KeyTemplateFull && h.KeyTemplate != KeyTemplateMinimal {
		err = &ValueError{"hsm.key_template", strconv.Quote(h.KeyTemplate), KeyTemplateFull + " or " + KeyTemplateMinimal, "leave the key out if `station init` makes its keys"}
	}
	known := hsm.KnownExceptions()
	for i, name := range h.Exceptions {
		if !slices.Contains(known, hsm.Exception(name)) {
			err = errors.Join(err, &ValueError{"hsm.exceptions[" + strconv.Itoa(i) + "]", strconv.Quote(name), "one of " + strings.ReplaceAll(known.String(), ",", ", "), "read docs/hsm.md before you make an exception"})
		}
	}
	if _, bad := strconv.ParseUint(h.TokenSlot, 10, 32); h.TokenSlot != "" && bad != nil {
		err = errors.Join(err, &ValueError{"hsm.token_slot", strconv.Quote(h.TokenSlot), "the number of a slot", "prefer token_serial: many modules change the numbers of slots"})
	}
	return err
}

// parsedURI reads hsm.token_uri, which names a token. The names of keys are in authority.
func (h *HSM) parsedURI() (hsm.URI, error) {
	if h.URI == "" {
		return hsm.URI{}, nil
	}
	uri, err := hsm.ParseURI(h.URI)
	switch {
	case err != nil: // the error does not repeat the URI, which may hold a PIN
		return uri, &ValueError{"hsm.token_uri", "a text that is no such URI (" + err.Error() + ")", "a URI such as pkcs11:token=hallmark;serial=07550054", "write it as in RFC 7512"}
	case uri.Object != "" || len(uri.ID) > 0:
		return uri, &ValueError{"hsm.token_uri", "a URI with object or id", "only attributes of the token", "leave object and id out; station.yaml takes those of a key in authority.issuing_uri"}
	case uri.Token == "" && uri.Serial == "":
		return uri, &ValueError{"hsm.token_uri", "a URI without token and serial", "at least one of both", "add token= or serial="}
	case h.TokenSerial != "":
		return uri, &ValueError{"hsm.token_serial", "a serial beside token_uri", "either token_uri or token_label and token_serial", "move the serial into the URI: serial=..."}
	}
	return uri, nil
}

// checkKeyURI checks a URI that narrows the search for a key.
func checkKeyURI(key, text string) error {
	if text == "" {
		return nil
	}
	uri, err := hsm.ParseURI(text)
	if err == nil && (uri.Key().Label != "" || len(uri.Key().ID) > 0) && uri.OnlyKey() {
		return nil
	}
	return &ValueError{key, "something else", "a PKCS#11 URI with object, id or both, and nothing else", "write it as pkcs11:object=issuing;id=%01, or leave it out"}
}

// checkPINSource checks the form of a source. The source itself is opened when the PIN is needed.
func checkPINSource(source string, create bool) error {
	kind, rest, found := strings.Cut(source, ":")
	known := kind == "prompt" && !found || rest != "" && (kind == "credential" || kind == "fd" || kind == "file" || kind == "env")
	if !known {
		// The error does not repeat the value, because the value may be a PIN.
		return &ValueError{"hsm.pin_source", "something else", "prompt, file:PATH, credential:NAME, fd:N or env:NAME", "name where the PIN is, not the PIN"}
	}
	if create && kind != "file" {
		return &ValueError{"hsm.pin_source", kind, "file:PATH with create_token", "write pin_source: file:hsm/pin; `station init` fills the file"}
	}
	return nil
}
