// Package devices says what a board is and how the station talks to one.
//
// The types in this file are facts about boards that other packages may
// import; [Client] is the SMP client that asks a board over a line. The wire
// is specified in PROTOCOL.md, which is the contract with the C core.
package devices

import (
	"encoding/hex"

	"github.com/google/uuid"
)

// NonceSize is the length in octets of the nonce that binds a CSR to one Run.
const NonceSize = 16

// ProtocolVersion is the wire version this station speaks ("v" of hello).
const ProtocolVersion = 1

// IdentityABI is the identity ABI version this station accepts ("ab" of
// hello, PROTOCOL.md section 5).
const IdentityABI = 1

// A BoardID is the UUID that a board derives from its HUK.
type BoardID uuid.UUID

// String gives the lower-case hyphenated form of RFC 9562, as in a
// certificate's common name.
func (id BoardID) String() string { return uuid.UUID(id).String() }

// IsZero reports whether no board is meant.
func (id BoardID) IsZero() bool { return id == BoardID{} }

// ParseBoardID accepts only the form that String gives.
func ParseBoardID(s string) (BoardID, error) {
	u, err := uuid.Parse(s)
	if err != nil || u.String() != s {
		return BoardID{}, &NotBoardIDError{Text: s}
	}
	return BoardID(u), nil
}

// NotBoardIDError says that a text is not a BoardID.
type NotBoardIDError struct{ Text string }

func (e *NotBoardIDError) Error() string {
	return "not a BoardID: " + quote(e.Text) + " (want lower-case hex, 8-4-4-4-12)"
}

// A HardwareID is the serial number of the silicon, 1 to 16 octets.
type HardwareID string

// String gives the octets in hexadecimal.
func (id HardwareID) String() string { return hex.EncodeToString([]byte(id)) }

// HUKSource says where a board's hardware unique key came from ("hs" of hello).
type HUKSource uint8

// The sources of PROTOCOL.md section 4, "hello".
const (
	HUKTFM HUKSource = iota
	HUKVendor
	HUKFuses
	HUKDevelopment
	HUKTFMDummy
)

// HasCaller reports whether the key is another one for each caller, as TF-M's is.
func (s HUKSource) HasCaller() bool { return s == HUKTFM || s == HUKTFMDummy }

// Slot names one object of the board's certificate store ("s" of write and read).
type Slot uint8

// The slots of PROTOCOL.md section 4, "write".
const (
	SlotAnchor Slot = iota
	SlotChain
	SlotCertificate // of the TLS key
	SlotCOSE        // certificate of the COSE key
)

// Slots is the set of slots that hold something ("st" of hello).
type Slots uint8

// Has reports whether the slot holds something.
func (s Slots) Has(slot Slot) bool { return s&(1<<slot) != 0 }

// Capabilities is the set of what a board's image can do ("ca" of hello).
type Capabilities uint8

// The bits of PROTOCOL.md section 4, "hello".
const (
	CanProvision Capabilities = 1 << iota // csr, write, seal
	CanNet                                // the handshake over its own network
)

// Has reports whether all of these are there.
func (c Capabilities) Has(wanted Capabilities) bool { return c&wanted == wanted }

// BootID is drawn at random at each start of the firmware. Two different
// values prove that the board was reset in between.
type BootID [8]byte

// Identity is what a board says of itself in hello.
type Identity struct {
	ID           BoardID
	HardwareID   HardwareID
	BoardType    string // such as "mps2-an385", at most 24 octets
	Firmware     string // version, at most 24 octets
	FirmwareHash [32]byte
	HUK          HUKSource
	Caller       int32 // whose key TF-M derived: partition id, or -1 non-secure; 0 without TF-M
	Sealed       bool
	Stored       Slots
	ABI          uint
	Can          Capabilities
	Purposes     Purposes
	Boot         BootID
}

// Subject is what the station asks the board to put into its CSR beside the
// BoardID: printable ASCII, at most 32 octets each, either may be empty.
type Subject struct {
	Organization       string
	OrganizationalUnit string
}

// HandshakeReport is the board's own account of a mutual-TLS handshake.
type HandshakeReport struct {
	Received []byte // application data the board read from the verifier
}

// WireCount is what went over a line since it was opened.
type WireCount struct {
	Sent     int64 // octets station → board, framing included
	Received int64 // octets board → station, framing and console included
	Retries  int   // requests that were sent again
}
