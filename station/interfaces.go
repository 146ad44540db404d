package station

import (
	"context"
	"net"
	"net/netip"
	"time"

	"hallmark/devices"
	"hallmark/station/issuance"
)

// Each call on one of these interfaces is one effect. The fault sweep counts
// them and stops the world before and after each (I11).

// Board is one board in a bay. Calls are made one at a time. Errors that are
// the board's fault wrap a [devices.Refusal] or one of devices' sentinels;
// all other errors are the line's.
type Board interface {
	// Identify asks who the board is; it is the first call of each Run and the first after a reset.
	Identify(ctx context.Context) (devices.Identity, error)
	// CSR asks for a PKCS#10 request of the purpose's key that carries the nonce.
	CSR(ctx context.Context, purpose devices.Purpose, nonce [devices.NonceSize]byte, subject devices.Subject) (der []byte, err error)
	// Write stores DER in a slot; writing what is there already changes nothing.
	Write(ctx context.Context, slot devices.Slot, der []byte) error
	// Read gives what the slot holds in flash.
	Read(ctx context.Context, slot devices.Slot) (der []byte, err error)
	// Reset restarts the board and returns when it answers again with a new
	// boot id, which it returns together with the BoardID that answered.
	Reset(ctx context.Context) (devices.BoardID, devices.BootID, error)
	// Handshake has the board do mutual TLS over conn, demanding serverName,
	// and returns when the board has read the verifier's answer or given up.
	Handshake(ctx context.Context, conn net.Conn, serverName string) (devices.HandshakeReport, error)
	// Seal ends the board's life on the line: its store accepts no write any more.
	Seal(ctx context.Context) error
}

// BoardCounters is what a Board may offer beside its calls, for the report of a Run.
type BoardCounters interface {
	Wire() devices.WireCount
	// Console gives the text that stood between frames, newest last, bounded.
	Console() []byte
}

// BoardWaits is what a Board may offer to tell the station's own time from
// the time of board and wire.
type BoardWaits interface {
	// Waited gives the time spent waiting for the board since the line was opened.
	Waited() time.Duration
}

// Issuer decides on CSRs and signs. *issuance.Issuer is the implementation.
type Issuer interface {
	// Check refuses, with one sentinel for each reason, or grants exactly one signature.
	Check(ctx context.Context, req issuance.Request) (*issuance.Grant, error)
	// Sign redeems the grant: intent, signature, result; or the stored certificate (I9).
	Sign(ctx context.Context, grant *issuance.Grant) (*issuance.Certificate, error)
}

// Registry remembers boards, certificates and Runs. Each call is one durable
// transaction with its audit entry: after nil both survive a power cut.
type Registry interface {
	// Admit is asked after identify: it refuses a clone (same BoardID from
	// another hardware id, ErrClone), and opens the Run's record.
	Admit(ctx context.Context, run *Run) error
	// Delivered notes that the certificate was read back from the board.
	Delivered(ctx context.Context, run *Run) error
	// Activate makes the Run's certificate active and, at a rework, revokes
	// the one before it, in one step (I3, I7).
	Activate(ctx context.Context, run *Run) error
	// Close ends the Run's record. It is called exactly once for each admitted Run.
	Close(ctx context.Context, run *Run) error
}

// Known answers what the registry knows of a certificate. *registry.Registry
// is the implementation; the verifier asks the same question.
type Known interface {
	// Lookup gives the record of the certificate with this serial number, or
	// ErrUnknownCertificate.
	Lookup(ctx context.Context, serial [16]byte) (Record, error)
}

// Record is what the registry knows of one certificate.
type Record struct {
	BoardID           devices.BoardID
	Purpose           devices.Purpose
	CertificateSHA256 [32]byte
	Status            Status
}

// Handshakes reports whether the certificate is for the key that does
// handshakes. Any other is refused there, whatever its extensions say.
func (r Record) Handshakes() bool { return r.Purpose == devices.PurposeTLS }

// Status is where a certificate stands in its life.
type Status string

// The statuses of a certificate. Only StatusActive is good for a stranger's handshake;
// StatusIssued and StatusDelivered are good only in the Run that delivers them.
const (
	StatusIssued     Status = "issued"     // signed and stored, not yet seen on the board
	StatusDelivered  Status = "delivered"  // read back from the board
	StatusActive     Status = "active"     // recorded after a handshake (I7)
	StatusSuperseded Status = "superseded" // replaced by a rework
	StatusRevoked    Status = "revoked"
	StatusScrapped   Status = "scrapped"   // the board was destroyed
	StatusUnresolved Status = "unresolved" // possibly signed, never stored (I10); as revoked
)

// Verifier is the mutual-TLS endpoint of the handshake step.
type Verifier interface {
	// Connect opens a connection on which the verifier expects exactly this
	// certificate. The caller closes Session.Conn.
	Connect(ctx context.Context, certificate []byte) (Session, error)
	// ServerName is the name the board must find in the verifier's certificate.
	ServerName() string
}

// Session is one connection to the verifier.
type Session interface {
	Conn() net.Conn
	// Verdict waits for the verifier's decision: what was presented, or why it refused.
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
	// Verdict waits for the board, and returns what the board presented, or why it was
	// refused. When ctx ends first: ErrNoNetworkSession, with the reason of a refusal meanwhile.
	Verdict(ctx context.Context) (Presented, error)
	Close() error
}

// Presented is what the verifier saw in an accepted handshake.
type Presented struct {
	CertificateSHA256 [32]byte
	TLSVersion        uint16 // as crypto/tls
	CipherSuite       uint16
	Answer            []byte // what the verifier sent to the board, at most 16 octets
	OverNetwork       bool   // the board dialled by itself
}
