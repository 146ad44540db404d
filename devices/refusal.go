package devices

import (
	"errors"
	"fmt"

	"hallmark/devices/smp"
)

// What a board refuses, PROTOCOL.md section 2, with the same words.
var (
	ErrInternal       = &Reason{"internal", "a failure that has no better name"}
	ErrBadMap         = &Reason{"bad-map", "not a map, unknown or missing key, wrong type, duplicate key"}
	ErrTooLong        = &Reason{"too-long", "a length is past its bound"}
	ErrOutOfOrder     = &Reason{"out-of-order", "offset or TLS sequence number is not the expected one"}
	ErrBadHash        = &Reason{"bad-hash", "SHA-256 of what arrived is not the announced one"}
	ErrBadSlot        = &Reason{"bad-slot", "no such slot"}
	ErrSealed         = &Reason{"sealed", "the board is sealed: nothing is written any more"}
	ErrNoHUK          = &Reason{"no-huk", "the hardware unique key is not available"}
	ErrNoEntropy      = &Reason{"no-entropy", "the random source does not deliver"}
	ErrForeignKey     = &Reason{"foreign-key", "the certificate's public key is not this board's"}
	ErrUntrusted      = &Reason{"untrusted", "the trust anchor does not sign this certificate or chain"}
	ErrBadCertificate = &Reason{"bad-certificate", "not one parseable DER certificate"}
	ErrStoreIO        = &Reason{"store-io", "flash refused to erase, program or read"}
	ErrStoreFull      = &Reason{"store-full", "larger than the slot, or all slots together larger than the store"}
	ErrEmpty          = &Reason{"empty", "nothing is stored in this slot"}
	ErrTLSState       = &Reason{"tls-state", "no TLS session is open"}
	ErrCrypto         = &Reason{"crypto", "a cryptographic operation failed"}
	ErrNoAnchor       = &Reason{"no-anchor", "a chain or certificate cannot be checked before a trust anchor is there"}
	ErrNoNetwork      = &Reason{"no-network", "the board has no network at this moment: no link, no address or no socket"}

	ErrInvalid        = &Reason{"rc3", "the body is not a well-formed map"}
	ErrUnsupported    = &Reason{"rc8", "unknown group or command"}
	ErrUnknownRefusal = &Reason{"unknown-refusal", "a code that this station does not know"}
)

// refusals is the one table between codes and sentinels.
var refusals = []struct {
	grouped bool
	rc      uint32
	*Reason
}{
	{true, 1, ErrInternal}, {true, 2, ErrBadMap}, {true, 3, ErrTooLong}, {true, 4, ErrOutOfOrder},
	{true, 5, ErrBadHash}, {true, 6, ErrBadSlot}, {true, 7, ErrSealed}, {true, 8, ErrNoHUK},
	{true, 9, ErrNoEntropy}, {true, 10, ErrForeignKey}, {true, 11, ErrUntrusted}, {true, 12, ErrBadCertificate},
	{true, 13, ErrStoreIO}, {true, 14, ErrStoreFull}, {true, 15, ErrEmpty}, {true, 16, ErrTLSState},
	{true, 17, ErrCrypto}, {true, 18, ErrNoAnchor}, {true, 19, ErrNoNetwork},
	{false, smp.RCInvalid, ErrInvalid}, {false, smp.RCUnsupported, ErrUnsupported},
}

// A Refusal is a board's answer that it did not do what was asked. It wraps
// the sentinel of its row, or ErrUnknownRefusal; the raw codes stay readable.
type Refusal struct {
	Grouped bool   // `err` of Group; otherwise `rc` of SMP itself
	Group   uint16 // 64 for the table of PROTOCOL.md
	RC      uint32
}

func (r *Refusal) Error() string {
	reason := r.reason()
	if r.Grouped {
		return fmt.Sprintf("board refuses: %s: %s (group %d, rc %d)", reason.Word, reason.Meaning, r.Group, r.RC)
	}
	return fmt.Sprintf("board refuses: %s (rc %d)", reason.Meaning, r.RC)
}

// Unwrap gives the sentinel.
func (r *Refusal) Unwrap() error { return r.reason() }

func (r *Refusal) reason() *Reason {
	for _, row := range refusals {
		if row.grouped == r.Grouped && row.rc == r.RC && (!r.Grouped || r.Group == smp.GroupProvisioning) {
			return row.Reason
		}
	}
	return ErrUnknownRefusal
}

// RefusalFor gives the refusal with this sentinel: the other direction of the table.
func RefusalFor(reason error) (*Refusal, bool) {
	for _, row := range refusals {
		if !errors.Is(reason, row.Reason) {
			continue
		}
		refusal := &Refusal{Grouped: row.grouped, RC: row.rc}
		if row.grouped {
			refusal.Group = smp.GroupProvisioning
		}
		return refusal, true
	}
	return nil, false
}

// answered turns what the codec says of an answer into this package's words.
func answered(err error) error {
	var failure *smp.Failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure):
		return &Refusal{Grouped: failure.Grouped, Group: failure.Group, RC: failure.RC}
	default:
		return fmt.Errorf("%w: %w", ErrMalformedAnswer, err)
	}
}
