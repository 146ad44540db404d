package configs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"hallmark/devices/probe"
	"hallmark/devices/probe/commander"
	"hallmark/devices/probe/openocd"
	"hallmark/station/workdir"
)

// A Board is a board definition, configs/boards/NAME.yaml: how the station reaches, flashes and
// locks one type of board. Only Name is required. The zero value of any other key means that the
// value is not known; [Board.Missing] says in words which steps need it.
type Board struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
	Status      string `yaml:"status"` // NotRun, or the hardware and the day of a trial
	// Emulated is the kind of emulated board as in --boards, such as "qemu"; empty for hardware.
	Emulated string     `yaml:"emulated"`
	Probe    BoardProbe `yaml:"probe"`
	UART     UART       `yaml:"uart"`
	RTT      RTT        `yaml:"rtt"`
	Firmware BoardImage `yaml:"firmware"`
	// Memory is where an image may lie: program memory, and registers that an image may set. Empty: anywhere.
	Memory []FlashRegion `yaml:"memory"`
	Store  FlashRegion   `yaml:"store"` // certificate store, for read back by probe
	// LifeCycle is the life cycle of `hello` after the step `lock`: "open" or "sealed" (PROTOCOL.md).
	LifeCycle string `yaml:"life_cycle"`
	// Sources says for each key of this file where its value comes from: "probe.openocd.config": "…".
	// A source of a section is the source of all keys below.
	Sources map[string]string `yaml:"sources"`
}

// NotRun is the status of a definition that was made from documents only.
const NotRun = "not run on hardware"

// BoardProbe says how probes reach the board's chip. Each driver has its own section.
type BoardProbe struct {
	Interface string `yaml:"interface"` // swd or jtag
	SpeedKHz  int    `yaml:"speed_khz"`
	Part      Part   `yaml:"part"`
	LockKind  string `yaml:"lock_kind"` // what the step lock closes, as people and the record call it: "APPROTECT"
	NoFlash   string `yaml:"no_flash"`  // why no driver below can flash the chip in a bay, for people; then a bay with firmware is refused
	NoLock    string `yaml:"no_lock"`   // why no driver below can lock the chip, or prove the lock, for people; then the step lock is refused

	OpenOCD  OpenOCDTarget  `yaml:"openocd"`
	JLinkExe JLinkExeTarget `yaml:"jlinkexe"`
	Recipes  []RecipeTarget `yaml:"recipes"` // programmers of configs/probes, the preferred one first
}

// A Part identifies the type of a chip by a register.
type Part = probe.Part

// OpenOCDTarget is what OpenOCD needs for the board.
type OpenOCDTarget = openocd.Chip

// JLinkExeTarget is what SEGGER's Commander needs for the board.
type JLinkExeTarget = commander.Chip

// A RecipeTarget names a recipe, and the board's chip in the words of the recipe's programmer.
type RecipeTarget struct {
	Recipe string `yaml:"recipe"` // file name in configs/probes, without .yaml
	Target string `yaml:"target"`
}

// UART is the port over which the provisioning firmware speaks.
type UART struct {
	Interface int           `yaml:"interface"` // USB interface number of the probe's or adapter's port; -1: the only port
	Baud      int           `yaml:"baud"`      // 0: boards.baud of station.yaml
	Low       []string      `yaml:"low"`       // modem lines that are low while the port is open: dtr, rts
	Settle    time.Duration `yaml:"settle"`    // from open or reset to the first request
}

// RTT says where the firmware keeps the control block of SEGGER's Real Time Transfer, for bays whose probe carries SMP.
type RTT struct {
	Address uint32 `yaml:"address"` // the search begins here
	Size    uint32 `yaml:"size"`    // octets to search; 0: the firmware has no RTT
	Channel int    `yaml:"channel"`
}

// Known reports whether the firmware has RTT.
func (r RTT) Known() bool { return r.Size > 0 }

// A BoardImage is the provisioning firmware.
type BoardImage struct {
	Image  string `yaml:"image"`  // path; a relative path is below the folder of the definition
	SHA256 string `yaml:"sha256"` // 64 hexadecimal digits
	// Address is where a .bin image lies; nil: not said. Hex and elf files have addresses of their own.
	Address *uint32 `yaml:"address"`
}

