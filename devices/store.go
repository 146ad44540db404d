package devices

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"hallmark/devices/smp"
)

const (
	// bufferOverhead is the room for length and CRC in a board's buffer (PROTOCOL.md section 1).
	bufferOverhead = 4
	// defaultBuffer is the size when the board does not say it: CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE.
	defaultBuffer = 384
	// leastBuffer has room for a write request at offset 0 with some data.
	leastBuffer = 128
	// headGrowth: the head of an empty byte string has 1 octet; with data it has at most 3.
	headGrowth = 2
)

// Write stores an object of 1 to 1024 octets of DER in a slot, in pieces that fit the
// board's buffer, and commits it. Writing the stored object again changes nothing.
func (c *Client) Write(ctx context.Context, slot Slot, der []byte) error {
	if len(der) == 0 || len(der) > smp.MaxSlot {
		return fmt.Errorf("writing slot %d: %w, not %d", slot, ErrObjectSize, len(der))
	}
	release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	again, err := c.transfer(ctx, slot, der)
	if again {
		_, err = c.transfer(ctx, slot, der)
	}
	if err != nil {
		return fmt.Errorf("writing slot %d: %w", slot, c.explain(ctx, err))
	}
	return nil
}

// hashOf returns the SHA-256 that version 1 demands. Since version 2 it is left out: the board checks the signature on each object.
func (c *Client) hashOf(der []byte) []byte {
	if c.version >= 2 {
		return nil
	}
	hash := sha256.Sum256(der)
	return hash[:]
}

// transfer tries once to write a whole object. again is true when a piece was sent
// twice and then refused as out of order: the first copy may have completed the
// object. The caller then writes the object again, which changes nothing if it is stored.
func (c *Client) transfer(ctx context.Context, slot Slot, der []byte) (again bool, err error) {
	if err := c.askBufferSize(ctx); err != nil {
		return false, err
	}
	for offset := 0; offset < len(der); {
		request := &smp.WriteSlot{Slot: uint8(slot), Offset: uint32(offset), Commit: true}
		if offset == 0 {
			request.Total, request.Hash = uint32(len(der)), c.hashOf(der)
		}
		room, err := c.room(request)
		if err != nil {
			return false, err
		}
		request.Data = der[offset:min(offset+room, len(der))]
		offset += len(request.Data)
		request.Commit = offset == len(der)
		var response smp.WriteSlotResponse
		tries, err := c.askBy(ctx, c.noiseSchedule, request, &response)
		if err != nil {
			return tries > 1 && errors.Is(err, ErrOutOfOrder), err
		}
		if int(response.Next) != offset {
			return false, fmt.Errorf("%w: next offset %d, want %d", errAnswerOutOfRange, response.Next, offset)
		}
	}
	return false, nil
}

// Read returns the object of a slot as it is in flash, 1 to 1024 octets. An empty slot
// is a *Refusal that wraps ErrEmpty.
func (c *Client) Read(ctx context.Context, slot Slot) ([]byte, error) {
	release, err := c.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	der, err := c.readAll(ctx, slot)
	if err != nil {
		return nil, fmt.Errorf("reading slot %d: %w", slot, err)
	}
	return der, nil
}

func (c *Client) readAll(ctx context.Context, slot Slot) ([]byte, error) {
	var der []byte
	for total := -1; len(der) != total; {
		var piece smp.ReadSlotResponse
		if err := c.ask(ctx, &smp.ReadSlot{Slot: uint8(slot), Offset: uint32(len(der))}, &piece); err != nil {
			return nil, err
		}
		switch {
		case total >= 0 && int(piece.Total) != total:
			return nil, fmt.Errorf("%w: %d octets, then %d", ErrSlotChanged, total, piece.Total)
		case len(piece.Data) == 0 || len(der)+len(piece.Data) > int(piece.Total):
			return nil, fmt.Errorf("%w: %d octets at %d of %d", ErrMalformedAnswer, len(piece.Data), len(der), piece.Total)
		}
		total = int(piece.Total)
		der = append(der, piece.Data...)
	}
	return der, nil
}

// askBufferSize asks the board for its buffer size, if no hello has said it.
func (c *Client) askBufferSize(ctx context.Context) error {
	if c.limit != 0 {
		return nil
	}
	params := smp.ParamsResponse{BufferSize: defaultBuffer}
	err := c.ask(ctx, &smp.Params{}, &params)
	if err != nil && !errors.Is(err, ErrUnsupported) {
		return fmt.Errorf("asking for the buffer size: %w", err)
	}
	return c.setBufferSize(params.BufferSize)
}

// setBufferSize stores the size of the board's message buffer in octets.
func (c *Client) setBufferSize(size uint32) error {
	if size < leastBuffer {
		return fmt.Errorf("%w: %d octets, want at least %d", ErrBufferTooSmall, size, leastBuffer)
	}
	c.limit = int(min(size, smp.MaxMessage)) - bufferOverhead
	return nil
}

// room returns how many octets of data fit into a request that has none yet.
func (c *Client) room(request smp.Request) (int, error) {
	empty, err := smp.AppendRequest(nil, 0, request)
	if err != nil {
		return 0, err
	}
	return c.limit - len(empty) - headGrowth, nil
}
