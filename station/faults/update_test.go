package faults_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/devices/update"
	"hallmark/fixtures/prerequisite"
	"hallmark/station"
)

// A firmware update changes the image, not the board: fuses and flash stay.
func TestAFirmwareUpdateKeepsTheIdentity(t *testing.T) {
	l := newEnvironment(t, nil)
	onPorts(t, func(t *testing.T, factory emulated.Config) {
		// 1. The board is enrolled with the provisioning image.
		factory.Dir = t.TempDir()
		bay := l.bay("bay")
		board := l.plug(t, factory, longTimeout, nil)
		before := must(board.Identify(t.Context()))(t)
		enrolled := bay.enrol(t, board, board)
		ends(t, enrolled, station.Pass, "")

		// 2. The board is updated to the product's image.
		product := factory
		product.Image = prerequisite.Firmware(t, image(factory.Image, "-product"))
		board = l.plug(t, product, longTimeout, nil)
		after := must(board.Identify(t.Context()))(t)
		sameBoard(t, before, after)
		if after.FirmwareHash == before.FirmwareHash || after.Can.Has(devices.CanProvision) {
			t.Errorf("this is no product image: hash %x, can %#b", after.FirmwareHash, after.Can)
		}
		l.proves(t, board, enrolled)
		unchangeable(t, board, enrolled)

		// 3. The product's image takes an update that the root has signed, once.
		l.renews(t, board, enrolled)

		// 4. A station refuses the product's image, and says what to do.
		ends(t, bay.enrol(t, board, board), station.Reject, devices.ErrProductImage.Word())

		// 5. A product that has chosen the handshake does it as before.
		if chosen := image(factory.Image, "-product-tls"); filepath.Ext(chosen) == "" { // built for posix only
			product.Image = prerequisite.Firmware(t, chosen)
			board = l.plug(t, product, longTimeout, nil)
			l.works(t, board, enrolled)
			if err := board.Close(); err != nil {
				t.Error(err)
			}
		}

		// 6. The board gets the provisioning image again.
		board = l.plug(t, factory, longTimeout, nil)
		if back := must(board.Identify(t.Context()))(t); back.FirmwareHash != before.FirmwareHash {
			t.Errorf("firmware hash %x, was %x", back.FirmwareHash, before.FirmwareHash)
		}
		l.works(t, board, enrolled)
		again := bay.enrol(t, board, board)
		ends(t, again, station.Pass, "")
		same(t, enrolled, again)
		l.checkInvariants(t)
	})
}

// image returns the path of the image of another kind that belongs to a provisioning image.
func image(provisioning, kind string) string {
	ending := filepath.Ext(provisioning)
	return strings.TrimSuffix(provisioning, ending) + kind + ending
}

func sameBoard(t *testing.T, before, after devices.Identity) {
	t.Helper()
	after.Stored, after.Boot, after.FirmwareHash, after.Can = before.Stored, before.Boot, before.FirmwareHash, before.Can
	if after != before {
		t.Errorf("after the update the board says %+v, before it %+v", after, before)
	}
}

// works checks that the board has its certificate, and that the verifier accepts the board.
func (l *environment) works(t *testing.T, board plugged, enrolled *station.Run) {
	t.Helper()
	want := enrolled.Certificate.DER
	if got := must(board.Read(t.Context(), devices.SlotCertificate))(t); !bytes.Equal(got, want) {
		t.Fatalf("the board holds another certificate: %x", got)
	}
	session := must(l.verifier.Connect(t.Context(), want))(t)
	defer session.Close()
	_, err := board.Handshake(t.Context(), session.Conn(), l.verifier.ServerName())
	if presented, refused := session.Verdict(t.Context()); errors.Join(err, refused) != nil || presented.CertificateSHA256 != enrolled.Certificate.SHA256 {
		t.Errorf("board: %v; verifier: %v, saw %x", err, refused, presented.CertificateSHA256)
	}
}

// proves checks that the board has its certificate, and signs with the certificate's key what it is and holds.
func (l *environment) proves(t *testing.T, board plugged, enrolled *station.Run) {
	t.Helper()
	want := enrolled.Certificate.DER
	if got := must(board.Read(t.Context(), devices.SlotCertificate))(t); !bytes.Equal(got, want) {
		t.Fatalf("the board holds another certificate: %x", got)
	}
	certificate := must(x509.ParseCertificate(want))(t)
	expected := devices.ExpectedReceipt(must(board.Identify(t.Context()))(t), [devices.NonceSize]byte{7}, want, must(board.Read(t.Context(), devices.SlotAnchor))(t))
	first := must(board.Receipt(t.Context(), expected, certificate.PublicKey.(*ecdsa.PublicKey)))(t)
	if again := must(board.Receipt(t.Context(), expected, certificate.PublicKey.(*ecdsa.PublicKey)))(t); !bytes.Equal(first, again) {
		t.Errorf("two receipts for one nonce differ, so the signatures are not deterministic (RFC 6979):\n%x\n%x", first, again)
	}
}

// renews gives the board its present chain and certificate again, in an update file. Whatever image it has later must know the store that this leaves.
func (l *environment) renews(t *testing.T, board plugged, enrolled *station.Run) {
	t.Helper()
	draft := must(update.New(enrolled.Identity.ID, 1, update.Slots{devices.SlotChain: l.Issuing.Raw, devices.SlotCertificate: enrolled.Certificate.DER}))(t)
	digest := sha256.Sum256(draft.Signed)
	signature := must(must(l.instance.RootSigner(t.Context()))(t).Sign(rand.Reader, digest[:], crypto.SHA256))(t)
	file := must(draft.Finish(signature, l.Root.PublicKey.(*ecdsa.PublicKey)))(t)
	if err := board.Update(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if err := board.Update(t.Context(), file); !errors.Is(err, devices.ErrUpdateOld) {
		t.Errorf("the same file again: %v", err)
	}
	l.proves(t, board, enrolled)
}

// unchangeable checks that a product's image has none of the commands that change a board, or let anybody use its identity.
func unchangeable(t *testing.T, board plugged, enrolled *station.Run) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	_, handshake := board.Handshake(t.Context(), near, "verifier.station")
	_, csr := board.CSR(t.Context(), devices.PurposeTLS, [devices.NonceSize]byte{1}, devices.Subject{})
	for command, err := range map[string]error{
		"csr":                          csr,
		"tls":                          handshake,
		"write of what is there":       board.Write(t.Context(), devices.SlotCertificate, enrolled.Certificate.DER),
		"write of another certificate": board.Write(t.Context(), devices.SlotAnchor, enrolled.Certificate.DER),
		"seal":                         board.Seal(t.Context()),
	} {
		if !errors.Is(err, devices.ErrUnsupported) {
			t.Errorf("%s: %v, want %v", command, err, devices.ErrUnsupported)
		}
	}
	if id := must(board.Identify(t.Context()))(t); id.Sealed || id.Stored != 1<<devices.SlotAnchor|1<<devices.SlotChain|1<<devices.SlotCertificate {
		t.Errorf("a refused command left %+v", id)
	}
}