// Base returns Address, and false for a .bin image without it: the first address of the chip is as possible as any other.
func (f *BoardImage) Base() (address uint32, known bool) {
	if f.Address != nil {
		return *f.Address, true
	}
	return 0, !strings.EqualFold(filepath.Ext(f.Image), ".bin")
}

// A FlashRegion is a range of addresses as the probe sees it.
type FlashRegion struct {
	Address uint32 `yaml:"address"`
	Size    uint32 `yaml:"size"` // 0: not known
}

// Known reports whether the region can be read.
func (r FlashRegion) Known() bool { return r.Size > 0 }

// has reports whether a segment lies in the region.
func (r FlashRegion) has(s probe.Segment) bool {
	return s.Address >= r.Address && s.End() <= uint64(r.Address)+uint64(r.Size)
}

// CheckPlace refuses an image that does not lie in the memory of the board, such as the image of another chip.
func (b *Board) CheckPlace(image *probe.Image) error {
	for _, s := range image.Segments {
		if len(b.Memory) > 0 && !slices.ContainsFunc(b.Memory, func(r FlashRegion) bool { return r.has(s) }) {
			return fmt.Errorf("%w: %s has octets at %#08x to %#08x, where %s has no memory for an image", probe.ErrImageFormat, image.Name, s.Address, s.End()-1, b.Name)
		}
	}
	return nil
}

// LoadBoard reads a board definition: an embedded one by its name, or a file. A relative path is
// below base.
func LoadBoard(value, base string) (*Board, error) {
	name, text, err := boardText(value, base)
	if err != nil {
		return nil, err
	}
	return ParseBoard(name, text)
}

// BoardText returns the text of a board definition.
func BoardText(value, base string) ([]byte, error) {
	_, text, err := boardText(value, base)
	return text, err
}

func boardText(value, base string) (name string, text []byte, err error) {
	if !isPath(value) {
		text, err = files.ReadFile("boards/" + value + ".yaml")
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil, &ValueError{"board", fmt.Sprintf("%q", value), "one of " + strings.Join(BoardNames(), ", ") + ", or the path of a file", "correct the name"}
		}
		return value, text, err
	}
	path := value
	if !filepath.IsAbs(path) {
		path = filepath.Join(base, path)
	}
	if text, err = workdir.ReadCode(path); err != nil {
		return "", nil, fmt.Errorf("reading the board definition: %w", err)
	}
	return path, text, nil
}

// isPath reports whether a value is the path of a file, and no name of an embedded file.
func isPath(value string) bool { return strings.ContainsAny(value, "/.") }

// BoardNames returns the names of the embedded board definitions.
func BoardNames() []string { return embeddedNames(files, "boards") }

// ParseBoard reads a board definition. name is the file name in errors; a relative path of the
// image becomes a path below its folder.
func ParseBoard(name string, text []byte) (*Board, error) {
	board := Board{UART: UART{Interface: -1}}
	if err := Decode(name, text, &board); err != nil {
		return nil, err
	}
	if err := board.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if image := board.Firmware.Image; image != "" && !filepath.IsAbs(image) {
		board.Firmware.Image = filepath.Join(filepath.Dir(name), image)
	}
	return &board, nil
}

// LockDigest identifies the lock recipe of a driver ("openocd", "jlinkexe" or a recipe's name) for
// the record: SHA-256 of the values that decide how the lock is closed and how its state is read.
// The recipe's own file is not part of it.
func (b *Board) LockDigest(driver string) ([sha256.Size]byte, error) {
	var part any
	switch driver {
	case "openocd":
		part = b.Probe.OpenOCD
	case "jlinkexe":
		part = b.Probe.JLinkExe
	default:
		part = b.Recipe(driver)
	}
	text, err := yaml.Marshal(struct {
		Board, Kind, Driver string
		Target              any
	}{b.Name, b.Probe.LockKind, driver, part})
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("encoding the lock recipe of %s: %w", b.Name, err)
	}
	return sha256.Sum256(text), nil
}

// Recipe returns the board's values for a recipe; the zero value when there are none.
func (b *Board) Recipe(name string) RecipeTarget {
	for _, target := range b.Probe.Recipes {
		if target.Recipe == name {
			return target
		}
	}
	return RecipeTarget{}
}
