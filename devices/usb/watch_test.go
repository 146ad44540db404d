package usb

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/fixtures/usbtree"
)

// watched watches a tree. Only the test's own messages and a very slow poll, or a quick poll, make it look.
func watched(t *testing.T, machine *usbtree.Tree, poll time.Duration, kernel *messages) *Watcher {
	t.Helper()
	w := &Watcher{root: root(machine.Dir()), poll: poll, kernel: kernel, events: make(chan []Event)}
	if err := w.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// gets waits until the Watcher has said everything that is wanted, in any number of portions.
func gets(t *testing.T, w *Watcher, want ...Event) {
	t.Helper()
	last := map[string]bool{}
	for {
		got := list(last)
		if reflect.DeepEqual(got, want) {
			return
		}
		select {
		case events := <-w.Events():
			for _, event := range events {
				last[event.Path] = event.Came
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
}

func plugs(t *testing.T, machine *usbtree.Tree, text string) {
	t.Helper()
	devices, err := usbtree.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, device := range devices {
		if err := machine.Plug(device); err != nil {
			t.Fatal(err)
		}
	}
}

func pulls(t *testing.T, machine *usbtree.Tree, path string) {
	t.Helper()
	if err := machine.Pull(path); err != nil {
		t.Fatal(err)
	}
}

const aBoard = "1-2 2fe3:0100 product=board 0=cdc_acm:ttyACM0\n"

func TestDevicesThatComeAndGoAreEvents(t *testing.T) {
	machine := unfold(t, usbtree.Bench(2))
	w := watched(t, machine, 5*time.Millisecond, nil)
	plugs(t, machine, "1-3 2fe3:0100 product=board 0=cdc_acm:ttyACM90\n")
	gets(t, w, Event{"1-3", true})
	pulls(t, machine, "1-3")
	gets(t, w, Event{"1-3", false})
	pulls(t, machine, "1-1") // the hub
	gets(t, w, Event{"1-1", false}, Event{"1-1.1", false}, Event{"1-1.2", false})
}

func TestAPortThatComesLaterOrUnderAnotherNumberIsAnEvent(t *testing.T) {
	machine := unfold(t, "1-2 2fe3:0100 product=board\n")
	w := watched(t, machine, 5*time.Millisecond, nil)
	plugs(t, machine, aBoard) // the device is there, and gets its UART now
	gets(t, w, Event{"1-2", true})
	pulls(t, machine, "1-2")
	plugs(t, machine, strings.ReplaceAll(aBoard, "ttyACM0", "ttyACM7"))
	gets(t, w, Event{"1-2", true})
}

// udev makes the name by place after the tty, and takes it away before.
func TestANameByPlaceThatComesOrGoesIsAnEvent(t *testing.T) {
	machine := unfold(t, aBoard)
	w := watched(t, machine, 5*time.Millisecond, nil)
	place := filepath.Join(machine.Dir(), byPath, "pci-0000:00:14.0-usb-0:2:1.0")
	target, err := os.Readlink(place)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	gets(t, w, Event{"1-2", true})
	if err := os.Symlink(target, place); err != nil {
		t.Fatal(err)
	}
	gets(t, w, Event{"1-2", true})
}

func TestEventsThatNobodyTakesAreOneForEachDevice(t *testing.T) {
	pending, states := map[string]bool{}, []map[string]string{{"1-1": ""}, {"1-1": "ttyACM0"}, {}, {"1-1": "", "1-2": ""}, {"1-2": ""}, {"1-2": "", "1-10": ""}}
	for i, now := range states[1:] {
		note(pending, states[i], now)
	}
	if got, want := list(pending), []Event{{"1-1", false}, {"1-2", true}, {"1-10", true}}; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAWatcherEndsWithItsContextAndWithClose(t *testing.T) {
	machine := unfold(t, aBoard)
	ctx, stop := context.WithCancel(t.Context())
	w, err := Watch(ctx, WatchOptions{Root: machine.Dir()})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	w.ended.Wait()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// TestTheKernelsMessagesAreHeard has the kernel send a message about a tty that is on every machine. Only root may
// do that; for other users the messages of TestMessagesThatConcernBays have to be enough.
func TestTheKernelsMessagesAreHeard(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: the kernel sends no message for this test")
		return
	}
	kernel, err := listen(false)
	if err != nil {
		t.Fatal(err)
	}
	machine := unfold(t, "")
	w := watched(t, machine, time.Hour, kernel)
	plugs(t, machine, aBoard)
	if err := os.WriteFile("/sys/class/tty/ptmx/uevent", []byte("change"), 0); err != nil {
		t.Fatal(err)
	}
	gets(t, w, Event{"1-2", true})
}

// TestUdevsMessagesAreHeard sends a message as udev does: a program sends it to the group. Only root may do that.
func TestUdevsMessagesAreHeard(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: no program but udev sends to the group")
		return
	}
	udev, err := listen(true)
	if err != nil {
		t.Fatal(err)
	}
	machine := unfold(t, "")
	w := watched(t, machine, time.Hour, udev)
	plugs(t, machine, aBoard)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, []byte(udevMessage), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: udevGroup}); err != nil {
		t.Fatal(err)
	}
	gets(t, w, Event{"1-2", true})
}

// udevMessage has udev's header: magic number, sizes and filters. They may hold any octet.
const udevMessage = "libudev\x00\xfe\xed\xca\xfe\x28\x00\x00\x00\x28\x00\x00\x00\x9a\x03\x00\x00\x8a\xfaj\xa1\x00\x00\x00\x00\x00\x80\x00\x00\x20\x00\x00\x00" +
	"ACTION=add\x00DEVPATH=/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/tty/ttyACM0\x00SUBSYSTEM=tty\x00DEVNAME=/dev/ttyACM0\x00"

func TestMessagesThatConcernBays(t *testing.T) {
	for _, c := range []struct {
		name, message string
		want          bool
	}{
		{"a tty of the kernel", "add@/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/tty/ttyACM0\x00ACTION=add\x00SUBSYSTEM=tty\x00SEQNUM=4711\x00", true},
		{"a USB device that goes", "remove@/devices/pci0000:00/0000:00:14.0/usb1/1-2\x00ACTION=remove\x00SUBSYSTEM=usb\x00DEVTYPE=usb_device\x00", true},
		{"a tty of udev", udevMessage, true},
		{"a disk", "change@/devices/virtual/block/loop0\x00ACTION=change\x00SUBSYSTEM=block\x00", false},
		{"a name that only begins like it", "add@/x\x00SUBSYSTEM=usbmon\x00", false},
		{"a text in another field", "add@/x\x00NAME=SUBSYSTEM=tty\x00", false},
		{"nothing", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := concerns([]byte(c.message)); got != c.want {
				t.Errorf("%t, want %t", got, c.want)
			}
		})
	}
}

func FuzzConcerns(f *testing.F) {
	f.Add([]byte(udevMessage))
	f.Fuzz(func(_ *testing.T, message []byte) { concerns(message) })
}

func BenchmarkLookAt32Bays(b *testing.B) {
	r := root(unfold(b, usbtree.Bench(32)).Dir())
	known, err := r.after(state{})
	if err != nil || len(known.ports) != 36 {
		b.Fatal(err, len(known.ports))
	}
	for name, last := range map[string]state{"the first": {}, "without a change": known} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := r.after(last); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
