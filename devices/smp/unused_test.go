package smp

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
