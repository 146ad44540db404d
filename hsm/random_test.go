package hsm

import (
	"context"
	"io"
)

// maxRandom is the largest request in octets. Some modules refuse larger requests.
const maxRandom = 1024

// Random reads the token's random numbers (C_GenerateRandom): a call that needs
// no key, to see how calls fare when the token is lost or hangs.
func (t *Token) Random() io.Reader { return random{t} }

type random struct{ token *Token }

func (r random) Read(p []byte) (int, error) {
	want := min(len(p), maxRandom)
	if want == 0 {
		return 0, nil
	}
	octets, err := call(context.Background(), r.token, "reading random numbers", func(c *connection) ([]byte, error) {
		reader, err := c.module.NewRandomReader()
		if err != nil {
			return nil, err
		}
		own := make([]byte, want) // a stuck call must not write into p later
		_, err = io.ReadFull(reader, own)
		return own, err
	})
	return copy(p, octets), err
}
