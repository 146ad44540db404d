package devices

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"

	"hallmark/devices/smp"
	"hallmark/devices/update"
)

// The board takes the last piece, and its answer gets lost: it refuses the piece when it comes again.
func TestAnUpdateWhoseLastAnswerGetsLostIsNotRefused(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := bytes.Repeat([]byte{0x30}, 100)
	draft, err := update.New([16]byte(hello.ID), 1, update.Slots{SlotCertificate: der})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(draft.Signed)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	file, err := draft.Finish(signature, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	field := hello
	field.Capabilities, field.BufferSize = 8, 2048
	taken, old := answer(&smp.UpdateResponse{Next: uint32(len(file))}), refuse(22)
	holds := func(der []byte) step { return answer(&smp.ReadSlotResponse{Total: uint32(len(der)), Data: der}) }
	for _, row := range []struct {
		name   string
		script []step
		want   error
	}{
		{"taken", []step{taken}, nil},
		{"an answer that was lost", []step{damaged(taken), old, holds(der)}, nil},
		{"a request that was lost, and a board with a newer update", []step{silence, old, holds(der[1:])}, ErrUpdateOld},
		{"the same file again", []step{old}, ErrUpdateOld},
	} {
		client, _ := startScripted(t, quick, append([]step{answer(&field)}, row.script...)...)
		if err := client.Update(t.Context(), file); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}
