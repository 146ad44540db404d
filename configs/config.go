// Package configs reads the station's configuration files. The YAML is strict: an
// unknown or duplicate key, a PIN, or a value out of range is an error that names the
// line, the expected value and the next action.
//
// The package fills the Config struct of each package and decides nothing itself.
// station.example.yaml explains every key.
package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"hallmark/configs/strict"
	"hallmark/devices"
	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/outbox"
)

// Config is station.yaml. A key that is left out has the value of [Default].
type Config struct {
	Station string `yaml:"station"` // name of the station in the audit log and in reports
	Profile string `yaml:"profile"` // of the TLS key: name of an embedded profile, or the path of a profile file
	// COSEProfile is "linaro-cose" or the path of a profile file; empty: boards get no
	// certificate for their COSE key.
	COSEProfile string    `yaml:"cose_profile"`
	HSM         HSM       `yaml:"hsm"`       // the token that holds all keys
	Authority   Authority `yaml:"authority"` // what `station init` makes
	Boards      Boards    `yaml:"boards"`    // which boards may get an identity
	Bays        []Bay     `yaml:"bays"`      // places on the bench; empty: commands name their boards with --boards
	Verifier    Verifier  `yaml:"verifier"`  // the mutual-TLS server
	Handshake   string    `yaml:"handshake"` // OverUART or OverNetwork
	Network     Network   `yaml:"network"`   // where boards dial with OverNetwork
	Firmware    Firmware  `yaml:"firmware"`  // images of emulated boards
	Timeouts    Timeouts  `yaml:"timeouts"`
	// DiskFloor is the free space in MiB below which no Run is begun, 0 to 1,000,000,000.
	DiskFloor int `yaml:"minimum_free_mib"`
	// RenewDays is how many days before the end of its certificate a board gets a new one; 0: never.
	RenewDays int `yaml:"renew_days"`
	// RequireOrder refuses Runs without a work order.
	RequireOrder bool `yaml:"require_order"`
	// RequireScanBack lets a bay go on after a Pass only when an operator has scanned the label of the board that passed.
	RequireScanBack bool `yaml:"require_scan_back"`
	// Scanner says how the scanner frames labels.
	Scanner Scanner `yaml:"scanner"`
	// Labels are regular expressions for labels without a prefix of their own, see label.ParsePattern.
	Labels    []string  `yaml:"labels"`
	Orders    Orders    `yaml:"orders"`
	Retention Retention `yaml:"retention"`
	// Witnesses confirm the checkpoints of the audit log.
	Witnesses []Witness `yaml:"witnesses"`
	// Timestamp names the time stamping authority for checkpoints (RFC 3161).
	Timestamp Timestamp `yaml:"timestamp"`
	// Webhooks are told of each Run that ended.
	Webhooks []Webhook `yaml:"webhooks"`
	// Hub is the plant's side of this station.
	Hub Hub `yaml:"hub"`
	// RequireWitness refuses a start at which no witness says what it has seen.
	RequireWitness bool `yaml:"require_witness"`
	// Anchors is a directory with checkpoints that were kept elsewhere; empty: none.
	Anchors string `yaml:"anchors"`
}

// Timestamp names a time stamping authority.
type Timestamp struct {
	URL   string `yaml:"url"`    // empty: no time stamps
	CA    string `yaml:"ca"`     // file with the root of its signing certificate
	TLSCA string `yaml:"tls_ca"` // file with the CAs of its server's certificate; empty: those of the system
}

// Witness names a witness of the audit log (C2SP tlog-witness), and perhaps its mirror.
type Witness struct {
	Name      string `yaml:"name"`
	URL       string `yaml:"url"`        // submission prefix
	Key       string `yaml:"key"`        // verifier key
	MirrorKey string `yaml:"mirror_key"` // verifier key of the mirror; empty: no entries are sent
	CA        string `yaml:"ca"`         // file with the CAs of its TLS certificate; empty: those of the system
}

// Webhook names a program that is told of each Run that ended.
type Webhook struct {
	Name       string   `yaml:"name"`
	URL        string   `yaml:"url"`
	SecretFile string   `yaml:"secret_file"` // that the receiver has, too
	Endings    []string `yaml:"endings"`     // of the Runs that are told; empty: all
	CA         string   `yaml:"ca"`          // file with the CAs of its TLS certificate; empty: those of the system
}

// Hub names the hub of the plant (docs/hub.md).
type Hub struct {
	URL  string   `yaml:"url"`  // empty: the station belongs to no hub
	CA   string   `yaml:"ca"`   // file with the CAs of its TLS certificate; empty: those of the system
	Stop []string `yaml:"stop"` // findings for which the station begins no Run
	Hold []string `yaml:"hold"` // findings for which their board is put on hold
}

