package instance

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hallmark/configs"
	"hallmark/devices/probe"
	"hallmark/station/issuance"
)

// ImageFacts describes the image of a definition, with the hash that a board with it reports; empty: there is no image that can be read. doubt is
// ProductDoubt of the image.
func ImageFacts(board *configs.Board) (facts, doubt string) {
	base, known := board.Firmware.Base()
	if board.Firmware.Image == "" || !known {
		return "", ""
	}
	image, err := probe.ReadImage(board.Firmware.Image, base)
	if err != nil {
		return "", "" // Board.Missing says so
	}
	var places []string
	for _, s := range image.Segments {
		places = append(places, fmt.Sprintf("%#08x to %#08x", s.Address, s.End()-1))
	}
	hash := "boards cannot report its hash, because of a gap that is too long"
	if sum := image.FlashSHA256(); sum != [sha256.Size]byte{} {
		hash = fmt.Sprintf("a board that runs it reports %x (for boards.firmware_allow and --firmware-allow)", sum)
	}
	return fmt.Sprintf("%s lies at %s; SHA-256 of the file %x; %s", image.Name, strings.Join(places, ", "), image.SHA256, hash), ProductDoubt(image)
}

// ProductDoubt says why an image looks like one of a product, which no station can enrol (its Runs end as image-unfit); empty: it has what each
// provisioning image has.
func ProductDoubt(image *probe.Image) string {
	if slices.ContainsFunc(image.Segments, func(s probe.Segment) bool { return issuance.HasNonceOID(s.Data) }) {
		return ""
	}
	return image.Name + " does not have the OID that each CSR carries (PROTOCOL.md section 4), so it is the image of a product or of other firmware, with which no board can be enrolled, or it is compressed or encrypted"
}

// Scripts has the OpenOCD of this machine read the scripts and commands of a board definition. It connects to nothing. The note
// says which OpenOCD has read them, or why nobody did; it is empty for a definition without openocd.
func Scripts(ctx context.Context, board *configs.Board) (missing []configs.Finding, note string) {
	if !board.Probe.OpenOCD.Configured() {
		return nil, ""
	}
	version, err := newOpenOCD(board).Check(ctx)
	switch {
	case err == nil:
		return nil, version + " has the scripts of probe.openocd"
	case errors.Is(err, probe.ErrScript):
		return []configs.Finding{{Key: "probe.openocd", Text: fmt.Sprintf("OpenOCD of this machine cannot use it: %v", err), Next: "correct the name, install an OpenOCD that has the script, or use another driver"}}, ""
	}
	return nil, fmt.Sprintf("nobody has read the scripts of probe.openocd: %v", err)
}
