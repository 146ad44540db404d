package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"hallmark/station/reason"
)

// Validate checks every value and reports all values that are not possible.
func (c *Config) Validate() error {
	return errors.Join(
		c.names(), c.HSM.validate(), c.Authority.validate(), c.Boards.validate(), c.validateBays(),
		c.Verifier.validate(), c.handshake(), c.Network.validate(c.Handshake == OverNetwork), c.Firmware.validate(), c.Timeouts.validate(),
		checkRange("minimum_free_mib", c.DiskFloor, 0, 1_000_000_000),
		checkRange("renew_days", c.RenewDays, 0, 3650),
		c.Scanner.validate(), c.labels(),
		c.witnesses(), c.Timestamp.validate(), c.webhooks(), c.Hub.validate(),
		c.Retention.check(), c.Orders.check(),
	)
}

// A form is what a text looks like, and its most octets. A count in the pattern itself, such as {0,62}, makes the
// compiled pattern as long as the count, and each start of the program would compile it.
type form struct {
	pattern *regexp.Regexp
	most    int
}

func (f form) fits(text string) bool { return len(text) <= f.most && f.pattern.MatchString(text) }

// nameForm is the form of names. It is narrow because names get into certificates, logs and file names.
var nameForm = form{regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9 ._-]*[A-Za-z0-9.])?$`), 64}

func (c *Config) names() error {
	err := name("station", c.Station)
	if c.Profile == "" {
		err = errors.Join(err, &ValueError{"profile", "nothing", "the name of a profile or the path of its file", "write profile: linaro"})
	}
	return err
}

func name(key, value string) error {
	if nameForm.fits(value) {
		return nil
	}
	return &ValueError{key, strconv.Quote(value), "1 to 64 letters, digits, spaces, dots, hyphens or underscores", "choose another name"}
}

// subject checks a part of the subject of a CA certificate: any characters that are visible.
func subject(key, value string, most int) error {
	n := utf8.RuneCountInString(value)
	if utf8.ValidString(value) && strings.TrimSpace(value) == value && n <= most && !strings.ContainsFunc(value, func(r rune) bool { return !reason.IsShown(r) }) {
		return nil
	}
	return &ValueError{key, fmt.Sprintf("%+q", value), fmt.Sprintf("at most %d visible characters, without blanks at its ends", most), "choose another name"}
}

func checkRange(key string, got, low, high int) error {
	if got >= low && got <= high {
		return nil
	}
	return &ValueError{key, strconv.Itoa(got), fmt.Sprintf("%d to %d", low, high), "correct it or leave the key out"}
}

func checkDuration(key string, got, low, high time.Duration) error {
	if got >= low && got <= high {
		return nil
	}
	return &ValueError{key, got.String(), fmt.Sprintf("%v to %v", low, high), "write it with a unit, such as 5s"}
}

func (a *Authority) validate() error {
	err := errors.Join(
		subject("authority.name", a.Name, 58), // "<name> root" is a common name, at most 64 characters (RFC 5280 appendix A.1)
		subject("authority.organization", a.Organization, 64),
		name("authority.root_label", a.RootLabel), name("authority.issuing_label", a.IssuingLabel), name("authority.audit_label", a.AuditLabel),
		checkRange("authority.root_years", a.RootYears, 0, 100), checkRange("authority.issuing_years", a.IssuingYears, 0, 100),
		checkRange("authority.verifier_days", a.VerifierDays, 1, 3650),
	)
	if a.Name == "" {
		err = errors.Join(err, &ValueError{"authority.name", "nothing", "a name", "short names save octets on every line"})
	}
	if a.RootLabel == a.IssuingLabel || a.RootLabel == a.AuditLabel || a.IssuingLabel == a.AuditLabel {
		err = errors.Join(err, &ValueError{"authority", "one label for two keys", "three different labels", "each key has one purpose"})
	}
	err = errors.Join(err, checkKeyURI("authority.root_uri", a.RootURI), checkKeyURI("authority.issuing_uri", a.IssuingURI), checkKeyURI("authority.audit_uri", a.AuditURI))
	if a.RootYears != 0 && (a.IssuingYears == 0 || a.IssuingYears > a.RootYears) {
		err = errors.Join(err, &ValueError{"authority.issuing_years", strconv.Itoa(a.IssuingYears), "1 to root_years", "no certificate outlives its issuer"})
	}
	return err
}

func (b *Boards) validate() error {
	if b.AllowDummy && !b.AllowEmulated {
		return &ValueError{"boards.allow_dummy_identities", "true", "true only together with allow_emulated", "publicly known identities are for demonstrations"}
	}
	err := checkRange("boards.baud", b.Baud, 9600, 4_000_000)
	for i, text := range b.FirmwareAllow {
		if sum, bad := hex.DecodeString(text); bad != nil || len(sum) != sha256.Size {
			err = errors.Join(err, &ValueError{fmt.Sprintf("boards.firmware_allow[%d]", i), strconv.Quote(text), "64 hexadecimal digits", "write the hash that `station audit show --type board.admitted` prints as sha256 for a board with this image"})
		}
	}
	if !fingerprintForm.fits(b.LockKey) {
		err = errors.Join(err, &ValueError{"boards.lock_key", strconv.Quote(b.LockKey), "the fingerprint of a public key, at most 128 letters and digits without spaces", "write the fingerprint that the tool of the chip's maker prints, not the key"})
	}
	if b.LockKey != "" && !b.Lock {
		err = errors.Join(err, &ValueError{"boards.lock_key", strconv.Quote(b.LockKey), "no key without lock: true", "set boards.lock, or leave lock_key out"})
	}
	return err
}

var fingerprintForm = form{regexp.MustCompile(`^[A-Za-z0-9:+/=._-]*$`), 128}

// hostLabelForm is the form of each label of a host name (RFC 1123 section 2.1).
var hostLabelForm = form{regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$`), 63}

