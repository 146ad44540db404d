// Package usb finds debug probes and UARTs by the place where their cable is plugged in, and
// notices when a cable is plugged in or pulled.
//
// The place is the USB path, as sysfs names it: "1-2.3" is port 3 of the hub in port 2 of bus 1. A
// path stays the same over resets and restarts; the number of a ttyACM does not, and two probes
// may have the same serial number.
//
// [Scan] reads sysfs and /dev/serial below a root directory. The root is "/" for this machine, or a
// recorded tree. [Find] reads one device only. A [Watcher] reports changes.
package usb
