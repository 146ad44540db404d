package hardware

import (
	"fmt"

	"hallmark/devices/serial"
)

// Free is the state of a port that no program uses.
const Free = "free"

// MachineStates returns the States of this machine. It opens no port.
func MachineStates() (States, error) {
	programs, err := serial.ListPrograms("")
	if err != nil {
		return nil, err
	}
	return func(device string) string {
		if user, used := programs.Using(device); used {
			return "used by " + user.String()
		}
		if err := serial.CheckKind(device); err != nil {
			return fmt.Sprintf("not readable: %v", err)
		}
		return Free
	}, nil
}
