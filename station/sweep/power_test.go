package sweep_test

import (
	"context"
	"errors"

	"hallmark/devices"
	"hallmark/devices/emulated"
)

// switchOn starts the board's process on the world's fuses and flash. off is
// a power cut, as it comes to the board of a station that dies.
func (w *world) switchOn(ctx context.Context) (board *devices.Client, off func() error) {
	w.t.Helper()
	w.power = must(emulated.Start(ctx, emulated.Config{Kind: emulated.Posix, Image: w.image, Dir: w.board}))(w.t)
	client := devices.NewClient(w.power.Transport(), devices.Options{})
	power := w.power
	return client, func() error { return errors.Join(power.PowerCut(), client.Close(), power.Close()) }
}

// slots has where a board keeps the certificate for each purpose.
var slots = map[devices.Purpose]devices.Slot{devices.PurposeTLS: devices.SlotCertificate, devices.PurposeCOSE: devices.SlotCOSE}

// flash reads the certificate for the world's purpose from the board's flash.
func (w *world) flash() []byte { w.t.Helper(); return w.flashOf(w.purpose) }

// flashOf reads after a start that has nothing to do with any Run.
func (w *world) flashOf(purpose devices.Purpose) []byte {
	w.t.Helper()
	ctx := context.Background() // also after the test, in a cleanup
	board, off := w.switchOn(ctx)
	must(board.Identify(ctx))(w.t)
	held := must(board.Read(ctx, slots[purpose]))(w.t)
	w.end(off())
	return held
}
