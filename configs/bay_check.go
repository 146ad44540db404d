package configs

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"hallmark/devices/probe"
	"hallmark/devices/serial/remote"
)

// usbPath is a USB device as sysfs names it: bus, then the ports from the root hub on
// (Documentation/ABI/stable/sysfs-bus-usb of Linux).
var usbPath = regexp.MustCompile(`^[1-9][0-9]{0,2}-[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,5}$`)

// IsUSBPath reports whether a text is a USB path, such as "1-2.3".
func IsUSBPath(text string) bool { return usbPath.MatchString(text) }

func (c *Config) validateBays() error {
	var errs []error
	for i := range c.Bays {
		bay := &c.Bays[i]
		key := fmt.Sprintf("bays[%d]", i)
		errs = append(errs, bay.validate(key), c.Timeouts.LeaveAnswer(key+".settle", bay.Settle, bay.Answer))
		for j := range i {
			errs = append(errs, bay.collides(&c.Bays[j], key))
		}
	}
	return errors.Join(errs...)
}

func (b *Bay) validate(key string) error {
	err := errors.Join(name(key+".name", b.Name), b.Probe.validate(key+".probe"), b.location(key))
	if b.Interface != nil {
		err = errors.Join(err, checkRange(key+".interface", *b.Interface, 0, 255))
	}
	if b.Baud != 0 {
		err = errors.Join(err, checkRange(key+".baud", b.Baud, 9600, 4_000_000))
	}
	if b.HasProbe() && b.ProbeSerial() == "" && b.ProbeLocation() == "" {
		err = errors.Join(err, &ValueError{key + ".probe", "neither serial nor usb", "the probe's serial number or its USB path", "`station bays` prints both"})
	}
	for i, line := range b.Low {
		err = errors.Join(err, oneOf(fmt.Sprintf("%s.low[%d]", key, i), line, "dtr", "rts"))
	}
	if b.Answer != 0 {
		err = errors.Join(err, checkDuration(key+".answer", b.Answer, 200*time.Millisecond, 10*time.Second))
	}
	return errors.Join(err, checkDuration(key+".settle", b.Settle, 0, time.Minute))
}

// LeaveAnswer refuses a settle time behind which no time is left for the answer of the board: each Run would end in its first step.
// answer is that of the bay, 0: the default.
func (t *Timeouts) LeaveAnswer(key string, settle, answer time.Duration) error {
	who, bound := "step identify", cmp.Or(t.Steps["identify"], t.Step)
	if t.Run < bound {
		who, bound = "Run", t.Run
	}
	answer = cmp.Or(answer, time.Second)
	if settle == 0 || settle+answer <= bound {
		return nil
	}
	return &ValueError{key, settle.String(), fmt.Sprintf("at most %v, because the %s may take %v and an answer %v", max(0, bound-answer), who, bound, answer), "write a smaller settle, or a greater timeouts.steps.identify"}
}

// location checks USB path and port. A bay with an emulated board has neither.
func (b *Bay) location(key string) error {
	switch {
	case b.USB != "" && b.Port != "":
		return &ValueError{key, "usb and port", "one of them", "keep usb, the place where the cable is plugged in"}
	case b.USB == "" && b.Port == "" && b.Board == "":
		return &ValueError{key, "neither usb nor port", "the place of the board", "`station bays` prints the USB paths of this machine"}
	case b.USB != "" && !IsUSBPath(b.USB):
		return notUSB(key+".usb", b.USB)
	case IsRTT(b.Port):
		return b.overRTT(key)
	case remote.Is(b.Port):
		return remoteAddress(key+".port", b.Port)
	case b.Port != "" && (!filepath.IsAbs(b.Port) || filepath.Clean(b.Port) != b.Port):
		return &ValueError{key + ".port", strconv.Quote(b.Port), "the absolute path of a port", "use a name below /dev/serial/by-path, because ttyACM numbers change"}
	}
	return nil
}

// overRTT checks a bay whose probe carries SMP.
func (b *Bay) overRTT(key string) error {
	serial, _ := b.RTT()
	switch {
	case !IsProbeSerial(serial):
		return &ValueError{key + ".port", strconv.Quote(b.Port), "rtt: and the serial number of a probe", "`station bays` prints the serial numbers of the probes"}
	case b.Board == "":
		return &ValueError{key + ".board", "none, with the port " + b.Port, "a board definition that says where the firmware has its RTT control block", "write board: NAME"}
	case b.Interface != nil || b.Baud != 0 || b.Low != nil:
		return &ValueError{key, "interface, baud or low, with the port " + b.Port, "none of them", "leave them out: RTT has no UART"}
	case b.Probe != nil && b.Probe.Serial != "" && !SameSerial(serial, b.Probe.Serial):
		return &ValueError{key + ".probe.serial", strconv.Quote(b.Probe.Serial), serial + ", as in port", "one probe carries SMP and flashes the board: write the same number, or leave serial out"}
	}
	return nil
}

