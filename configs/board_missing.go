package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"hallmark/devices/probe"
	"hallmark/devices/probe/recipe"
	"hallmark/station/workdir"
)

// A Finding is a value that a board definition lacks or that does not fit, with the step that needs it.
type Finding struct {
	Key  string // "firmware.sha256"
	Text string // what is wrong, for people
	Next string // what to do
}

func (f Finding) String() string { return fmt.Sprintf("%s: %s; %s", f.Key, f.Text, f.Next) }

// Missing returns what the definition lacks for the steps with a probe. It reads the firmware image.
func (b *Board) Missing() []Finding {
	var all []Finding
	say := func(missing bool, key, text, next string) {
		if missing {
			all = append(all, Finding{key, text, next})
		}
	}
	p := &b.Probe
	say(!p.OpenOCD.Configured() && p.JLinkExe.Device == "" && len(p.Recipes) == 0, "probe", "no driver has a name for the chip, so no probe can flash the board", "fill openocd, jlinkexe or recipes")
	say(p.JLinkExe.Device != "" && p.JLinkExe.MayConnect() != nil, "probe.jlinkexe.lock_state", "no bay can use driver jlinkexe: SEGGER's software may erase a locked chip when it connects, before the registry is asked who the board is", "fill lock_state, locked and open with commands that read the lock without a connection, or write keeps_locked: true if a source says that this type of chip is not erased, or use another driver")
	say(p.NoFlash != "", "probe.no_flash", "no bay can flash this board: "+p.NoFlash, "flash it beforehand with its own programmer, and leave firmware and probe out of the bay")
	say(p.Interface == "", "probe.interface", "it is not known whether the chip is reached by SWD or JTAG", "write swd or jtag")
	say(p.Part == Part{}, "probe.part", "no register says which chip this is, so a wrong chip is found only when the image does not run", "write address and value of the part register from the manual")
	say(!p.canLock(), "probe.openocd.lock", "no driver knows how to close the debug port, so the step lock is not possible"+p.WhyNoLock(), "fill lock, or name a recipe that locks")
	say(!p.canReadLock(), "probe.openocd.lock_state", "no driver knows how to read the state of the lock, so the step lock cannot be proven", "fill lock_state, locked and open, or name a recipe that reads the state")
	say(b.UART.Interface < 0 && b.Emulated == "", "uart.interface", "it is not known which UART of the probe leads to the firmware", "write interface into the bay if the probe has more than one UART")
	say(!b.Store.Known(), "store", "it is not known where the certificates lie in flash, so read back by probe is not possible, and a board that is done but silent is not recognised before a flash or an erase", "write address and size of the partition of the certificates")
	say(b.LifeCycle == "", "life_cycle", "it is not known which life cycle the board says at the end", "write open or sealed")
	for _, target := range p.Recipes {
		described, err := Recipe(target.Recipe, "")
		say(err != nil && !strings.HasSuffix(target.Recipe, ".yaml"), "probe.recipes", fmt.Sprintf("there is no recipe %s", target.Recipe), "name one of "+strings.Join(RecipeNames(), ", ")+", or the file of a recipe")
		say(err == nil && target.Target == "" && described.NeedsTarget(), "probe.recipes", fmt.Sprintf("the recipe %s needs the name of the chip", target.Recipe), "write it as target, in the words of the programmer")
	}
	say(b.RTT.Known() && !p.OpenOCD.Configured(), "probe.openocd", "the firmware has RTT, and OpenOCD has no name for the chip, so no bay can use port: rtt:SERIAL", "fill openocd, or leave rtt out")
	if b.Emulated == "" || b.Firmware.Image != "" {
		all = append(all, b.imageFindings()...)
	}
	return all
}

// WhyNoLock is why the definition has no lock, to stand behind a text; empty if it does not say why.
func (p *BoardProbe) WhyNoLock() string {
	if p.NoLock == "" {
		return ""
	}
	return " (no lock is shipped: " + p.NoLock + ")"
}

// Locks reports whether drivers may close the debug port: the definition may say that none of them can.
func (p *BoardProbe) Locks() bool { return p.NoLock == "" }

func (p *BoardProbe) canLock() bool {
	return p.Locks() && (len(p.OpenOCD.Lock) > 0 || len(p.JLinkExe.Lock) > 0 || p.hasRecipe(func(o *recipe.Operations) bool { return len(o.Lock) > 0 }))
}

func (p *BoardProbe) canReadLock() bool {
	return p.Locks() && (p.OpenOCD.LockState != "" || len(p.JLinkExe.LockState) > 0 || p.hasRecipe(func(o *recipe.Operations) bool { return len(o.LockState) > 0 }))
}

// hasRecipe reports whether some recipe of the board has an operation. A recipe that cannot be read from here, such as a
// file of the station, counts as one that has it.
func (p *BoardProbe) hasRecipe(has func(*recipe.Operations) bool) bool {
	return slices.ContainsFunc(p.Recipes, func(target RecipeTarget) bool {
		described, err := Recipe(target.Recipe, "")
		return err != nil || has(&described.Operations)
	})
}

func (b *Board) imageFindings() []Finding {
	image := b.Firmware
	if image.Image == "" {
		return []Finding{{"firmware.image", "no provisioning firmware is named, so the step flash is not possible", "write the path of the image"}}
	}
	octets, err := workdir.ReadUpTo(image.Image, probe.MaxImage)
	hash := sha256.Sum256(octets)
	sum := hex.EncodeToString(hash[:])
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{{"firmware.image", fmt.Sprintf("%s is not there", image.Image), "build it, or correct the path"}}
	case err != nil:
		return []Finding{{"firmware.image", fmt.Sprintf("%s cannot be read: %v", image.Image, err), "correct the path or the rights"}}
	case image.SHA256 == "":
		return []Finding{{"firmware.sha256", "the hash of the image is not pinned, so any file with this name is flashed", "write sha256: " + sum}}
	case !strings.EqualFold(image.SHA256, sum):
		return []Finding{{"firmware.sha256", fmt.Sprintf("%s has the hash %s, the definition says %s", image.Image, sum, strings.ToLower(image.SHA256)), "flash nothing before you know which of the two is right"}}
	}
	base, known := image.Base()
	if !known {
		return []Finding{{"firmware.address", "a .bin does not say where it lies", "write the address of its first octet, also if it is 0"}}
	}
	parsed, err := probe.ParseImage(image.Image, octets, base)
	if err != nil {
		return []Finding{{"firmware.image", fmt.Sprintf("%s cannot be flashed: %v", image.Image, err), "name a hex, bin or elf file"}}
	}
	if err := b.CheckPlace(parsed); err != nil {
		return []Finding{{"firmware.image", err.Error(), "name the image of this board, or correct memory"}}
	}
	return nil
}

// WithoutSource returns the keys that have a value and no source.
func (b *Board) WithoutSource() (keys []string) {
	for _, key := range setKeys(b) {
		if !b.hasSource(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// hasSource: a source of a section covers the keys below.
func (b *Board) hasSource(key string) bool {
	for known := range b.Sources {
		if key == known || strings.HasPrefix(key, known+".") {
			return true
		}
	}
	return false
}
