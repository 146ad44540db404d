package instance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hallmark/configs"
	"hallmark/devices/probe"
	"hallmark/devices/probe/commander"
	"hallmark/devices/probe/openocd"
	"hallmark/devices/probe/recipe"
	"hallmark/station"
	"hallmark/station/reason"
)

var (
	errNoLockedBay = errors.New("boards.lock is true in station.yaml: want a probe for each bay, and a board definition that says how to lock the debug port and how to read its state")
	errNothingRead = errors.New("boards.read_firmware is true in station.yaml: want a probe for each bay, and a board definition that names firmware")
	errNoImageHash = errors.New("the board definition names a firmware image without its SHA-256: write what `sha256sum IMAGE` prints into firmware.sha256")
	errNoAddress   = errors.New("the board definition names a .bin image, which does not say where it lies: write the address of its first octet into firmware.address, also if it is 0")
	errNoBoard     = errors.New("the bay has a probe and no board definition: write board: NAME into the bay in station.yaml, or leave its probe out")
	errNoDriver    = errors.New("unknown driver of a probe: want openocd or jlinkexe")
)

// A debugPort is the debug port of a bay: a probe, and what the board definition says about the board.
type debugPort struct {
	probe.Probe
	setup station.DebugSetup
	erase bool   // Recover is described for the board
	usb   string // where USB devices are found
	at    probe.Selection
	image *probe.Image // nil: nothing to flash
	store configs.FlashRegion
}

var _ station.DebugPort = (*debugPort)(nil)

// DebugPort opens the debug port of a bay; nil: the bay has no probe. emulated is the image of
// emulated boards, which need none in their definition. A bad image is refused here, before the
// first Run.
func (f *Files) DebugPort(bay BaySpec, emulated string) (station.DebugPort, error) {
	return f.debugPort(bay, emulated, nil)
}

// debugPort is DebugPort. A link shares the probe with the transport of the bay; nil: the bay has a UART.
func (f *Files) debugPort(bay BaySpec, emulated string, link *openocd.Link) (station.DebugPort, error) {
	if bay.Bay == nil || bay.Bay.Probe == nil {
		if f.Config.Boards.Lock {
			return nil, reason.Usage(fmt.Errorf("bay %s: %w", bay.Name, errNoLockedBay))
		}
		if f.Config.Boards.ReadFirmware {
			return nil, reason.Usage(fmt.Errorf("bay %s: %w", bay.Name, errNothingRead))
		}
		return nil, nil
	}
	if bay.Board == nil {
		return nil, reason.Usage(fmt.Errorf("bay %s: %w", bay.Name, errNoBoard))
	}
	p, err := newDebugPort(bay, string(f.Dir), emulated)
	if err != nil {
		return nil, reason.Usage(fmt.Errorf("bay %s: %w", bay.Name, err)) // nothing was asked yet but the configuration and its files
	}
	// An image with a wide gap has no hash over its octets, so only the board's report can be compared.
	if allow := f.Config.Boards.AllowedFirmware(); len(allow) > 0 && p.image != nil && p.setup.Image.Octets != [sha256.Size]byte{} && !slices.Contains(allow, p.setup.Image.Octets) {
		return nil, reason.Usage(fmt.Errorf("bay %s, board definition %s: %w: boards.firmware_allow in station.yaml lacks SHA-256 %x", bay.Name, bay.Board.Name, station.ErrImageNotAllowed, p.setup.Image.Octets))
	}
	if link != nil {
		p.Probe = link.Probe(p.Probe)
	}
	if f.Config.Boards.ReadFirmware && p.image == nil {
		return nil, reason.Usage(fmt.Errorf("bay %s, board definition %s: %w", bay.Name, bay.Board.Name, errNothingRead))
	}
	if f.Config.Boards.Lock {
		if p.setup.Lock == nil {
			return nil, reason.Usage(fmt.Errorf("bay %s, board definition %s: %w%s", bay.Name, bay.Board.Name, errNoLockedBay, bay.Board.Probe.WhyNoLock()))
		}
		p.setup.Lock.Key = f.Config.Boards.LockKey
	}
	return p, nil
}

