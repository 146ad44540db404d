package hsm

import (
	"context"
	"io"
)

// maxRandom is the most octets asked for at once; some modules refuse more.
const maxRandom = 1024

// Random reads the token's random numbers (C_GenerateRandom). Never use it as
// the only source; on ErrNoRandom go on with the system's.
func (t *Token) Random() io.Reader { return random{t} }

type random struct{ token *Token }

func (r random) Read(p []byte) (int, error) {
	want := min(len(p), maxRandom)
	if want == 0 {
		return 0, nil
	}
	octets, err := call(context.Background(), r.token, "reading random numbers", func(c *connection) ([]byte, error) {
		own := make([]byte, want) // a stuck call must not write into p later
		_, err := io.ReadFull(c.random, own)
		return own, err
	})
	return copy(p, octets), err
}
