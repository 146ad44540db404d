package station

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"net"
	"net/netip"
	"time"

	"hallmark/devices"
	"hallmark/station/issuance"
)

// Each call on one of these interfaces is one effect. The fault sweep counts the effects, and
// crashes the station before and after each of them (I11).

// Board is one board in a bay. The engine makes one call at a time. If the board is at fault,
// the error wraps a [devices.Refusal] or one of the sentinels of package devices. All other
// errors are errors of the connection.
type Board interface {
	// Identify asks the board for its identity. Identify is the first call of each Run.
	Identify(ctx context.Context) (devices.Identity, error)
	// CSR asks for a PKCS#10 request, with the nonce, for the key of the purpose.
	CSR(ctx context.Context, purpose devices.Purpose, nonce [devices.NonceSize]byte, subject devices.Subject) (der []byte, err error)
	// Write stores DER in a slot. Nothing changes if the slot already holds the same DER.
	Write(ctx context.Context, slot devices.Slot, der []byte) error
	// Read returns the content of the slot, from flash.
	Read(ctx context.Context, slot devices.Slot) (der []byte, err error)
	// Reset restarts the board and returns when it answers again with a new
	// boot id, which it returns together with the BoardID that answered.
	Reset(ctx context.Context) (devices.BoardID, devices.BootID, error)
	// Handshake has the board do mutual TLS over conn, demanding serverName,
	// and returns when the board has read the verifier's answer or given up.
	Handshake(ctx context.Context, conn net.Conn, serverName string) (devices.HandshakeReport, error)
	// Seal ends provisioning for good: the board's store accepts no further write.
	Seal(ctx context.Context) error
}

// ReceiptBoard is an optional interface of a Board, for boards with [devices.CanReceipt].
type ReceiptBoard interface {
	// Receipt asks the board to sign what it is and holds, and returns the COSE_Sign1. It fails with
	// devices.ErrReceiptKey if the board signs something else than expected.
	Receipt(ctx context.Context, expected devices.Receipt, key *ecdsa.PublicKey) (cose []byte, err error)
}

// BoardCounters is an optional interface of a Board, for the report of a Run.
type BoardCounters interface {
	Wire() devices.WireCount
	// Console returns the newest text that the board printed between frames, up to a limit.
	Console() []byte
}

// RestartingBoard is an optional interface of a Board. The port of a board with a USB interface of its own disappears when the board
// restarts, also when a probe restarts it.
type RestartingBoard interface {
	// ExpectRestart says that the board may restart within a time, so that the port is waited for. Zero says that the restart is over.
	ExpectRestart(within time.Duration)
}

// SettlingBoard is an optional interface of a Board whose port needs a pause after it was opened.
type SettlingBoard interface {
	// Settle waits until the port may be written to.
	Settle(ctx context.Context) error
}

// BoardWaits is an optional interface of a Board. With it, a report separates the station's
// own time from the time of board and wire.
type BoardWaits interface {
	// Waited returns the time spent waiting for the board since the board was opened.
	Waited() time.Duration
}

// DebugPort is the debug port (SWD or JTAG) of the board in a bay, with the probe that is
// connected to it. The engine makes one call at a time. An error wraps the refusal of the probe
// or of its programmer. The calls work on a board that has no firmware.
type DebugPort interface {
	// Setup says what the station does over this debug port. It is the same at each call.
	Setup() DebugSetup
	// Target asks probe and chip who they are, and refuses a chip without supply. With an error it has the probe's serial
	// number, if that is known.
	Target(ctx context.Context) (ProbeRecord, error)
	// Content says what the board's flash holds at the place of the image of Setup.
	Content(ctx context.Context) (FlashContent, error)
	// Flash writes the image of Setup, verifies it and lets the board run. progress gets octets,
	// from one goroutine. If some octets may be written and others not, the error has the
	// reason of ErrNeedsFlash.
	Flash(ctx context.Context, progress func(done, total int)) error
	// Restart resets the board and lets it run.
	Restart(ctx context.Context) error
	// ReadStore returns the octets of the board's certificate store, from flash.
	ReadStore(ctx context.Context) ([]byte, error)
	// Lock closes the debug port for good.
	Lock(ctx context.Context) error
	// LockState reads the state of the lock, over a new connection.
	LockState(ctx context.Context) (LockState, error)
}

// Issuer decides on CSRs and signs. *issuance.Issuer is the implementation.
type Issuer interface {
	// Check refuses, with one sentinel for each reason, or grants exactly one signature.
	Check(ctx context.Context, req issuance.Request) (*issuance.Grant, error)
	// Sign uses the grant: it stores the intent, signs, and stores the certificate. If this
	// request was answered before, Sign returns the stored certificate (I9).
	Sign(ctx context.Context, grant *issuance.Grant) (*issuance.Certificate, error)
}

