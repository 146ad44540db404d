package hsm

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"
)

const (
	// DefaultSessions is the default of Config.Sessions: one session keeps the login
	// and one works, so one call is in flight. More sessions help a network HSM only.
	// When a module dies, several calls in flight may block in the module for ever.
	DefaultSessions = 2
	// DefaultTimeout is the default of Config.Timeout.
	DefaultTimeout = 5 * time.Second
	// maxSessions is the largest Config.Sessions. A larger number is a typing error.
	maxSessions = 64
)

// Config says which token to use. It must not be changed after [Open].
type Config struct {
	// Module is the absolute path of the PKCS#11 shared object.
	Module string
	// Exactly one token must match all of these fields that are not empty. Label or
	// serial is required (CK_TOKEN_INFO, PKCS#11 v2.40 section 3.2, without padding).
	TokenLabel, TokenSerial, TokenModel, TokenManufacturer string
	// AllowSoftwareToken accepts SoftHSM, for demonstrations and CI only.
	AllowSoftwareToken bool
	// Sessions is the number of sessions, 2 to 64; one of them only keeps the login.
	// 0 means DefaultSessions. The token's own limit may lower the number.
	Sessions int
	// Timeout is the longest time for each of these: one call into the module, the
	// wait for a turn, a reopen. 0 means DefaultTimeout.
	Timeout time.Duration
	// Environment is set before the module is loaded, for example SOFTHSM2_CONF.
	// Child processes inherit it, so it must not contain a PIN.
	Environment map[string]string
	// Log gets warnings for engineers: reopens, a low PIN counter. nil: no log.
	Log *slog.Logger
}

// checked returns c with its defaults, or ErrConfig.
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

// selector describes the wanted token in errors.
func (c Config) selector() string {
	switch {
	case c.TokenSerial == "":
		return fmt.Sprintf("token with label %q", c.TokenLabel)
	case c.TokenLabel == "":
		return fmt.Sprintf("token with serial %q", c.TokenSerial)
	}
	return fmt.Sprintf("token with label %q and serial %q", c.TokenLabel, c.TokenSerial)
}

// A KeyRef names a key pair on the token by CKA_ID and CKA_LABEL. At least one of
// them is given, and the key pair must match each one that is given.
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

// octets returns id and label for a search; nil means that the field is not given.
func (k KeyRef) octets() (id, label []byte) {
	if len(k.ID) > 0 {
		id = k.ID
	}
	if k.Label != "" {
		label = []byte(k.Label)
	}
	return id, label
}
