// Package devices describes boards and talks to them.
//
// The types in this file describe a board, and other packages may import them.
// [Client] is the SMP client that asks a board over a UART. PROTOCOL.md specifies
// the wire format and is the contract with the C core.
package devices

import (
	"encoding/hex"

	"github.com/google/uuid"
)

// NonceSize is the length in octets of the nonce that binds a CSR to one Run.
const NonceSize = 16

// The wire versions that this station speaks ("v" of hello). The board chooses the smaller of its own newest version and
// NewestProtocol.
const (
	OldestProtocol = 1
	NewestProtocol = 2
)

// IdentityABI is the version of the identity ABI that this station accepts ("ab" of
// hello, PROTOCOL.md section 5).
const IdentityABI = 1

// A BoardID is the UUID that a board derives from its HUK: version 4, 16 octets
// (RFC 9562 section 5.4).
type BoardID uuid.UUID

// String returns the lower-case hyphenated form of RFC 9562 section 4, which is also
// the common name of the board's certificates.
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

// A NotBoardIDError says that a text is not a BoardID.
type NotBoardIDError struct{ Text string }

func (e *NotBoardIDError) Error() string {
	return "not a BoardID: " + quote(e.Text) + " (want lower-case hex, 8-4-4-4-12)"
}

// A HardwareID is the serial number of the silicon, 1 to 16 octets.
type HardwareID string

// IsThere is false for a board without a hardware id, which reports one octet 0 (PROTOCOL.md section 4, "hello").
func (id HardwareID) IsThere() bool { return id != "" && id != "\x00" }

// String returns the octets in hexadecimal.
func (id HardwareID) String() string { return hex.EncodeToString([]byte(id)) }

// A HUKSource says where a board's hardware unique key comes from ("hs" of hello).
type HUKSource uint8

// The sources of PROTOCOL.md section 4, "hello".
const (
	HUKTFM HUKSource = iota
	HUKVendor
	HUKFuses
	HUKDevelopment
	HUKTFMDummy
)

// HasCaller is true if the derived key depends on the caller of the key store, as with TF-M.
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

// Slots is the set of slots that are not empty ("st" of hello).
type Slots uint8

// Has is true if the slot is not empty.
func (s Slots) Has(slot Slot) bool { return s&(1<<slot) != 0 }

// Capabilities is the set of what a board's image can do ("ca" of hello).
type Capabilities uint8

// The bits of PROTOCOL.md section 4, "hello".
const (
	CanProvision Capabilities = 1 << iota // csr, write, seal
	CanNet                                // the handshake over the board's own network
	CanReceipt                            // a signed receipt
	CanUpdate                             // a renewal in the field
)

// Has is true if all wanted capabilities are in the set.
func (c Capabilities) Has(wanted Capabilities) bool { return c&wanted == wanted }

// A BootID is a random number that the firmware draws at each start. Two different
// values prove that the board restarted in between.
type BootID [8]byte

// An Identity is what a board reports about itself in hello.
type Identity struct {
	ID           BoardID
	HardwareID   HardwareID
	BoardType    string // such as "mps2-an385", at most 24 octets
	Firmware     string // version, at most 24 octets
	FirmwareHash [32]byte
	HUK          HUKSource
	Caller       int32 // the caller for which TF-M derived the key: partition id, or -1 for the non-secure side; 0 without TF-M
	Sealed       bool
	Damaged      bool // the certificate store holds something that the board did not write, or nothing whole
	Protocol     uint // version of PROTOCOL.md that board and station use
	Stored       Slots
	ABI          uint
	Can          Capabilities
	Purposes     Purposes
	Algorithm    string // of all keys of the board, such as AlgorithmP256; at most 24 octets
	Boot         BootID
}

// A Subject is the part of the CSR's subject that the station chooses. The board adds
// its BoardID. Printable ASCII, at most 32 octets each; each may be empty.
type Subject struct {
	Organization       string
	OrganizationalUnit string
}

// A HandshakeReport is what the board reports about a mutual-TLS handshake.
type HandshakeReport struct {
	Received []byte // application data the board read from the verifier
}

// A WireCount counts the traffic of a UART since it was opened.
type WireCount struct {
	Sent     int64 // octets station → board, framing included
	Received int64 // octets board → station, framing and console included
	Retries  int   // requests that were sent again
}
