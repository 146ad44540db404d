package configs

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hallmark/configs/strict"
	"hallmark/hsm"
)

// softHSM lists the paths at which distributions install SoftHSM's module.
var softHSM = []string{
	"/usr/lib/softhsm/libsofthsm2.so",
	"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/lib64/pkcs11/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so",
}

// withoutDefaultLabel removes the default label if the file names the token by its serial or its slot alone: the token has
// another label, and would not be found.
func (h *HSM) withoutDefaultLabel(file *strict.File) {
	if _, given := file.Lines()["hsm.token_label"]; !given && (h.TokenSerial != "" || h.TokenSlot != "") {
		h.TokenLabel = ""
	}
}

// Token returns the configuration of the HSM for the state directory dir. With
// create_token it sets SOFTHSM2_CONF to a file in dir.
func (c *Config) Token(dir string, exists func(path string) bool) (hsm.Config, error) {
	token := hsm.Config{
		Module: c.HSM.Module, TokenLabel: c.HSM.TokenLabel, TokenSerial: c.HSM.TokenSerial,
		AllowSoftwareToken: c.HSM.AllowSoftwareToken, Sessions: c.HSM.Sessions, Timeout: c.HSM.Timeout,
		Exceptions: c.HSM.Allowed(), KeepAlive: c.HSM.KeepAlive, MinimalTemplate: c.HSM.KeyTemplate == KeyTemplateMinimal,
	}
	if slot, err := strconv.ParseUint(c.HSM.TokenSlot, 10, 64); err == nil {
		number := uint(slot)
		token.Slot = &number
	}
	if uri, err := hsm.ParseURI(c.HSM.URI); err == nil { // Validate refuses a URI that is none
		token.TokenLabel, token.TokenSerial = "", ""
		token = uri.Apply(token)
	}
	if c.HSM.CreateToken {
		token.Environment = map[string]string{"SOFTHSM2_CONF": filepath.Join(dir, "hsm", "softhsm2.conf")}
	}
	var err error
	token.Module, err = module(token.Module, exists)
	return token, err
}

func module(name string, exists func(string) bool) (string, error) {
	if name != "softhsm2" {
		return name, nil
	}
	if i := slices.IndexFunc(softHSM, exists); i >= 0 {
		return softHSM[i], nil
	}
	return "", &ValueError{"hsm.module", "SoftHSM is not installed here", "its module in " + softHSM[0], "install the package softhsm2, or give the path of the module"}
}

// PINSource returns the PIN source. A relative path of file: becomes a path below dir.
func (c *Config) PINSource(dir string) string {
	const file = "file:"
	source := c.HSM.pinSource()
	if path, ok := strings.CutPrefix(source, file); ok && !filepath.IsAbs(path) {
		return file + filepath.Join(dir, path)
	}
	return source
}

// Allowed returns the exceptions.
func (h *HSM) Allowed() (all hsm.Exceptions) {
	for _, name := range h.Exceptions {
		all = append(all, hsm.Exception(name))
	}
	return all
}

// pinSource returns the PIN source of the URI, or else that of the configuration.
func (h *HSM) pinSource() string {
	if uri, err := hsm.ParseURI(h.URI); err == nil && uri.PINSource != "" {
		return uri.PINSource
	}
	return h.PINSource
}

// IssuingRef, AuditRef and RootRef narrow the search for a key of the station on its token.
func (a *Authority) IssuingRef() hsm.KeyRef { return keyRef(a.IssuingURI, a.IssuingLabel) }

// AuditRef is as IssuingRef.
func (a *Authority) AuditRef() hsm.KeyRef { return keyRef(a.AuditURI, a.AuditLabel) }

// RootRef is as IssuingRef.
func (a *Authority) RootRef() hsm.KeyRef { return keyRef(a.RootURI, a.RootLabel) }

func keyRef(uri, label string) hsm.KeyRef {
	if parsed, err := hsm.ParseURI(uri); err == nil { // Validate refuses a URI that is none
		return parsed.Key()
	}
	return hsm.KeyRef{Label: label}
}
