package hsm

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

const (
	// MinSessions is the smallest Config.Sessions: one session of crypto11 keeps the login,
	// one signs, and one more looks at the objects.
	MinSessions = 3
	// MaxSessions is the largest Config.Sessions. A larger number is a typing error.
	MaxSessions = 64
	// DefaultSessions is the default of Config.Sessions: one call is in flight. More sessions
	// help a network HSM only. When a module dies, several calls in flight may block in the
	// module for ever.
	DefaultSessions = MinSessions
	// DefaultTimeout is the default of Config.Timeout.
	DefaultTimeout = 5 * time.Second
)

// Config says which token to use. It must not be changed after [Open].
type Config struct {
	// Module is the absolute path of the PKCS#11 shared object.
	Module string
	// Exactly one token must match all of these fields that are not empty. Label, serial
	// or Slot is required (CK_TOKEN_INFO, PKCS#11 v2.40 section 3.2, without padding).
	TokenLabel, TokenSerial, TokenModel, TokenManufacturer string
	// AllowSoftwareToken accepts SoftHSM, for demonstrations and CI only.
	AllowSoftwareToken bool
	// Slot is the number of the token's slot; nil: any. Many modules change the numbers.
	Slot *uint
	// Exceptions lower the demands on token and keys, by name.
	Exceptions Exceptions
	// MinimalTemplate makes new keys with the fewest attributes, for tokens that refuse others.
	MinimalTemplate bool
	// Sessions is the number of sessions, MinSessions to MaxSessions. All but two of them
	// sign. 0 means DefaultSessions. The token's own limit may lower the number.
	Sessions int
	// Timeout is the longest time for each of these: one call into the module, the
	// wait for a turn, a reopen. 0 means DefaultTimeout.
	Timeout time.Duration
	// KeepAlive is the pause between two small calls that keep the session of an idle token open;
	// 0: none. Some tokens end a session that nobody uses for 30 s.
	KeepAlive time.Duration
	// Environment is set before the module is loaded, for example SOFTHSM2_CONF.
	// Child processes inherit it, so it must not contain a PIN.
	Environment map[string]string
	// Log gets warnings for engineers: reopens, a low PIN counter. nil: no log.
	Log *slog.Logger
}

// checked returns c with its defaults, or ErrConfig.
func (c Config) checked() (Config, error) {
	if c.TokenLabel == "" && c.TokenSerial == "" && c.Slot == nil {
		return c, refuse(ErrConfig, "neither label, serial nor slot of the token given")
	}
	if err := c.Exceptions.check(); err != nil {
		return c, err
	}
	if c.Sessions == 0 {
		c.Sessions = DefaultSessions
	}
	if c.Sessions < MinSessions || c.Sessions > MaxSessions {
		return c, refuse(ErrConfig, "sessions: %d; expected %d to %d: one keeps the login, one looks at the objects, the others sign", c.Sessions, MinSessions, MaxSessions)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Timeout < 0 {
		return c, refuse(ErrConfig, "time-out %v is negative", c.Timeout)
	}
	if c.KeepAlive < 0 {
		return c, refuse(ErrConfig, "keep-alive %v is negative", c.KeepAlive)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Selector describes the wanted token, for errors and for the plan of a ceremony.
func (c Config) Selector() string {
	var wanted []string
	for _, field := range []struct{ name, value string }{
		{"label", c.TokenLabel}, {"serial", c.TokenSerial}, {"model", c.TokenModel}, {"manufacturer", c.TokenManufacturer},
	} {
		if field.value != "" {
			wanted = append(wanted, fmt.Sprintf("%s %q", field.name, field.value))
		}
	}
	if c.Slot != nil {
		wanted = append(wanted, fmt.Sprintf("slot %d", *c.Slot))
	}
	return "token with " + strings.Join(wanted, " and ")
}

// A KeyRef narrows the search for a key by CKA_ID and CKA_LABEL. The key must match each
// field that is given; the label may stand on either half of the pair.
type KeyRef struct {
	ID    []byte
	Label string
}

func (k KeyRef) String() string {
	switch {
	case len(k.ID) == 0 && k.Label == "":
		return "key"
	case len(k.ID) == 0:
		return fmt.Sprintf("key %q", k.Label)
	case k.Label == "":
		return "key with id " + hex.EncodeToString(k.ID)
	}
	return fmt.Sprintf("key %q with id %x", k.Label, k.ID)
}
