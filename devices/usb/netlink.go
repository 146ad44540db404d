package usb

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Groups of NETLINK_KOBJECT_UEVENT.
const (
	kernelGroup = 1 // messages of the kernel, before udev has made its names
	udevGroup   = 2 // messages of udev, after its rules (libudev, udev_monitor_new_from_netlink "udev")
)

// messages is a netlink socket on which the kernel or udev says that devices have changed. A message only makes
// the Watcher look at the tree, so a forged message changes nothing, and the sender is not checked.
type messages struct {
	socket *os.File
}

// udevRuns reports whether udev makes names on this machine.
func udevRuns(r root) bool {
	_, err := os.Stat(r.at("run/udev/control"))
	return err == nil
}

func listen(udev bool) (*messages, error) {
	group := uint32(kernelGroup)
	if udev {
		group = udevGroup
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("opening netlink: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: group}); err != nil {
		return nil, errors.Join(fmt.Errorf("joining group %d of netlink: %w", group, err), unix.Close(fd))
	}
	return &messages{os.NewFile(uintptr(fd), "netlink")}, nil
}

// receive puts a value into out for each message about USB and ttys, as long as out has room, until close. The kernel
// says ENOBUFS after lost messages, which is a reason to look at the tree, too.
func (m *messages) receive(out chan<- struct{}) {
	buffer := make([]byte, 64<<10) // the kernel's messages have at most 2 KiB, those of udev 8 KiB
	for {
		n, err := m.socket.Read(buffer)
		switch {
		case errors.Is(err, unix.ENOBUFS), err == nil && concerns(buffer[:n]):
			select {
			case out <- struct{}{}:
			default:
			}
		case err != nil:
			return // closed
		}
	}
}

func (m *messages) close() error {
	if m == nil {
		return nil
	}
	return m.socket.Close()
}

// concerns reports whether a message is about a USB device or a tty. A message of the kernel is
// "add@/devices/…" and then KEY=VALUE, each ended by a zero octet. A message of udev has a binary header,
// which begins with "libudev", and then the same KEY=VALUE.
func concerns(message []byte) bool {
	for field := range bytes.SplitSeq(message, []byte{0}) {
		subsystem, found := strings.CutPrefix(string(field), "SUBSYSTEM=")
		if found && (subsystem == "tty" || subsystem == "usb") {
			return true
		}
	}
	return false
}
