package probe

import (
	"fmt"
	"slices"

	"hallmark/devices/usb"
)

// USBDevices is where Linux shows the devices on USB.
const USBDevices = usb.Directory

// JLinks returns the J-Links on USB, from a directory such as USBDevices.
func JLinks(dir string) (all []Found, err error) {
	devices, err := usb.Identities(dir)
	for _, d := range devices {
		if d.Probe != usb.JLink {
			continue
		}
		serial, err := ParseSerial(d.Serial)
		if err != nil {
			continue // a probe without serial number cannot be selected
		}
		all = append(all, Found{Serial: serial, Location: d.Path, USBID: d.VID + ":" + d.PID, Product: d.Product})
	}
	return all, err
}

// AtPath returns the serial number at the selected USB path. It refuses another one than the selected one.
func (s Selection) AtPath(dir string) (Serial, error) {
	devices, err := usb.Identities(dir)
	if err != nil {
		return "", err
	}
	serial, _, err := s.at(devices)
	return serial, err
}

// at returns the serial number and the kinds of the device at the selected USB path.
func (s Selection) at(devices []usb.Device) (serial Serial, kinds []string, err error) {
	for _, d := range devices {
		if d.Path != s.Location || d.Serial == "" {
			continue
		}
		if serial, err = ParseSerial(d.Serial); err != nil {
			return "", nil, fmt.Errorf("%w: at the USB path %s is a device with the serial number %.40q", ErrWrongSerial, s.Location, d.Serial)
		}
		if err := s.MustBe(serial); err != nil {
			return "", nil, fmt.Errorf("at the USB path %s: %w", s.Location, err)
		}
		return serial, kindsOf(d), nil
	}
	return "", nil, fmt.Errorf("%w: nothing is connected at the USB path %s", ErrMissing, s.Location)
}

// Only is AtPath for a programmer that selects by the serial number alone: it also refuses a second probe with the serial
// number, because the programmer would take either of them. Without a USB path, all devices on USB count.
func (s Selection) Only(dir string) (serial Serial, err error) {
	if s.Serial == "" && s.Location == "" {
		return "", nil
	}
	devices, err := usb.Identities(dir)
	if err != nil {
		return "", err
	}
	var mine []string // what the programmer could take the selected device for
	if serial = s.Serial; s.Location != "" {
		if serial, mine, err = s.at(devices); err != nil {
			return "", err
		}
	}
	places := map[string]string{} // kind → USB path of the first device with the serial number
	for _, d := range devices {
		if !Serial(d.Serial).Is(serial) {
			continue
		}
		for _, kind := range kindsOf(d) {
			if len(mine) > 0 && !slices.Contains(mine, kind) {
				continue
			}
			if first := places[kind]; first != "" {
				return "", fmt.Errorf("%w: %s at the USB paths %s and %s, and the serial number alone selects either of them", ErrAmbiguous, serial, first, d.Path)
			}
			places[kind] = d.Path
		}
	}
	return serial, nil
}

// Alone refuses a probe beside another one of its kind, for a programmer that does not say which one it took. A probe that is not on USB is alone.
func (s Selection) Alone(dir string) error {
	devices, err := usb.Identities(dir)
	if err != nil {
		return err
	}
	mine := slices.IndexFunc(devices, func(d usb.Device) bool { return d.Probe != usb.NoProbe && Serial(d.Serial).Is(s.Serial) })
	for i, d := range devices {
		if mine >= 0 && i != mine && d.Probe == devices[mine].Probe {
			return fmt.Errorf("%w: the programmer does not say which probe it takes, and another one of this kind is at the USB path %s: write probe.usb, the USB path of %s, into the bay", ErrAmbiguous, d.Path, s.Serial)
		}
	}
	return nil
}

// kindsOf returns what a programmer could take the device for: a device of its maker, and a CMSIS-DAP probe, whoever made it. Other devices of another
// maker may have the serial number of a probe.
func kindsOf(d usb.Device) (kinds []string) {
	if d.VID != "" {
		kinds = append(kinds, d.VID)
	}
	if d.Probe == usb.CMSISDAP {
		kinds = append(kinds, string(d.Probe))
	}
	return kinds
}
