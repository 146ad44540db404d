package devices

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"hallmark/devices/smp"
	"hallmark/devices/update"
)

// Update gives a board an update file, in pieces that fit the board's buffer. It refuses a file that is not whole (update.ErrDamaged) or
// is for another board (ErrUpdateElsewhere) before it sends any of it. The board checks the signature. A board that has taken the file
// before refuses it as ErrUpdateOld, and changes nothing. If the answer to the last piece gets lost, the board refuses that piece when it
// comes again; what the slots hold then says whether the update was taken. Only a board with CanUpdate can do this.
func (c *Client) Update(ctx context.Context, file []byte) error {
	manifest, slots, err := update.Open(file)
	if err != nil {
		return err
	}
	id, err := c.Identify(ctx)
	if err != nil {
		return err
	}
	switch {
	case BoardID(manifest.Board) != id.ID:
		return fmt.Errorf("%w: it is for %s, and this board is %s", ErrUpdateElsewhere, BoardID(manifest.Board), id.ID)
	case !id.Can.Has(CanUpdate):
		return ErrNoUpdate
	}
	tries, err := c.deliver(ctx, file)
	if tries > 1 && errors.Is(err, ErrUpdateOld) {
		return c.holdsAll(ctx, slots, err)
	}
	return err
}

// holdsAll returns nil if the board holds these objects, and otherwise the refusal.
func (c *Client) holdsAll(ctx context.Context, slots update.Slots, refusal error) error {
	for slot, der := range slots {
		if len(der) == 0 {
			continue
		}
		if held, err := c.Read(ctx, Slot(slot)); err != nil || !bytes.Equal(held, der) {
			return errors.Join(refusal, err)
		}
	}
	return nil
}

// SendUpdate sends the octets of an update file and looks at none of them.
func (c *Client) SendUpdate(ctx context.Context, file []byte) error {
	_, err := c.deliver(ctx, file)
	return err
}

// deliver sends a file. tries: how often it sent the last of its requests.
func (c *Client) deliver(ctx context.Context, file []byte) (tries int, err error) {
	release, err := c.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	if tries, err = c.sendUpdate(ctx, file); err != nil {
		err = fmt.Errorf("updating the board: %w", c.explain(ctx, err))
	}
	return tries, err
}

func (c *Client) sendUpdate(ctx context.Context, file []byte) (tries int, err error) {
	if err := c.askBufferSize(ctx); err != nil {
		return 0, err
	}
	if len(file) == 0 || len(file) > 2*(c.limit+bufferOverhead) {
		return 0, fmt.Errorf("%w: it has %d octets, and this board takes 1 to %d", ErrStoreFull, len(file), 2*(c.limit+bufferOverhead))
	}
	for offset := 0; offset < len(file); {
		request := &smp.Update{Offset: uint32(offset), Commit: true}
		if offset == 0 {
			request.Total = uint32(len(file))
		}
		room, err := c.room(request)
		if err != nil {
			return 0, err
		}
		request.Data = file[offset:min(offset+room, len(file))]
		offset += len(request.Data)
		request.Commit = offset == len(file)
		var response smp.UpdateResponse
		if tries, err = c.askBy(ctx, c.noiseSchedule, request, &response); err != nil {
			return tries, err
		}
		if int(response.Next) != offset {
			return tries, fmt.Errorf("%w: next offset %d, want %d", errAnswerOutOfRange, response.Next, offset)
		}
	}
	return tries, nil
}
