// Package probe drives debug probes: it flashes a board, resets it, reads its memory and locks its
// debug port.
//
// A [Driver] finds probes, and opens one as a [Probe]. Three packages are drivers:
//
//	devices/probe/openocd    OpenOCD, the default
//	devices/probe/commander  SEGGER's JLinkExe
//	devices/probe/recipe     any other programmer's command line, described by a file in configs/probes
//
// Each driver has a Config of its own that says how to handle one type of board (target name, how to
// lock, how to read the state of the lock). A board definition fills these Configs. [Selection] says which
// probe is meant, and is the same for all drivers.
//
// Each call starts the programmer as a child process and waits for its end, so a Probe holds nothing
// between two calls. Calls for different probes may run at the same time. Calls for the same probe must
// not: the bay that owns the probe sees to that.
//
// A call succeeds only if the programmer said so in the expected form. Everything else is one of the
// refusals of this package ([ErrMissing] and the others), each with its row in station/reason. When
// [Probe.Flash] fails after the first octet may have changed, the error also wraps [ErrNeedsFlash].
//
// No call unlocks or erases a board on its own initiative. [Probe.Recover] is the only mass erase.
package probe

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Driver is one way to reach probes.
type Driver interface {
	// Name is the driver's word in a configuration: "openocd", "jlinkexe" or the recipe's name.
	Name() string
	// Check asks the programmer for its version, and has it read the scripts that the chip needs. It needs no probe and no
	// board. It refuses a programmer that is not installed or has a version that the driver is not for.
	Check(ctx context.Context) (version string, err error)
	// List returns the probes that are connected. No probe is no error.
	List(ctx context.Context) ([]Found, error)
	// Open returns the selected probe. It starts nothing, so it does not fail for a probe that is absent.
	Open(Selection) Probe
}

// A Probe is one debug probe and the board that it is connected to.
type Probe interface {
	// Info asks probe and board who they are. It refuses a target voltage below [MinimumMillivolts].
	Info(ctx context.Context) (Info, error)
	// Flash writes the image, verifies it and resets the board, which then runs the new firmware.
	// progress may be nil. It is called from one goroutine, with octets, and the last call has done == total.
	Flash(ctx context.Context, image *Image, progress func(done, total int)) error
	// FlashLimit is the longest time that Flash gives its programmer to write and verify this image. The
	// questions before that are not in it.
	FlashLimit(image *Image) time.Duration
	// LockLimit is the longest time that Lock, and LockState before and after it, give their programmer.
	LockLimit() time.Duration
	// Reset resets the board.
	Reset(ctx context.Context, after After) error
	// ReadMemory reads octets. The board runs on.
	ReadMemory(ctx context.Context, address uint32, length int) ([]byte, error)
	// Recover erases the whole chip and unlocks it. The caller has asked the registry who the board is.
	Recover(ctx context.Context) error
	// Lock closes the debug port, and resets the board where the chip takes the lock over at a reset.
	Lock(ctx context.Context) error
	// LockState reads the state of the lock from the chip over a new connection.
	LockState(ctx context.Context) (LockState, error)
}

// MaxRead is the most octets that a call of ReadMemory reads.
const MaxRead = 1 << 20

// CheckRead refuses a read of no octets, of too many, and beyond the end of the addresses.
func CheckRead(address uint32, length int) error {
	if length <= 0 || length > MaxRead || uint64(address)+uint64(length) > 1<<32 {
		return fmt.Errorf("reading %d octets at %#08x: %w: want 1 to %d octets below 4 GiB", length, address, ErrMemory, MaxRead)
	}
	return nil
}

// Selection says which probe is meant.
type Selection struct {
	Serial Serial // "": the only probe there is
	// Location is the USB path as sysfs names it ("1-2.3"), for some recipes a port, or "". With a
	// location two probes with the same serial number are told apart, and a probe that was exchanged is found out.
	Location string
	USBID    string // vendor and product id of the probe ("1366:1015"), for programmers that need them; or ""
	// Network allows a probe that answers over the network. Anybody there can answer with any serial number.
	Network bool
}

// Found is a probe that a Driver found.
type Found struct {
	Serial   Serial
	Location string // USB path as in Selection, "" if the programmer does not say
	USBID    string // as in Selection
	Product  string // for people
}

// Info is what a probe says of itself and of its board.
type Info struct {
	Serial     Serial
	Product    string // of the probe, with its firmware, for people
	Millivolts int    // target voltage, or VoltageUnknown
	Target     string // the chip as the programmer names it, for people and for the record
	Part       uint32 // the value of Part's register, 0 if no Part is configured
}

// VoltageUnknown is the target voltage where the programmer does not measure any.
const VoltageUnknown = -1

// MinimumMillivolts is the smallest target voltage with which a board counts as powered.
const MinimumMillivolts = 1000

