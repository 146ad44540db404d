package hsm

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"
)

const (
	// DefaultSessions is one session that keeps the login and one that works, so
	// one call is in flight. More only help a network HSM, and several calls in
	// flight when a module dies may block for ever in the module.
	DefaultSessions = 2
	// DefaultTimeout bounds one call into the module.
	DefaultTimeout = 5 * time.Second
	// maxSessions is a bound against typing errors.
	maxSessions = 64
)

// Config says which token to use. It must not be modified after Open.
type Config struct {
	// Module is the absolute path of the PKCS#11 shared object.
	Module string
	// Exactly one token must fit all that is given of these; label or serial is
	// required (CK_TOKEN_INFO, PKCS#11 v2.40 section 3.2, without the padding).
	TokenLabel, TokenSerial, TokenModel, TokenManufacturer string
	// AllowSoftwareToken lets SoftHSM pass: demonstrations and CI only.
	AllowSoftwareToken bool
	// Sessions is the number of sessions to open, one of which only keeps the
	// login: 2 to 64, 0 means DefaultSessions. The token's own limit caps it.
	Sessions int
	// Timeout bounds one call into the module, waiting for a place, and a
	// reopen, each on its own. 0 means DefaultTimeout.
	Timeout time.Duration
	// Environment is set before the module is loaded, for example SOFTHSM2_CONF.
	// Children of the process inherit it; it must not hold a PIN.
	Environment map[string]string
	// Log gets warnings for engineers: reopens, a low PIN counter. nil means none.
	Log *slog.Logger
}

// checked returns the Config with its defaults.
func (c Config) checked() (Config, error) {
	if c.TokenLabel == "" && c.TokenSerial == "" {
		return c, refuse(ErrConfig, "neither token label nor serial given")
	}
	if c.Sessions == 0 {
		c.Sessions = DefaultSessions
	}
	if c.Sessions < 2 || c.Sessions > maxSessions {
		return c, refuse(ErrConfig, "%d sessions; expected 2 to %d", c.Sessions, maxSessions)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Timeout < 0 {
		return c, refuse(ErrConfig, "time-out %v is negative", c.Timeout)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// selector names the wanted token in errors.
func (c Config) selector() string {
	switch {
	case c.TokenSerial == "":
		return fmt.Sprintf("token with label %q", c.TokenLabel)
	case c.TokenLabel == "":
		return fmt.Sprintf("token with serial %q", c.TokenSerial)
	}
	return fmt.Sprintf("token with label %q and serial %q", c.TokenLabel, c.TokenSerial)
}

// KeyRef names a key pair on the token by CKA_ID and CKA_LABEL. At least one is
// given; what is given must fit.
type KeyRef struct {
	ID    []byte
	Label string
}

func (k KeyRef) String() string {
	switch {
	case len(k.ID) == 0:
		return fmt.Sprintf("key %q", k.Label)
	case k.Label == "":
		return "key with id " + hex.EncodeToString(k.ID)
	}
	return fmt.Sprintf("key %q with id %x", k.Label, k.ID)
}

// octets returns id and label for a search; nil stands for "not given".
func (k KeyRef) octets() (id, label []byte) {
	if len(k.ID) > 0 {
		id = k.ID
	}
	if k.Label != "" {
		label = []byte(k.Label)
	}
	return id, label
}