func newDebugPort(bay BaySpec, dir, emulated string) (*debugPort, error) {
	selected := selection(bay)
	driver, err := driverFor(bay.Bay.Probe.Driver, dir, bay.Board, selected)
	if err != nil {
		return nil, err
	}
	if err := selected.Check(); err != nil {
		return nil, err
	}
	p := &debugPort{Probe: driver.Open(selected), usb: probe.USBDevices, at: selected, store: bay.Board.Store, erase: driver.erases}
	p.setup.Probe, p.setup.Store = bay.Bay.ProbeSerial(), p.store.Known()
	if driver.locks && bay.Board.Probe.Locks() {
		if p.setup.Lock, err = driver.lockRecipe(bay.Board, bay.Bay.Probe.Driver); err != nil {
			return nil, err
		}
		p.setup.LockLimit = p.LockLimit()
	}
	return p, p.readImage(bay.Board, emulated)
}

// A drivenBy is the driver of a bay's probe, and what the debug port's lock needs.
type drivenBy struct {
	probe.Driver
	locks  bool   // the debug port can be locked, and the state of the lock be read
	erases bool   // the whole chip can be erased
	recipe []byte // of a driver that follows a recipe: the recipe, for the digest of the lock
}

// driverFor makes the driver of a bay's probe from the board definition. dir is where the files of
// recipes are that a definition names by a path.
func driverFor(name, dir string, board *configs.Board, selected probe.Selection) (drivenBy, error) {
	part := board.Probe.Part
	switch name {
	case openocd.Name:
		o := &board.Probe.OpenOCD
		return drivenBy{Driver: newOpenOCD(board), locks: len(o.Lock) > 0 && o.LockState != "", erases: len(o.Recover) > 0}, nil
	case commander.Name:
		j := board.Probe.JLinkExe
		if err := j.MayConnect(); err != nil {
			return drivenBy{}, fmt.Errorf("board definition %s: probe.jlinkexe: %w", board.Name, err)
		}
		driver, err := commander.New(commander.Config{Interface: strings.ToUpper(board.Probe.Interface), Speed: board.Probe.SpeedKHz, Part: part, Chip: j})
		return drivenBy{Driver: driver, locks: len(j.Lock) > 0 && len(j.LockState) > 0, erases: len(j.Recover) > 0}, err
	}
	return byRecipe(name, dir, board, selected)
}

func newOpenOCD(board *configs.Board) *openocd.Driver {
	p := &board.Probe
	return openocd.New(openocd.Config{Transport: p.Interface, Speed: p.SpeedKHz, Part: p.Part, Chip: p.OpenOCD})
}

// selection says which probe belongs to a bay.
func selection(bay BaySpec) probe.Selection {
	network := bay.Board.Emulated != "" || bay.Bay.Probe != nil && bay.Bay.Probe.Network
	return probe.Selection{Serial: probe.Serial(bay.Bay.ProbeSerial()), Location: bay.Bay.ProbeLocation(), Network: network}
}

// byRecipe makes the driver for a programmer that a recipe describes. A recipe that cannot do the work of a
// bay is refused here, and not in the first Run.
func byRecipe(name, dir string, board *configs.Board, selected probe.Selection) (drivenBy, error) {
	described, err := configs.Recipe(name, dir)
	if err != nil {
		return drivenBy{}, fmt.Errorf("%w, or a recipe: %w", errNoDriver, err)
	}
	if err := described.CheckBay(selected); err != nil {
		return drivenBy{}, err
	}
	driver, err := recipe.New(recipe.Config{Recipe: described, Target: board.Recipe(name).Target, Speed: board.Probe.SpeedKHz, Part: board.Probe.Part})
	if err != nil {
		return drivenBy{}, err
	}
	text, err := json.Marshal(described)
	do := &described.Operations
	return drivenBy{Driver: driver, locks: len(do.Lock) > 0 && len(do.LockState) > 0, erases: len(do.Recover) > 0, recipe: text}, err
}

// lockRecipe identifies all values that decide how the debug port is locked.
func (d *drivenBy) lockRecipe(board *configs.Board, name string) (*station.LockRecipe, error) {
	digest, err := board.LockDigest(name)
	if err != nil {
		return nil, err
	}
	if d.recipe != nil {
		digest = sha256.Sum256(append(digest[:], d.recipe...))
	}
	return &station.LockRecipe{Kind: board.Probe.LockKind, SHA256: digest}, nil
}

