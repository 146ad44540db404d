package hsm

import (
	"context"
	"io"
)

// maxRandom is the largest request in octets. Some modules refuse larger requests.
const maxRandom = 1024

// Random returns a reader of the token's random numbers (C_GenerateRandom). Never use
// them as the only source. On ErrNoRandom continue with the system's random numbers.
func (t *Token) Random() io.Reader { return random{t} }

type random struct{ token *Token }

func (r random) Read(p []byte) (int, error) {
	want := min(len(p), maxRandom)
	if want == 0 {
		return 0, nil
	}
	octets, err := call(context.Background(), r.token, "reading random numbers", func(c *connection) ([]byte, error) {
		own := make([]byte, want) // a call that hangs must not write into p later
		_, err := io.ReadFull(c.random, own)
		return own, err
	})
	return copy(p, octets), err
}
