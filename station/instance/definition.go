package instance

import (
	"context"
	"errors"
	"fmt"

	"hallmark/configs"
	"hallmark/devices/probe"
)

// Scripts has the OpenOCD of this machine read the scripts and commands of a board definition. It connects to nothing. The note
// says which OpenOCD has read them, or why nobody did; it is empty for a definition without openocd.
func Scripts(ctx context.Context, board *configs.Board) (missing []configs.Finding, note string) {
	if !board.Probe.OpenOCD.Configured() {
		return nil, ""
	}
	version, err := newOpenOCD(board).Check(ctx)
	switch {
	case err == nil:
		return nil, version + " has the scripts of probe.openocd"
	case errors.Is(err, probe.ErrScript):
		return []configs.Finding{{Key: "probe.openocd", Text: fmt.Sprintf("OpenOCD of this machine cannot use it: %v", err), Next: "correct the name, install an OpenOCD that has the script, or use another driver"}}, ""
	}
	return nil, fmt.Sprintf("nobody has read the scripts of probe.openocd: %v", err)
}
