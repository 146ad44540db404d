package devices

import (
	"context"
	"fmt"

	"hallmark/devices/smp"
	"hallmark/devices/update"
)

// Update gives a board an update file, in pieces that fit the board's buffer. It refuses a file that is not whole (update.ErrDamaged) or
// is for another board (ErrUpdateElsewhere) before it sends any of it. The board checks the signature. A board that has taken the file
// before refuses it as ErrUpdateOld, and changes nothing. Only a board with CanUpdate can do this.
func (c *Client) Update(ctx context.Context, file []byte) error {
	manifest, _, err := update.Open(file)
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
	return c.SendUpdate(ctx, file)
}

// SendUpdate sends the octets of an update file and looks at none of them.
func (c *Client) SendUpdate(ctx context.Context, file []byte) error {
	release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := c.sendUpdate(ctx, file); err != nil {
		return fmt.Errorf("updating the board: %w", c.explain(ctx, err))
	}
	return nil
}

func (c *Client) sendUpdate(ctx context.Context, file []byte) error {
	if err := c.askBufferSize(ctx); err != nil {
		return err
	}
	if len(file) == 0 || len(file) > 2*(c.limit+bufferOverhead) {
		return fmt.Errorf("%w: it has %d octets, and this board takes 1 to %d", ErrStoreFull, len(file), 2*(c.limit+bufferOverhead))
	}
	for offset := 0; offset < len(file); {
		request := &smp.Update{Offset: uint32(offset), Commit: true}
		if offset == 0 {
			request.Total = uint32(len(file))
		}
		room, err := c.room(request)
		if err != nil {
			return err
		}
		request.Data = file[offset:min(offset+room, len(file))]
		offset += len(request.Data)
		request.Commit = offset == len(file)
		var response smp.UpdateResponse
		if _, err := c.askBy(ctx, c.noiseSchedule, request, &response); err != nil {
			return err
		}
		if int(response.Next) != offset {
			return fmt.Errorf("%w: next offset %d, want %d", errAnswerOutOfRange, response.Next, offset)
		}
	}
	return nil
}