// HSM says how to reach the token. It has no key for a PIN.
type HSM struct {
	Module      string `yaml:"module"` // path of the PKCS#11 module, or "softhsm2"
	TokenLabel  string `yaml:"token_label"`
	TokenSerial string `yaml:"token_serial"`
	TokenSlot   string `yaml:"token_slot"` // digits; empty: any slot
	// URI names the token as in RFC 7512, and perhaps the module and the PIN source. What it
	// names takes the place of the keys above.
	URI string `yaml:"token_uri"`
	// Exceptions are the names of hsm.Exceptions.
	Exceptions         []string      `yaml:"exceptions"`
	KeepAlive          time.Duration `yaml:"keep_alive"`    // pause between calls that keep an idle session; 0: none
	KeyIDOctets        int           `yaml:"key_id_octets"` // length of CKA_ID of new keys, 1 to 32
	KeyTemplate        string        `yaml:"key_template"`  // KeyTemplateFull or KeyTemplateMinimal
	AllowSoftwareToken bool          `yaml:"allow_software_token"`
	CreateToken        bool          `yaml:"create_token"` // `station init` makes a SoftHSM token in the state directory
	PINSource          string        `yaml:"pin_source"`
	Sessions           int           `yaml:"sessions"`
	Timeout            time.Duration `yaml:"timeout"`
}

// The values of the key `hsm.key_template`: which attributes a ceremony asks for.
const (
	KeyTemplateFull    = "full"
	KeyTemplateMinimal = "minimal"
)

// Authority says what the key ceremony makes: keys on the token, certificates in the state directory.
type Authority struct {
	// Chain is a PEM file with the issuing CA and then its root, which was made elsewhere; empty: `station init`
	// makes root and issuing CA on the token.
	Chain string `yaml:"chain"`
	// AuditKey is the public key (PEM) of an audit key that `station ceremony audit-key` made; empty: `station init` makes one.
	AuditKey     string `yaml:"audit_key"`
	Name         string `yaml:"name"`         // common names are this and "root" or "CA"; a short name saves octets on every UART
	Organization string `yaml:"organization"` // O of the CA certificates, may be empty
	RootLabel    string `yaml:"root_label"`
	IssuingLabel string `yaml:"issuing_label"`
	AuditLabel   string `yaml:"audit_label"`
	// The keys are found by their certificates. These URIs (RFC 7512, only object and id) narrow the
	// search; empty: the label does.
	RootURI      string `yaml:"root_uri"`
	IssuingURI   string `yaml:"issuing_uri"`
	AuditURI     string `yaml:"audit_uri"`
	RootYears    int    `yaml:"root_years"`    // 0: without end, 99991231235959Z (RFC 5280 section 4.1.2.5)
	IssuingYears int    `yaml:"issuing_years"` // as RootYears
	VerifierDays int    `yaml:"verifier_days"`
}

// Boards says which boards may get an identity, and how a Run ends.
type Boards struct {
	AllowEmulated bool `yaml:"allow_emulated"`
	AllowDummy    bool `yaml:"allow_dummy_identities"`
	// TFMCallers are the callers for which boards with TF-M may derive their key ("dc"
	// of hello); empty: any. The caller is part of the identity.
	TFMCallers []int32 `yaml:"tfm_callers"`
	Seal       bool    `yaml:"seal"`
	// ReadFirmware has the probe read the firmware of each board in the step flash, instead of believing a board that says
	// that it runs the image.
	ReadFirmware bool `yaml:"read_firmware"`
	// RequireReceipt refuses boards that do not sign a receipt after the handshake, before anything is signed for them.
	RequireReceipt bool `yaml:"require_receipt"`
	// Lock closes the debug port of each board at the end of its Runs. Nothing opens the port again
	// without erasing the board.
	Lock bool `yaml:"lock"`
	// LockKey is the fingerprint of the key that opens locked debug ports (debug authentication), for
	// the record; empty: there is no such key.
	LockKey string `yaml:"lock_key"`
	// FirmwareAllow lists the SHA-256 of the firmware images that boards may run, as `hello` reports
	// them; empty: any image.
	FirmwareAllow []string `yaml:"firmware_allow"`
	Baud          int      `yaml:"baud"`
}

// Verifier says where the verifier listens, and the name that boards demand.
type Verifier struct {
	Listen     string `yaml:"listen"`
	ServerName string `yaml:"server_name"`
}

// The values of the key `handshake`: how a board proves that it holds the certificate's key.
const (
	OverUART    = "uart"    // the station carries the board's TLS records over the UART
	OverNetwork = "network" // the board dials the verifier over its own network
)

// Network says where boards with their own network dial the verifier.
type Network struct {
	Listen  string `yaml:"listen"`
	Address string `yaml:"address"` // the address that boards dial; empty: Listen
}

