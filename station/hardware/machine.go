package hardware

import (
	"fmt"

	"hallmark/devices/serial"
)

// Free is the state of a port that no program uses.
const Free = "free"

// MachineStates returns the States of this machine. It opens no port.
func MachineStates() (States, error) {
	holders, err := serial.Holders()
	if err != nil {
		return nil, err
	}
	return func(device string) string {
		if holder := holders[device]; holder != "" {
			return "used by " + holder
		}
		locked, err := serial.Locked(serial.Config{Name: device})
		switch {
		case err != nil:
			return fmt.Sprintf("not readable: %v", err)
		case locked:
			return "used by a station"
		}
		return Free
	}, nil
}
