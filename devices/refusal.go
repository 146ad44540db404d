package devices

import (
	"errors"
	"fmt"

	"hallmark/devices/smp"
	"hallmark/station/reason"
)

// What a board refuses, PROTOCOL.md section 2, with the same words.
var (
	ErrInternal       = reason.New("internal", "a failure that has no better name")
	ErrBadMap         = reason.New("bad-map", "not a map, unknown or missing key, wrong type, duplicate key")
	ErrTooLong        = reason.New("too-long", "a length is past its bound")
	ErrOutOfOrder     = reason.New("out-of-order", "offset or TLS sequence number is not the expected one")
	ErrBadHash        = reason.New("bad-hash", "SHA-256 of what arrived is not the announced one")
	ErrBadSlot        = reason.New("bad-slot", "no such slot")
	ErrSealed         = reason.New("sealed", "the board is sealed: nothing is written any more").Below("bad-slot")
	ErrNoHUK          = reason.New("no-huk", "the hardware unique key is not available")
	ErrNoEntropy      = reason.New("no-entropy", "the random source does not deliver")
	ErrForeignKey     = reason.New("foreign-key", "the certificate's public key is not this board's")
	ErrUntrusted      = reason.New("untrusted", "the trust anchor does not sign this certificate or chain")
	ErrBadCertificate = reason.New("bad-certificate", "not one parseable DER certificate")
	ErrStoreIO        = reason.New("store-io", "flash refused to erase, program or read")
	ErrStoreFull      = reason.New("store-full", "larger than the slot, or all slots together larger than the store")
	ErrEmpty          = reason.New("empty", "nothing is stored in this slot")
	ErrTLSState       = reason.New("tls-state", "no TLS session is open")
	ErrCrypto         = reason.New("crypto", "a cryptographic operation failed")
	ErrNoAnchor       = reason.New("no-anchor", "a chain or certificate cannot be checked before a trust anchor is there")
	ErrNoNetwork      = reason.New("no-network", "the board has no network at this moment: no link, no address or no socket")
	ErrTLSBusy        = reason.New("tls-busy", "the TLS session before is still at work: ask again")

	ErrUpdateElsewhere = reason.New("update-elsewhere", "the update is for another board")
	ErrUpdateOld       = reason.New("update-old", "the board has this update, or a newer one")

	ErrInvalid        = reason.New("rc3", "the body is not a well-formed map")
	ErrUnsupported    = reason.New("rc8", "unknown group or command")
	ErrUnknownRefusal = reason.New("unknown-refusal", "a code that this station does not know")
)

// refusals is the one table between codes and sentinels.
var refusals = []struct {
	grouped bool
	rc      uint32
	*reason.Sentinel
}{
	{true, 1, ErrInternal}, {true, 2, ErrBadMap}, {true, 3, ErrTooLong}, {true, 4, ErrOutOfOrder},
	{true, 5, ErrBadHash}, {true, 6, ErrBadSlot}, {true, 7, ErrSealed}, {true, 8, ErrNoHUK},
	{true, 9, ErrNoEntropy}, {true, 10, ErrForeignKey}, {true, 11, ErrUntrusted}, {true, 12, ErrBadCertificate},
	{true, 13, ErrStoreIO}, {true, 14, ErrStoreFull}, {true, 15, ErrEmpty}, {true, 16, ErrTLSState},
	{true, 17, ErrCrypto}, {true, 18, ErrNoAnchor}, {true, 19, ErrNoNetwork}, {true, 20, ErrTLSBusy},
	{true, 21, ErrUpdateElsewhere}, {true, 22, ErrUpdateOld},
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
	is := r.sentinel()
	if r.Grouped {
		return fmt.Sprintf("board refuses: %s: %v (group %d, rc %d)", is.Word(), is, r.Group, r.RC)
	}
	return fmt.Sprintf("board refuses: %v (rc %d)", is, r.RC)
}

// Unwrap gives the sentinel.
func (r *Refusal) Unwrap() error { return r.sentinel() }

func (r *Refusal) sentinel() *reason.Sentinel {
	for _, row := range refusals {
		if row.grouped == r.Grouped && row.rc == r.RC && (!r.Grouped || r.Group == smp.GroupProvisioning) {
			return row.Sentinel
		}
	}
	return ErrUnknownRefusal
}

// otherServer turns a refusal of hello by an SMP server without our group into ErrOtherServer. The board is not bad:
// it runs other firmware.
func otherServer(err error) error {
	var refusal *Refusal
	if errors.As(err, &refusal) && (refusal.RC == smp.RCUnsupported && !refusal.Grouped || refusal.Grouped && refusal.Group != smp.GroupProvisioning) {
		return &Finding{is: ErrOtherServer, heard: refusal.Error()}
	}
	return err
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
