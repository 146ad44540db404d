// Package hardware compares the bays of station.yaml with what is plugged in, and names what does not fit: hardware
// without a bay, bays without their hardware, and hardware that cannot be told apart.
package hardware

import (
	"cmp"
	"fmt"
	"slices"

	"hallmark/configs"
	"hallmark/devices/serial/remote"
	"hallmark/devices/usb"
)

// A Row is one place of the bench: a bay, a device without a bay, or both.
type Row struct {
	Bay      string   `json:"bay"` // empty: no bay of station.yaml is here
	USB      string   `json:"usb"`
	Probe    string   `json:"probe"` // kind of the probe
	ProbeUSB string   `json:"probe_usb"`
	Driver   string   `json:"driver"` // programmer that the bay names
	Serial   string   `json:"serial"` // as the device says it
	Product  string   `json:"product"`
	Board    string   `json:"board"` // board definition
	Ports    []Port   `json:"ports"`
	Troubles []string `json:"troubles"` // what is wrong, with the next action
}

// A Port is a UART of a Row.
type Port struct {
	Name      string `json:"name"`
	Device    string `json:"device"`
	Interface int    `json:"interface"`
	Driver    string `json:"driver"` // of the kernel
	State     string `json:"state"`  // "free", or who uses the port; empty: not known
}

// States says who uses a port, by its device. nil: not known.
type States func(device string) string

// Compare returns the bays in their order, and then the devices that have no bay. base is the directory of relative board definitions.
func Compare(bays []configs.Bay, base string, tree *usb.Tree, states States) []Row {
	var rows []Row
	mapped := map[string]bool{}
	for i := range bays {
		row := ofBay(&bays[i], base, tree)
		for _, path := range pathsOf(&bays[i], tree) {
			mapped[path] = true
		}
		rows = append(rows, row)
	}
	addSharers(rows, bays, tree)
	addHidden(rows, bays, base, tree)
	for i := range tree.Devices {
		if device := &tree.Devices[i]; !mapped[device.Path] {
			rows = append(rows, ofDevice(device))
		}
	}
	for i := range rows {
		rows[i].addState(states)
		if i < len(bays) {
			rows[i].addTwins(&bays[i], tree)
		} else {
			rows[i].addTwins(&configs.Bay{USB: rows[i].USB}, tree)
		}
	}
	return rows
}

// pathsOf returns the USB paths that belong to a bay.
func pathsOf(bay *configs.Bay, tree *usb.Tree) []string {
	paths := []string{bay.USB, bay.ProbeLocation()}
	if device := tree.ByPort(bay.Port); bay.Port != "" && device != nil {
		paths = append(paths, device.Path)
	}
	if device := probeOf(bay, tree); device != nil {
		paths = append(paths, device.Path)
	}
	return paths
}

// noBay is the trouble of a device without a bay.
const noBay = "no bay of station.yaml has this device; `station bays --yaml` prints bays for it"

func ofDevice(device *usb.Device) Row {
	row := Row{}
	row.describe(device)
	row.Ports = portsOf(device.Ports)
	row.say(noBay)
	return row
}

func (r *Row) describe(device *usb.Device) {
	r.USB, r.Serial, r.Product = device.Path, device.Serial, device.Product
	if device.Probe != usb.NoProbe {
		r.Probe, r.ProbeUSB = string(device.Probe), device.Path
	}
}

func (r *Row) say(format string, args ...any) {
	r.Troubles = append(r.Troubles, fmt.Sprintf(format, args...))
}

func portsOf(ports []usb.Port) (all []Port) {
	for _, port := range ports {
		all = append(all, Port{Name: port.Name, Device: port.Device, Interface: port.Interface, Driver: port.Driver})
	}
	return all
}

func ofBay(bay *configs.Bay, base string, tree *usb.Tree) Row {
	row := Row{Bay: bay.Name, USB: bay.USB, Board: bay.Board}
	board := row.definition(bay, base)
	if bay.USB == "" && (bay.Port == "" || configs.IsRTT(bay.Port) && board != nil && board.Emulated != "") {
		row.addEmulated(bay)
		return row
	}
	row.addUART(bay, board, tree)
	if bay.Probe != nil {
		row.Driver = bay.Probe.Driver
	}
	if bay.HasProbe() {
		row.Driver = cmp.Or(row.Driver, "openocd") // carries SMP
		row.addProbe(bay, tree)
	}
	return row
}

// definition reads the board definition of a bay; nil: there is none, or no Run can read it either, which the row says.
func (r *Row) definition(bay *configs.Bay, base string) *configs.Board {
	if bay.Board == "" {
		return nil
	}
	board, err := configs.LoadBoard(bay.Board, base)
	if err != nil {
		r.say("%v", err)
	}
	return board
}

// addUART finds the UART of a bay, as a Run does.
func (r *Row) addUART(bay *configs.Bay, board *configs.Board, tree *usb.Tree) {
	device := tree.At(bay.USB)
	if bay.Port != "" {
		r.addNamed(bay, tree)
		return
	}
	if device == nil {
		r.say("nothing is plugged in at USB path %s: look at the cable, or correct the bay in station.yaml", bay.USB)
		return
	}
	r.describe(device)
	r.Ports = portsOf(device.Ports)
	if bay.Board != "" && board == nil {
		return // nobody knows which one
	}
	port, err := device.Port(bay.UARTInterface(board))
	if err != nil {
		r.say("%v", err)
		return
	}
	r.Ports = portsOf([]usb.Port{port})
}