// Registry stores boards, certificates and Runs. Each call is one durable transaction
// together with its audit entry: after a nil error both survive a power cut.
type Registry interface {
	// ImageAllowed refuses, with ErrImageNotAllowed, an image that is not on the list of the Run's work order. image is the
	// SHA-256 as boards report it.
	ImageAllowed(ctx context.Context, run *Run, image [sha256.Size]byte) error
	// Admit opens the Run's record, after the board was identified. Admit refuses a clone
	// (the same BoardID with another hardware id) with ErrClone.
	Admit(ctx context.Context, run *Run) error
	// Delivered notes that the certificate was read back from the board.
	Delivered(ctx context.Context, run *Run) error
	// Activate makes the Run's certificate active. At a rework it also revokes the
	// previous certificate, in the same transaction (I3, I7).
	Activate(ctx context.Context, run *Run) error
	// SealIntended notes that the store of the Run's board is about to be sealed.
	SealIntended(ctx context.Context, run *Run) error
	// LockIntended notes that the debug port of the Run's board is about to be locked. Run.Lock has
	// the recipe, and the state before.
	LockIntended(ctx context.Context, run *Run) error
	// LockRead notes the state of the lock as it was read from the board, in Run.Lock. A locked port
	// without an intent on record is refused with ErrLockedElsewhere.
	LockRead(ctx context.Context, run *Run) error
	// Close ends the Run's record and gives the outcome of a Pass. The engine calls Close exactly
	// once for each Run that met a board, also for a Run that was refused.
	Close(ctx context.Context, run *Run) (Outcome, error)
}

// Known looks certificates and boards up in the registry. *registry.Registry is the
// implementation. The verifier looks up certificates in the same way.
type Known interface {
	// Lookup returns the record of the certificate with this serial number, or
	// ErrUnknownCertificate.
	Lookup(ctx context.Context, serial [16]byte) (Record, error)
	// Standing returns what the registry has about a board. An unknown board has the zero Standing.
	Standing(ctx context.Context, id devices.BoardID) (Standing, error)
	// Marked returns why a person has marked the board for a rework of this purpose. It is empty if nobody has.
	Marked(ctx context.Context, id devices.BoardID, purpose devices.Purpose) (reason string, err error)
	// Ends returns the notAfter of the board's active certificate for a purpose. It is zero if no
	// certificate is active.
	Ends(ctx context.Context, id devices.BoardID, purpose devices.Purpose) (time.Time, error)
	// Renewed reports whether an update file that was made for the board has the certificate with this SHA-256.
	Renewed(ctx context.Context, id devices.BoardID, certificate [sha256.Size]byte) (bool, error)
}

// Standing is what the registry has about one board.
type Standing struct {
	Active time.Time // when a certificate of the board became active; zero if none is active
	Lock   LockState // as last read from the board, or LockPending; empty if the station never locked the board
}

// Record is the registry's record of one certificate.
type Record struct {
	BoardID           devices.BoardID
	Purpose           devices.Purpose
	CertificateSHA256 [32]byte
	Status            Status
}

// Handshakes reports whether the certificate is for a TLS key. The verifier refuses every
// other certificate in a handshake, whatever extensions the certificate has.
func (r Record) Handshakes() bool { return r.Purpose == devices.PurposeTLS }

// Status is the state of a certificate in its life cycle.
type Status string

// The statuses of a certificate. The verifier accepts StatusActive in every handshake, and
// StatusIssued and StatusDelivered only in the handshake of the Run that delivers the certificate.
const (
	StatusIssued     Status = "issued"     // signed and stored, not yet seen on the board
	StatusDelivered  Status = "delivered"  // read back from the board
	StatusActive     Status = "active"     // recorded after a handshake (I7)
	StatusSuperseded Status = "superseded" // replaced by a rework
	StatusRevoked    Status = "revoked"
	StatusScrapped   Status = "scrapped"   // the board was destroyed
	StatusHeld       Status = "held"       // issued, delivered or active, and its board is on hold
	StatusUnresolved Status = "unresolved" // possibly signed, never stored (I10); treated as revoked
)

// Verifier is the mutual-TLS endpoint of the handshake step.
type Verifier interface {
	// Connect opens a connection on which the verifier accepts only this certificate (DER).
	// The caller closes Session.Conn.
	Connect(ctx context.Context, certificate []byte) (Session, error)
	// ServerName is the name that the board must find in the verifier's certificate.
	ServerName() string
}

// Session is one connection to the verifier.
type Session interface {
	Conn() net.Conn
	// Verdict waits for the verifier's decision. It returns the presented certificate, or
	// the reason of a refusal.
	Verdict(ctx context.Context) (Presented, error)
	Close() error
}

// NetworkBoard is a Board that can reach the verifier over its own network.
type NetworkBoard interface {
	// NetworkHandshake has the board dial address and do mutual TLS there, demanding
	// serverName; it returns when the board has read the verifier's answer or given up.
	NetworkHandshake(ctx context.Context, address netip.AddrPort, serverName string) (devices.HandshakeReport, error)
}

// NetworkSessions is the verifier for boards that dial by themselves. *verifier.Server implements it.
type NetworkSessions interface {
	// Expect has the verifier accept a board with exactly this certificate (DER). The caller closes the session.
	Expect(ctx context.Context, certificate []byte) (NetworkSession, error)
}

// NetworkSession is the wait for one board that dials the verifier by itself.
type NetworkSession interface {
	// Address returns the address that the board must dial.
	Address() netip.AddrPort
	// Verdict waits for the board. It returns the presented certificate, or the reason of a
	// refusal. If ctx ends first, Verdict returns ErrNoNetworkSession, together with the
	// reason if the verifier refused a board meanwhile.
	Verdict(ctx context.Context) (Presented, error)
	Close() error
}

// Presented describes an accepted handshake, as the verifier saw it.
type Presented struct {
	CertificateSHA256 [32]byte
	TLSVersion        uint16 // a constant of crypto/tls
	CipherSuite       uint16
	Answer            []byte // the verifier's answer to the board, at most 16 octets
	OverNetwork       bool   // the board dialled by itself
}
