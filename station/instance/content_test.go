package instance

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"hallmark/devices/probe"
	"hallmark/station"
)

// memory is a board's flash from address 0 on, behind a probe that reads no more at once than the least driver.
type memory struct {
	probe.Probe
	octets []byte
}

func (m memory) ReadMemory(_ context.Context, address uint32, length int) ([]byte, error) {
	if length > probe.MaxRead {
		return nil, fmt.Errorf("%w: %d octets", probe.ErrMemory, length)
	}
	return m.octets[address : int(address)+length], nil
}

func TestTheContentOfAFlashIsCompared(t *testing.T) {
	large := bytes.Repeat([]byte("firmware"), 3*probe.MaxRead/16)
	image := &probe.Image{Segments: []probe.Segment{{Address: 0x1000, Data: large}, {Address: 0x300000, Data: []byte("settings")}}}
	whole := bytes.Repeat([]byte{0xff}, 4*probe.MaxRead)
	for _, s := range image.Segments {
		copy(whole[s.Address:], s.Data)
	}
	with := func(address int, octets ...byte) []byte {
		changed := bytes.Clone(whole)
		copy(changed[address:], octets)
		return changed
	}
	for name, test := range map[string]struct {
		octets []byte
		want   station.FlashContent
	}{
		"the image":                         {whole, station.FlashImage},
		"an erased flash":                   {bytes.Repeat([]byte{0xff}, len(whole)), station.FlashBlank},
		"a flash that was never written":    {make([]byte, len(whole)), station.FlashBlank},
		"another beginning":                 {with(0x1000, 1), station.FlashOther},
		"another last octet":                {with(0x1000+len(large)-1, 1), station.FlashOther},
		"the beginning and then nothing":    {with(0x1000+glance, bytes.Repeat([]byte{0xff}, len(whole)-0x1000-glance)...), station.FlashOther},
		"the first part without the last":   {with(0x300000, bytes.Repeat([]byte{0xff}, 8)...), station.FlashOther},
		"an erased beginning, and the rest": {with(0x1000, bytes.Repeat([]byte{0xff}, glance)...), station.FlashBlank},
	} {
		t.Run(name, func(t *testing.T) {
			port := &debugPort{Probe: memory{octets: test.octets}, image: image}
			if got, err := port.Content(t.Context()); got != test.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}