// addNamed finds the UART of a bay that names a port.
func (r *Row) addNamed(bay *configs.Bay, tree *usb.Tree) {
	if remote.Is(bay.Port) || configs.IsRTT(bay.Port) {
		r.Ports = []Port{{Name: bay.Port, Interface: -1}}
		return
	}
	device, tty := tree.ByPort(bay.Port), tree.DeviceOf(bay.Port)
	r.Ports = []Port{{Name: bay.Port, Device: tty, Interface: -1}}
	if device != nil {
		r.describe(device)
		i := slices.IndexFunc(device.Ports, func(p usb.Port) bool { return p.Device == tty })
		r.Ports = portsOf(device.Ports[i : i+1])
		return
	}
	if !tree.Has(bay.Port) {
		r.Ports[0].Device = "" // nobody uses it, and it is not free
		r.say("port %s is not there: look at the cable, or correct the bay in station.yaml", bay.Port)
	}
}

// probeOf returns the probe of a bay: the device at its USB path, or the one with its serial number.
func probeOf(bay *configs.Bay, tree *usb.Tree) *usb.Device {
	if !bay.HasProbe() {
		return nil
	}
	return tree.FindProbe(bay.ProbeLocation(), bay.HasSerial)
}

// addSharers names each probe that two bays have. They may name it in two ways, so only the tree shows it.
func addSharers(rows []Row, bays []configs.Bay, tree *usb.Tree) {
	for i := range bays {
		for j := range i {
			if probe := probeOf(&bays[i], tree); probe != nil && probe == probeOf(&bays[j], tree) {
				for _, pair := range [][2]int{{i, j}, {j, i}} {
					rows[pair[0]].say("the probe at USB path %s belongs to bay %s, too: name another probe for one of the two", probe.Path, bays[pair[1]].Name)
				}
			}
		}
	}
}

// addHidden names each bay whose programmer does not say which probe it took, beside another probe of that kind.
func addHidden(rows []Row, bays []configs.Bay, base string, tree *usb.Tree) {
	for i := range bays {
		mine := probeOf(&bays[i], tree)
		if mine == nil || !bays[i].HiddenProbe(base) {
			continue
		}
		for _, other := range tree.Devices {
			if other.Path != mine.Path && other.Probe == mine.Probe {
				rows[i].say("%s does not say which probe it worked with, and another %s is at USB path %s: this bay cannot work. Write the USB path of its probe (%s) as probe.usb into station.yaml", bays[i].Probe.Driver, mine.Probe, other.Path, mine.Path)
				break
			}
		}
	}
}

func (r *Row) addProbe(bay *configs.Bay, tree *usb.Tree) {
	device := probeOf(bay, tree)
	switch {
	case device == nil && len(r.Troubles) > 0 && bay.ProbeLocation() == bay.USB && bay.USB != "":
		return // UART and probe are one device, and the row says already that it is not there
	case device == nil:
		r.say("probe %s is not plugged in", cmp.Or(bay.ProbeSerial(), "at USB path "+bay.ProbeLocation()))
		return
	case device.Probe == usb.NoProbe:
		r.say("the device at USB path %s is no probe that this station knows (%s)", device.Path, device.Product)
	case bay.ProbeSerial() != "" && !configs.SameSerial(device.Serial, bay.ProbeSerial()):
		r.say("the probe at USB path %s has the serial number %s, station.yaml says %s: the probe was exchanged, or the cable is plugged in elsewhere", device.Path, cmp.Or(device.Serial, "-"), bay.ProbeSerial())
	}
	r.Probe, r.ProbeUSB, r.Serial = string(device.Probe), device.Path, device.Serial
	if bay.Board == "" {
		r.say("the bay has a probe and no board definition: write board: NAME into station.yaml")
	}
}

func (r *Row) addState(states States) {
	if states == nil {
		return
	}
	for i, port := range r.Ports {
		if port.Device != "" { // empty: not plugged in, or not of this machine
			r.Ports[i].State = states(port.Device)
		}
	}
}

// Emulated is the kind of a probe that is no hardware.
const Emulated = "emulated"

// addEmulated describes the probe of a bay without hardware as station.yaml has it.
func (r *Row) addEmulated(bay *configs.Bay) {
	if bay.HasProbe() {
		r.Probe, r.Serial, r.Driver = Emulated, bay.ProbeSerial(), "openocd"
	}
	if bay.Probe != nil {
		r.Driver = bay.Probe.Driver
	}
}

// addTwins names other probes with the serial number of the bay's probe, and says if the bay cannot work beside them.
func (r *Row) addTwins(bay *configs.Bay, tree *usb.Tree) {
	if r.Serial == "" && r.Probe != "" && r.Probe != Emulated {
		r.say("the probe has no serial number: only its USB path identifies it")
	}
	for _, other := range r.twins(tree) {
		switch {
		case !bay.SelectsByPath():
			r.say("the probe at USB path %s has the same serial number, and %s selects a probe by its number alone: this bay cannot work. Use the driver openocd, or exchange one of the two", other.Path, r.Driver)
		case bay.ProbeLocation() == "":
			r.say("the probe at USB path %s has the same serial number: write the USB path of the bay's probe into station.yaml, because only it tells the two apart", other.Path)
		default:
			r.say("the probe at USB path %s has the same serial number: only the USB path tells the two apart", other.Path)
		}
	}
}

// twins are the other probes with the serial number of the row's probe.
func (r *Row) twins(tree *usb.Tree) (all []usb.Device) {
	for _, other := range tree.Devices {
		if other.Path != r.ProbeUSB && r.Probe != "" && r.Probe != Emulated && other.Probe != usb.NoProbe && configs.SameSerial(other.Serial, r.Serial) {
			all = append(all, other)
		}
	}
	return all
}