// remoteAddress accepts the one spelling of an address, so that two bays with one port are noticed.
func remoteAddress(key, value string) error {
	address, err := remote.Parse(value)
	if err == nil && address.String() == value {
		return nil
	}
	return &ValueError{key, strconv.Quote(value), "tcp://HOST:PORT or rfc2217://HOST:PORT in lower case", "see docs/bench.md"}
}

func notUSB(key, value string) error {
	return &ValueError{key, strconv.Quote(value), "a USB path such as 1-2.3", "`station bays` prints the USB paths of this machine"}
}

// IsProbeSerial reports whether a text can be the serial number of a probe.
func IsProbeSerial(text string) bool {
	serial, err := probe.ParseSerial(text)
	return err == nil && string(serial) == text
}

var programmerForm = form{regexp.MustCompile(`^[A-Za-z0-9_./-]+$`), 255}

func (p *BayProbe) validate(key string) error {
	if p == nil {
		return nil
	}
	var err error
	if !programmerForm.fits(p.Driver) {
		err = &ValueError{key + ".driver", strconv.Quote(p.Driver), "openocd, jlinkexe, or a recipe", "see docs/bench.md"}
	}
	if p.Serial != "" && !IsProbeSerial(p.Serial) {
		err = errors.Join(err, &ValueError{key + ".serial", strconv.Quote(p.Serial), "the serial number of a probe", "`station bays` prints the serial numbers of the probes"})
	}
	if p.USB != "" && !IsUSBPath(p.USB) {
		err = errors.Join(err, notUSB(key+".usb", p.USB))
	}
	return err
}

// SameSerial compares the serial numbers of two probes as their drivers do. An empty one is not known.
func SameSerial(a, b string) bool { return a != "" && b != "" && probe.Serial(a).Is(probe.Serial(b)) }

// collides refuses two bays with one name, USB path, port or probe.
func (b *Bay) collides(other *Bay, key string) error {
	twice := func(what, value string) error {
		return &ValueError{key + "." + what, fmt.Sprintf("%q as in bay %q", value, other.Name), "another " + what + " than every other bay", "correct one of the two bays"}
	}
	var errs []error
	if b.Name == other.Name {
		errs = append(errs, twice("name", b.Name))
	}
	if b.Port != "" && b.samePort(other) {
		errs = append(errs, twice("port", b.Port))
	}
	if b.USB != "" && b.USB == other.USB && !b.otherInterface(other) {
		errs = append(errs, twice("usb", b.USB))
	}
	if b.sameProbe(other) {
		errs = append(errs, twice("probe", b.probeText()))
	} else if b.cloned(other) {
		errs = append(errs, &ValueError{key + ".probe.serial", fmt.Sprintf("%q as in bay %q", b.ProbeSerial(), other.Name), "another serial number: only the driver openocd tells probes with one serial number apart, by their USB paths", "use openocd for both bays, or exchange one of the probes"})
	}
	return errors.Join(errs...)
}

// samePort reports whether two bays name one port. Of a remote port only host and number count, because one server is behind them.
func (b *Bay) samePort(other *Bay) bool {
	here, err := remote.Parse(b.Port)
	there, otherErr := remote.Parse(other.Port)
	return b.Port == other.Port || err == nil && otherErr == nil && remote.SamePort(here, there)
}

// otherInterface reports whether two bays name different interfaces of one adapter with several UARTs.
func (b *Bay) otherInterface(other *Bay) bool {
	return b.Interface != nil && other.Interface != nil && *b.Interface != *other.Interface
}

// sameProbe reports whether two bays name one probe. Copies of a probe may have equal serial
// numbers; only different USB paths tell them apart.
func (b *Bay) sameProbe(other *Bay) bool {
	if !b.HasProbe() || !other.HasProbe() {
		return false
	}
	here, there := b.ProbeLocation(), other.ProbeLocation()
	if here != "" && there != "" {
		return here == there
	}
	return SameSerial(b.ProbeSerial(), other.ProbeSerial())
}

// cloned reports whether two bays have probes with one serial number at different USB paths, and a driver that selects by the
// number alone.
func (b *Bay) cloned(other *Bay) bool {
	return b.HasProbe() && other.HasProbe() && !(b.SelectsByPath() && other.SelectsByPath()) && SameSerial(b.ProbeSerial(), other.ProbeSerial())
}

// SelectsByPath reports whether the programmer of the bay's probe knows USB paths. All others select by the serial number alone.
func (b *Bay) SelectsByPath() bool { return b.Probe == nil || b.Probe.Driver == "openocd" }

// HiddenProbe reports whether the programmer of the bay's probe does not say which probe it took, and the bay does not say either where the
// probe is plugged in. A recipe with a relative path is below base. Beside another probe such a bay is refused.
func (b *Bay) HiddenProbe(base string) bool {
	if b.SelectsByPath() || b.ProbeLocation() != "" {
		return false
	}
	described, err := Recipe(b.Probe.Driver, base)
	return err == nil && described.HidesProbe() // a recipe that cannot be read is refused where it is used
}

func (b *Bay) probeText() string {
	if location := b.ProbeLocation(); location != "" {
		return location
	}
	return b.ProbeSerial()
}
