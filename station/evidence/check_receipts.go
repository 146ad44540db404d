package evidence

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"hallmark/devices/receipt"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// A boardReceipt is what an entry says of the receipt of a board.
type boardReceipt struct {
	seq   int64
	name  string // file of the entry
	cose  []byte
	shown digest       // SHA-256 of the certificate that the board presented in the handshake before
	board string       // BoardID
	said  *audit.Board // what the board said of itself when its Run began; nil: the entry is not in the bundle
	lc    uint8        // life cycle, as the entry has it
	tls   string       // serial number of the TLS certificate that became active; empty: the entry is about another key
}

// followBoard remembers what the board of each open Run said of itself.
func (c *checker) followBoard(e *audit.Entry) {
	switch {
	case e.Run == nil:
	case e.Type == "board.admitted":
		c.said[e.Run.ID] = e.Board
	case strings.HasPrefix(e.Type, "run."):
		delete(c.said, e.Run.ID)
	}
}

// followReceipt keeps the receipt of an entry until the certificates are read.
func (c *checker) followReceipt(e *audit.Entry, name string) error {
	c.followBoard(e)
	if e.Details["receipt"] == "" {
		return nil
	}
	one := boardReceipt{seq: e.Seq, name: name}
	if e.Run != nil {
		one.said = c.said[e.Run.ID]
	}
	if e.Details["sealed"] == "true" {
		one.lc = 1
	}
	var err error
	if one.cose, err = base64.StdEncoding.DecodeString(e.Details["receipt"]); err != nil {
		return c.find(e.Seq, name, "the receipt is not base64: %v", err)
	}
	if !parseHex(one.shown[:], e.Details["presented_sha256"]) {
		return c.find(e.Seq, name, "%q is not the SHA-256 of the certificate that the board presented", e.Details["presented_sha256"])
	}
	if e.Board != nil {
		one.board = e.Board.ID
	}
	if e.Cert != nil && e.Cert.Purpose == "tls" {
		one.tls = e.Cert.Serial
	}
	c.receipts = append(c.receipts, one)
	return nil
}

// checkReceipts checks each receipt: signed with the key of the certificate that the board presented, which is the one that became active if
// it is for TLS; about this certificate, this board, the firmware, HUK source and life cycle of the entries and a trust anchor of the bundle, and with a nonce of its own.
func (c *checker) checkReceipts() error {
	nonces, elsewhere := map[string]int64{}, 0
	for _, one := range c.receipts {
		wrong, nonce, err := c.wrongReceipt(one)
		if err != nil {
			return err
		}
		if wrong == "" && nonce == "" {
			elsewhere++
			continue
		}
		if before, again := nonces[nonce]; wrong == "" && again {
			wrong = fmt.Sprintf("the receipt is that of entry %d: its nonce was used before", before)
		}
		if wrong != "" {
			if err := c.find(one.seq, one.name, "%s", wrong); err != nil {
				return err
			}
			continue
		}
		nonces[nonce] = one.seq
		c.verdict.Receipts++
	}
	if elsewhere > 0 {
		c.skip(certificateDir, reason.Count(elsewhere, "receipt was", "receipts were")+" not checked: the bundle lacks, or has a damaged, certificate that the board presented")
	}
	return nil
}

// wrongReceipt says what is wrong with a receipt, or nothing.
func (c *checker) wrongReceipt(one boardReceipt) (wrong, nonce string, err error) {
	der, err := c.files.Read(certificateFile(one.shown))
	if errors.Is(err, fs.ErrNotExist) && c.verdict.Part {
		return "", "", nil // the certificate is in another part
	}
	if err != nil {
		return fmt.Sprintf("the certificate %x of the receipt cannot be read: %v", one.shown, err), "", nil
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return "", "", nil // found by the check of the certificates
	}
	key, is := certificate.PublicKey.(*ecdsa.PublicKey)
	if !is {
		return "the certificate of the receipt has no ECDSA key", "", nil
	}
	r, err := receipt.Open(one.cose, key)
	switch {
	case err != nil:
		return fmt.Sprintf("the receipt does not hold: %v", err), "", nil
	case one.tls != "" && fmt.Sprintf("%032x", certificate.SerialNumber) != one.tls:
		return "the board presented another certificate than the one that became active", "", nil
	case string(r.Certificate) != string(one.shown[:]):
		return "the receipt is about another certificate", "", nil
	case len(r.ID) != 16 || uuid.UUID(r.ID).String() != one.board:
		return "the receipt is about another board", "", nil
	case r.LifeCycle != one.lc:
		return fmt.Sprintf("the receipt says life cycle %d, and the entry %d", r.LifeCycle, one.lc), "", nil
	case one.said != nil && hex.EncodeToString(r.FirmwareHash) != one.said.SHA256:
		return fmt.Sprintf("the receipt says firmware %x, and the entry that admitted the board %s", r.FirmwareHash, one.said.SHA256), "", nil
	case one.said != nil && sourceOf(r) != one.said.HUK:
		return fmt.Sprintf("the receipt says HUK source %s, and the entry that admitted the board %s", sourceOf(r), one.said.HUK), "", nil
	case !c.isAnchor(r.Anchor):
		return "the receipt names a trust anchor that is not in " + AuthoritiesFile, "", nil
	}
	return "", string(r.Nonce), nil
}

// sourceOf gives the source of the HUK as the audit log has it.
func sourceOf(r receipt.Receipt) string {
	source := strconv.Itoa(int(r.HUK))
	if r.Caller != nil {
		source += " caller " + strconv.Itoa(int(*r.Caller))
	}
	return source
}

func (c *checker) isAnchor(sum []byte) bool {
	for _, authority := range c.known {
		if own := sha256.Sum256(authority.Raw); string(own[:]) == string(sum) {
			return true
		}
	}
	return false
}
