package hardware

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"hallmark/configs"
	"hallmark/devices/usb"
)

// WriteYAML prints bays for the devices that have none, ready for station.yaml. The bays of station.yaml come
// first, so that the text may replace them.
func WriteYAML(w io.Writer, bays []configs.Bay, tree *usb.Tree) error {
	proposed := slices.Clone(bays)
	var text strings.Builder
	for _, row := range Compare(bays, "", tree, nil)[len(bays):] {
		more := propose(tree.At(row.USB), proposed, tree)
		if len(more) == 0 {
			fmt.Fprintf(&text, "# USB path %s is a probe without UART (%s): the bay of its board names it with probe: {driver: openocd, usb: %s}\n", row.USB, row.Product, row.USB)
		}
		proposed = append(proposed, more...)
	}
	if len(proposed) == 0 {
		_, err := fmt.Fprint(w, text.String(), "bays: []\n")
		return err
	}
	text.WriteString("bays:\n")
	for _, bay := range proposed {
		writeBay(&text, &bay, tree)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// propose returns a bay for a probe, or for each UART of an adapter. A probe with several UARTs gets its first one.
func propose(device *usb.Device, bays []configs.Bay, tree *usb.Tree) (proposed []configs.Bay) {
	ports := device.Ports
	if device.Probe != usb.NoProbe && len(ports) > 1 {
		ports = ports[:1]
	}
	for _, port := range ports {
		bay := configs.Bay{Name: freeName(append(bays, proposed...)), USB: device.Path}
		if len(device.Ports) > 1 {
			bay.Interface = &port.Interface
		}
		bay.Probe = proposeProbe(device, tree)
		proposed = append(proposed, bay)
	}
	return proposed
}

// proposeProbe names the serial number only if no other probe has it.
func proposeProbe(device *usb.Device, tree *usb.Tree) *configs.BayProbe {
	if device.Probe == usb.NoProbe || device.Probe == usb.ESPJTAG { // no OpenOCD of a distribution has the script of an ESP32's own probe
		return nil
	}
	probe := &configs.BayProbe{Driver: "openocd"}
	twin := func(d usb.Device) bool { return d.Path != device.Path && configs.SameSerial(d.Serial, device.Serial) }
	if configs.IsProbeSerial(device.Serial) && !slices.ContainsFunc(tree.Devices, twin) {
		probe.Serial = device.Serial
	}
	return probe
}

// freeName returns the first "bay-N" that no bay has.
func freeName(bays []configs.Bay) string {
	for n := 1; ; n++ {
		name := fmt.Sprint("bay-", n)
		if !slices.ContainsFunc(bays, func(b configs.Bay) bool { return b.Name == name }) {
			return name
		}
	}
}

func writeBay(text *strings.Builder, bay *configs.Bay, tree *usb.Tree) {
	comment := ""
	if device := tree.At(bay.USB); device != nil {
		comment = "   # " + device.Product + portList(device)
	}
	fmt.Fprintf(text, "  - name: %s%s\n", strconv.Quote(bay.Name), comment)
	for _, pair := range [][2]string{{"usb", bay.USB}, {"port", bay.Port}, {"board", bay.Board}} {
		if pair[1] != "" {
			fmt.Fprintf(text, "    %s: %s\n", pair[0], strconv.Quote(pair[1]))
		}
	}
	if bay.Interface != nil {
		fmt.Fprintf(text, "    interface: %d\n", *bay.Interface)
	}
	if bay.Baud != 0 {
		fmt.Fprintf(text, "    baud: %d\n", bay.Baud)
	}
	if bay.Settle != 0 {
		fmt.Fprintf(text, "    settle: %v\n", bay.Settle)
	}
	if bay.Low != nil {
		fmt.Fprintf(text, "    low: [%s]\n", strings.Join(bay.Low, ", "))
	}
	if bay.Answer != 0 {
		fmt.Fprintf(text, "    answer: %v\n", bay.Answer)
	}
	writeProbe(text, bay.Probe)
	if bay.Probe != nil && bay.Board == "" {
		fmt.Fprintf(text, "    # board: one of %s, or a file\n", strings.Join(configs.BoardNames(), ", "))
	}
}

func portList(device *usb.Device) string {
	var all []string
	for _, port := range device.Ports {
		all = append(all, fmt.Sprintf("interface %d is %s", port.Interface, port.Device))
	}
	if len(all) < 2 {
		return ""
	}
	return "; " + strings.Join(all, ", ")
}

func writeProbe(text *strings.Builder, probe *configs.BayProbe) {
	if probe == nil {
		return
	}
	fmt.Fprintf(text, "    probe: {driver: %s", strconv.Quote(probe.Driver))
	if probe.Serial != "" {
		fmt.Fprintf(text, ", serial: %s", strconv.Quote(probe.Serial))
	}
	if probe.USB != "" {
		fmt.Fprintf(text, ", usb: %s", strconv.Quote(probe.USB))
	}
	text.WriteString("}\n")
}