// After says how a board goes on after a reset.
type After int

// The ways to go on.
const (
	Run After = iota + 1
	Halt
)

func (a After) String() string {
	switch a {
	case Run:
		return "run"
	case Halt:
		return "halt"
	}
	return fmt.Sprintf("After(%d)", int(a))
}

// LockState is the state of the debug port's lock.
type LockState int

// The states. The zero value is no state.
const (
	Open LockState = iota + 1
	Locked
)

// SameValue compares two texts for the state of a lock: numbers as numbers, others as texts. No text is like nothing.
func SameValue(a, b string) bool {
	m, errA := strconv.ParseUint(a, 0, 64)
	n, errB := strconv.ParseUint(b, 0, 64)
	if errA == nil && errB == nil {
		return m == n
	}
	return a != "" && a == b
}

// Refusal is ErrLocked for a locked chip.
func (s LockState) Refusal() error {
	if s == Locked {
		return ErrLocked
	}
	return nil
}

func (s LockState) String() string {
	switch s {
	case Open:
		return "open"
	case Locked:
		return "locked"
	}
	return fmt.Sprintf("LockState(%d)", int(s))
}

// Part identifies the type of a chip by a register. The zero Part is not checked.
type Part struct {
	Address uint32 `yaml:"address"`
	Mask    uint32 `yaml:"mask"` // 0: the whole word
	Value   uint32 `yaml:"value"`
}

// Configured reports whether the chip is checked.
func (p Part) Configured() bool { return p != Part{} }

// Check compares the word at Address with the expected one.
func (p Part) Check(word uint32) error {
	mask := p.Mask
	if mask == 0 {
		mask = ^uint32(0)
	}
	if p.Configured() && word&mask != p.Value&mask {
		return fmt.Errorf("%w: register %#08x holds %#x, want %#x", ErrWrongTarget, p.Address, word&mask, p.Value&mask)
	}
	return nil
}

// A Serial is the serial number of a probe as its maker writes it: digits of a J-Link, letters and digits
// of other probes. Programmers print digits with and without leading zeros, so serial numbers of digits are
// compared as integers ([Serial.Is]).
type Serial string

// maxSerial is the length of the longest serial number.
const maxSerial = 64

// ParseSerial reads a serial number: letters, digits, and ":", "-", "_" or "." between them.
func ParseSerial(text string) (Serial, error) {
	text = strings.TrimSpace(text)
	odd := func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune(":-_.", r))
	}
	if text == "" || len(text) > maxSerial || strings.ContainsFunc(text, odd) || text[0] == '-' {
		return "", fmt.Errorf("%w: %.70q, want up to %d letters and digits", ErrBadSerial, text, maxSerial)
	}
	return Serial(text), nil
}

// Digits returns the number without leading zeros, and false for a serial number with other characters.
func (s Serial) Digits() (string, bool) {
	if s == "" || strings.Trim(string(s), "0123456789") != "" {
		return "", false
	}
	if digits := strings.TrimLeft(string(s), "0"); digits != "" {
		return digits, true
	}
	return "0", true
}

// Is compares two serial numbers: digits as integers, others without regard to case.
func (s Serial) Is(other Serial) bool {
	a, digitsA := s.Digits()
	b, digitsB := other.Digits()
	if digitsA && digitsB {
		return a == b
	}
	return strings.EqualFold(string(s), string(other))
}

var usbID = regexp.MustCompile(`^(?:[0-9a-f]{4}:[0-9a-f]{4})?$`)

// Check refuses a selection that no programmer could be given.
func (s Selection) Check() error {
	if s.Serial != "" {
		if _, err := ParseSerial(string(s.Serial)); err != nil {
			return err
		}
	}
	if !usbID.MatchString(s.USBID) {
		return fmt.Errorf("%w: USB id %.20q, want one such as 1366:1015", ErrBadSerial, s.USBID)
	}
	if strings.ContainsFunc(s.Location, func(r rune) bool {
		return !strings.ContainsRune("/.:-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", r)
	}) || strings.HasPrefix(s.Location, "-") {
		return fmt.Errorf("%w: USB path or port %.70q", ErrBadSerial, s.Location)
	}
	return nil
}

// MustBe compares the serial number of the probe that answered with the selected one.
func (s Selection) MustBe(answered Serial) error {
	if s.Serial != "" && !answered.Is(s.Serial) {
		return fmt.Errorf("%w: %s answered, want %s", ErrWrongSerial, answered, s.Serial)
	}
	return nil
}

// Powered refuses a target voltage that is too low.
func Powered(millivolts int) error {
	if millivolts != VoltageUnknown && millivolts < MinimumMillivolts {
		return fmt.Errorf("%w: %d.%03d V, want at least %d V", ErrVoltage, millivolts/1000, millivolts%1000, MinimumMillivolts/1000)
	}
	return nil
}
