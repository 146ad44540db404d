package sweep_test

import (
	"context"
	"errors"

	"hallmark/devices"
	"hallmark/devices/emulated"
)

// switchOn starts the process of the board, with the fuses and the flash of the environment.
// off ends the process with a power cut.
func (w *environment) switchOn(ctx context.Context) (board *devices.Client, off func() error) {
	w.t.Helper()
	w.power = must(emulated.Start(ctx, emulated.Config{Kind: emulated.Posix, Image: w.image, Dir: w.board}))(w.t)
	client := devices.NewClient(w.power.Transport(), devices.Options{Answer: emulated.AnswerTime})
	power := w.power
	return client, func() error { return errors.Join(power.PowerCut(), client.Close(), power.Close()) }
}

// slots are the slots for the certificate of each purpose.
var slots = map[devices.Purpose]devices.Slot{devices.PurposeTLS: devices.SlotCertificate, devices.PurposeCOSE: devices.SlotCOSE}

// flash reads the certificate for the environment's purpose from the board's flash.
func (w *environment) flash() []byte { w.t.Helper(); return w.flashOf(w.purpose) }

// flashOf starts the board outside of any Run, and reads the certificate for a purpose.
func (w *environment) flashOf(purpose devices.Purpose) []byte {
	w.t.Helper()
	ctx := context.Background() // a cleanup after the test needs a live context
	board, off := w.switchOn(ctx)
	must(board.Identify(ctx))(w.t)
	held := must(board.Read(ctx, slots[purpose]))(w.t)
	w.end(off())
	return held
}
