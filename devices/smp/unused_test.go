package smp

// Info asks for a description of the system. PROTOCOL.md section 3 has it, and a
// vector; no station asks for it.
type Info struct {
	Format string `cbor:"format,omitempty"`
}

func (*Info) Command() Command { return Command{GroupOS, 7, Read} }
func (*Info) form() form       { return form{{key: "format", kind: textKind, most: 16, optional: true}} }

// unmarshalWhole decodes a body that is not in a message.
func unmarshalWhole(encoded []byte, body Body) error {
	split, err := pairsOf(encoded)
	if err != nil {
		return err
	}
	return unmarshal(encoded, split, body)
}

// heldBy gives the octets of the line that the decoder has not completed yet.
func heldBy(d *Decoder) int {
	held := 0
	if d.held != 0 {
		held = 1
	}
	if d.inLine {
		held += markerSize + d.n
	}
	return held
}
