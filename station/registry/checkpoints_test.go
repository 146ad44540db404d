package registry

import (
	"crypto"
	"crypto/ecdsa"
	"io"
	"sync"
	"testing"
	"time"
)

// A meanwhile does something while a signature is made.
type meanwhile struct {
	*ecdsa.PrivateKey
	once sync.Once
	do   func()
}

func (m *meanwhile) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	m.once.Do(m.do)
	return m.PrivateKey.Sign(random, digest, opts)
}

// Two parts of a station may ask for a checkpoint at the same time: after an order of the hub, and after a Run.
func TestCheckpointsAtTheSameTimeLeaveARegistryThatOpens(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	second := make(chan error, 1)
	first := &meanwhile{PrivateKey: b.key, do: func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.stopBay(b.run())
			second <- b.Checkpoint(t.Context(), origin, b.key)
		}()
		select {
		case <-done:
		case <-time.After(300 * time.Millisecond): // it waits for the first one, as it should
		}
	}}
	b.must(b.Checkpoint(t.Context(), origin, first))
	b.must(<-second)
	b.reopen()
	if _, err := b.VerifyAudit(t.Context(), b.vkey); err != nil {
		t.Error(err)
	}
}
