package sweep_test

import (
	"context"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/station"
)

// switchOn starts the board's process on the world's fuses and flash. off is
// a power cut, as it comes to the board of a station that dies.
func (w *world) switchOn(ctx context.Context) (board station.Board, off func()) {
	w.t.Helper()
	w.power = must(emulated.Start(ctx, emulated.Config{Kind: emulated.Posix, Image: w.image, Dir: w.board}))(w.t)
	client := devices.NewClient(w.power.Line(), devices.Options{})
	return client, func() {
		w.t.Helper()
		w.end(w.power.PowerCut(), client.Close(), w.power.Close())
	}
}

// flash reads the certificate from the board's flash, after a start that has nothing to do with any Run.
func (w *world) flash() []byte {
	w.t.Helper()
	board, off := w.switchOn(w.t.Context())
	defer off()
	must(board.Identify(w.t.Context()))(w.t)
	return must(board.Read(w.t.Context(), devices.SlotCertificate))(w.t)
}