// readImage reads the image into memory. Only these octets are flashed, so their hash is checked
// before the first octet is written, and a file that changes later changes nothing.
func (p *debugPort) readImage(board *configs.Board, emulated string) (err error) {
	path := board.Firmware.Image
	switch {
	case path == "" && emulated == "":
		return nil
	case board.Probe.NoFlash != "":
		return fmt.Errorf("board definition %s: %w: %s", board.Name, probe.ErrCannot, board.Probe.NoFlash)
	case path == "":
		path = emulated
	case board.Firmware.SHA256 == "":
		return errNoImageHash
	}
	base, known := board.Firmware.Base()
	if !known {
		return errNoAddress
	}
	if p.image, err = probe.ReadImage(path, base); err != nil {
		return err
	}
	if err := board.CheckPlace(p.image); err != nil {
		return err
	}
	if board.Firmware.SHA256 != "" {
		if err := p.image.CheckSHA256(board.Firmware.SHA256); err != nil {
			return err
		}
	}
	p.setup.FlashLimit = p.FlashLimit(p.image)
	p.setup.Image = &station.FirmwareImage{SHA256: p.image.SHA256, Octets: p.image.FlashSHA256()}
	return nil
}

func (p *debugPort) Setup() station.DebugSetup { return p.setup }

// Target names the probe also with an error, as far as station.yaml or the USB path says which one it is: a locked chip does
// not answer, and the record of the board still needs the probe.
func (p *debugPort) Target(ctx context.Context) (station.ProbeRecord, error) {
	info, err := p.Info(ctx)
	if info.Serial == "" {
		info.Serial = p.at.Serial
	}
	if info.Serial == "" && p.at.Location != "" {
		if serial, absent := p.at.AtPath(p.usb); absent == nil { // an absent probe is what err says
			info.Serial = serial
		}
	}
	return station.ProbeRecord{Serial: string(info.Serial), Target: chipName(info.Target)}, err
}

// maxChipName is how many characters of the name of a chip are kept.
const maxChipName = 128

// chipName is what a programmer calls the chip, for the record: a programmer may print anything, and as much as it likes.
func chipName(text string) string {
	runes := []rune(reason.Printable(text))
	return string(runes[:min(len(runes), maxChipName)])
}

// glance is how many octets show soon that a board holds another image or none.
const glance = 1024

// Content compares piece by piece. Only a flash that is blank where the image begins is blank: with the beginning of
// the image there, something may run.
func (p *debugPort) Content(ctx context.Context) (station.FlashContent, error) {
	for i, s := range p.pieces() {
		held, err := p.ReadMemory(ctx, s.Address, len(s.Data))
		switch {
		case err != nil:
			return "", err
		case bytes.Equal(held, s.Data):
		case i == 0 && blank(held):
			return station.FlashBlank, nil
		default:
			return station.FlashOther, nil
		}
	}
	return station.FlashImage, nil
}

// pieces are the parts of the image that are read at once: first the glance, then everything.
func (p *debugPort) pieces() []probe.Segment {
	first := p.image.Segments[0]
	first.Data = first.Data[:min(glance, len(first.Data))]
	all := []probe.Segment{first}
	for _, s := range p.image.Segments {
		address := s.Address
		for data := range slices.Chunk(s.Data, probe.MaxRead) {
			all = append(all, probe.Segment{Address: address, Data: data})
			address += uint32(len(data))
		}
	}
	return all
}

// blank reports whether octets are erased, or, on an emulated board, were never written.
func blank(octets []byte) bool {
	return bytes.Count(octets, []byte{0xff}) == len(octets) || bytes.Count(octets, []byte{0}) == len(octets)
}

func (p *debugPort) Flash(ctx context.Context, progress func(done, total int)) error {
	return p.Probe.Flash(ctx, p.image, progress)
}

func (p *debugPort) Restart(ctx context.Context) error { return p.Reset(ctx, probe.Run) }

func (p *debugPort) ReadStore(ctx context.Context) ([]byte, error) {
	return p.ReadMemory(ctx, p.store.Address, int(p.store.Size))
}

// lockStates has the engine's word for each state that a probe reads.
var lockStates = map[probe.LockState]station.LockState{probe.Open: station.LockOpen, probe.Locked: station.LockLocked}

func (p *debugPort) LockState(ctx context.Context) (station.LockState, error) {
	state, err := p.Probe.LockState(ctx)
	return lockStates[state], err
}