// Dial returns the address that boards are told to dial. An address that is not valid
// and the port 0 stand for those of the listener.
func (n *Network) Dial() netip.AddrPort {
	if full, err := netip.ParseAddrPort(n.Address); err == nil {
		return full
	}
	address, _ := netip.ParseAddr(n.Address) // not valid: empty, because validate refuses every other text
	return netip.AddrPortFrom(address, 0)
}

// Firmware names the images of emulated boards. Empty: the image in the build directory.
type Firmware struct {
	Posix      string `yaml:"posix"`
	QEMU       string `yaml:"qemu"`
	QEMUAN521  string `yaml:"qemu_an521"`
	QEMUZephyr string `yaml:"qemu_zephyr"`
}

// Timeouts limit the waits of a Run.
type Timeouts struct {
	Run   time.Duration            `yaml:"run"`
	Step  time.Duration            `yaml:"step"`
	Close time.Duration            `yaml:"close"`
	Steps map[string]time.Duration `yaml:"steps"`
}

// Default is the configuration of a station with hardware HSM and hardware boards.
func Default() Config {
	return Config{
		Station:   "station-1",
		Profile:   "linaro",
		HSM:       HSM{TokenLabel: "hallmark", Exceptions: []string{}, KeyTemplate: KeyTemplateFull, KeyIDOctets: 8, PINSource: "prompt", Sessions: hsm.DefaultSessions, Timeout: 5 * time.Second},
		Authority: Authority{Name: "Hallmark", RootLabel: "hallmark-root", IssuingLabel: "hallmark-issuing", AuditLabel: "hallmark-audit", VerifierDays: 397},
		Boards:    Boards{TFMCallers: []int32{}, FirmwareAllow: []string{}, Baud: 115200},
		Bays:      []Bay{},
		Verifier:  Verifier{Listen: "127.0.0.1:0", ServerName: "verifier"},
		Handshake: OverUART,
		Network:   Network{Listen: "127.0.0.1:0"},
		Timeouts:  Timeouts{Run: 3 * time.Minute, Step: 30 * time.Second, Close: 10 * time.Second},
		DiskFloor: 256,
		Labels:    []string{},
		Witnesses: []Witness{},
		Webhooks:  []Webhook{},
		Hub:       Hub{Stop: []string{outbox.FindingFork, outbox.FindingRollback}, Hold: []string{outbox.FindingBoard, outbox.FindingKey, outbox.FindingSerial}},
		Orders:    Orders{Owners: []string{}},
		Retention: Retention{Years: 10, CAYears: 2, Products: map[string]Product{}},
	}
}

// HUKSources returns the sources of the hardware unique key that boards may have.
func (c *Config) HUKSources() []devices.HUKSource {
	sources := []devices.HUKSource{devices.HUKTFM, devices.HUKVendor}
	if c.Boards.AllowEmulated {
		sources = append(sources, devices.HUKFuses)
	}
	if c.Boards.AllowDummy {
		sources = append(sources, devices.HUKDevelopment, devices.HUKTFMDummy)
	}
	return sources
}

// StationTimeouts returns the time limits of the engine.
func (c *Config) StationTimeouts() station.Timeouts {
	return station.Timeouts{Run: c.Timeouts.Run, Step: c.Timeouts.Step, Close: c.Timeouts.Close, Named: maps.Clone(c.Timeouts.Steps)}
}

// A ValueError says which value is not possible and which value to write. It wraps ErrValue.
type ValueError struct{ Key, Got, Want, Next string }

func (e *ValueError) Error() string {
	return fmt.Sprintf("%s: %v: %s, want %s; %s", e.Key, ErrValue, e.Got, e.Want, e.Next)
}

// Unwrap makes errors.Is(err, ErrValue) true.
func (e *ValueError) Unwrap() error { return ErrValue }

// ConfigKey gives the dotted form of the key, see strict.Keyed.
func (e *ValueError) ConfigKey() string { return e.Key }

// Errors of package strict, which reads each file.
var (
	ErrUnknownKey   = strict.ErrUnknownKey
	ErrDuplicateKey = strict.ErrDuplicateKey
	ErrSecret       = strict.ErrSecret
	ErrSyntax       = strict.ErrSyntax
	ErrValue        = strict.ErrValue
)

// Decode reads exactly one YAML document, see strict.Decode.
func Decode(name string, text []byte, into any) error { return strict.Decode(name, text, into) }

// Renewal returns RenewDays as a duration.
func (c *Config) Renewal() time.Duration { return time.Duration(c.RenewDays) * 24 * time.Hour }

// AllowedFirmware returns the SHA-256 values of FirmwareAllow. Validate has checked them.
func (b *Boards) AllowedFirmware() (all [][sha256.Size]byte) {
	for _, text := range b.FirmwareAllow {
		var sum [sha256.Size]byte
		if n, err := hex.Decode(sum[:], []byte(text)); err == nil && n == len(sum) {
			all = append(all, sum)
		}
	}
	return all
}