// maxHostname is the longest host name, in octets (PROTOCOL.md section 4 "tls").
const maxHostname = 64

func isHostname(text string) bool {
	for label := range strings.SplitSeq(text, ".") {
		if !hostLabelForm.fits(label) {
			return false
		}
	}
	return len(text) <= maxHostname
}

func (v *Verifier) validate() error {
	var err error
	if _, port, bad := net.SplitHostPort(v.Listen); bad != nil || port == "" {
		err = &ValueError{"verifier.listen", strconv.Quote(v.Listen), "address:port", "write 127.0.0.1:0 for any free port of this machine"}
	}
	if !isHostname(v.ServerName) {
		err = errors.Join(err, &ValueError{"verifier.server_name", strconv.Quote(v.ServerName), "a DNS name in lower case of at most 64 octets", "boards compare it with the verifier's certificate"})
	}
	return err
}

func (c *Config) handshake() error {
	if c.Handshake == OverUART || c.Handshake == OverNetwork {
		return nil
	}
	return &ValueError{"handshake", strconv.Quote(c.Handshake), OverUART + " or " + OverNetwork, "leave the key out for boards without a network"}
}

// validate accepts IP addresses only, because a board has no name service. used says that Runs use the network.
func (n *Network) validate(used bool) error {
	listen, err := netip.ParseAddrPort(n.Listen)
	if err != nil || listen.Addr().Zone() != "" {
		err = &ValueError{"network.listen", strconv.Quote(n.Listen), "an IP address and a port", "write 127.0.0.1:0 for any free port of this machine"}
	}
	if n.Address != "" && !dialable(n.Address) {
		err = errors.Join(err, &ValueError{"network.address", strconv.Quote(n.Address), "an IP address, with a port or without", "name the address of this machine in the boards' network"})
	}
	if used && err == nil && n.Address == "" && listen.Addr().IsUnspecified() {
		err = &ValueError{"network.address", "nothing", "an address that boards can dial, because network.listen is every address of this machine", "name the one in the boards' network"}
	}
	return err
}

// dialable is true for an IP address, with or without a port, that a board can dial.
func dialable(text string) bool {
	if full, err := netip.ParseAddrPort(text); err == nil {
		return full.Port() != 0 && !full.Addr().IsUnspecified() && full.Addr().Zone() == ""
	}
	address, err := netip.ParseAddr(text)
	return err == nil && !address.IsUnspecified() && address.Zone() == ""
}

func (f *Firmware) validate() error {
	var err error
	for key, path := range map[string]string{"posix": f.Posix, "qemu": f.QEMU, "qemu_an521": f.QEMUAN521, "qemu_zephyr": f.QEMUZephyr} {
		if path != "" && !filepath.IsAbs(path) {
			err = errors.Join(err, &ValueError{"firmware." + key, strconv.Quote(path), "an absolute path", "leave the key out to use the images of `make firmware`"})
		}
	}
	return err
}

func (t *Timeouts) validate() error {
	err := errors.Join(
		checkDuration("timeouts.run", t.Run, time.Second, time.Hour),
		checkDuration("timeouts.step", t.Step, time.Second, time.Hour),
		checkDuration("timeouts.close", t.Close, time.Second, time.Minute),
	)
	for step, bound := range t.Steps {
		err = errors.Join(err, checkDuration("timeouts.steps."+step, bound, time.Second, time.Hour))
	}
	return err
}
