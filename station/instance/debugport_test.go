package instance_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/configs"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// definition is a board definition with an image of these octets.
func definition(t *testing.T, octets string) *configs.Board {
	t.Helper()
	board := fixtures.Must(configs.LoadBoard("nrf52840dk", "."))(t)
	address := uint32(0x1000)
	board.Firmware = configs.BoardImage{Image: filepath.Join(t.TempDir(), "fw.bin"), SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(octets))), Address: &address}
	if err := os.WriteFile(board.Firmware.Image, []byte(octets), 0o600); err != nil {
		t.Fatal(err)
	}
	return board
}

func probed(board *configs.Board, driver string) instance.BaySpec {
	return instance.BaySpec{Name: "left", Board: board, Bay: &configs.Bay{Name: "left", USB: "1-2", Probe: &configs.BayProbe{Driver: driver, Serial: "683806234"}}}
}

func openFiles(t *testing.T, lock bool) *instance.Files {
	t.Helper()
	files := fixtures.Must(instance.OpenFiles(fixtures.NewDirectory(t), instance.Options{}))(t)
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	files.Config.Boards.Lock, files.Config.Boards.LockKey = lock, "SHA256:k"
	return files
}

func TestTheDebugPortOfABayFollowsItsDefinition(t *testing.T) {
	board := definition(t, "octets")
	port := fixtures.Must(openFiles(t, true).DebugPort(probed(board, "openocd"), ""))(t)
	setup := port.Setup()
	if setup.Image == nil || setup.Image.Octets != sha256.Sum256([]byte("octets")) || setup.Probe != "683806234" {
		t.Errorf("setup %+v", setup)
	}
	if setup.FlashLimit != 5*time.Minute || setup.LockLimit != 90*time.Second {
		t.Errorf("the programmer may take %v and %v", setup.FlashLimit, setup.LockLimit)
	}
	if setup.Lock == nil || setup.Lock.Key != "SHA256:k" || setup.Lock.Kind != board.Probe.LockKind || setup.Lock.SHA256 == [32]byte{} {
		t.Errorf("lock %+v", setup.Lock)
	}
	board.Firmware = configs.BoardImage{}
	if port := fixtures.Must(openFiles(t, false).DebugPort(probed(board, "openocd"), ""))(t); port.Setup().Image != nil {
		t.Error("a definition without firmware has an image")
	}
}

// A change of the recipe, of the board's values or of the kind changes the digest on record.
func TestTheDigestOfALockFollowsAllItsValues(t *testing.T) {
	files := openFiles(t, true)
	digest := func(driver string, change func(*configs.Board)) [32]byte {
		board := definition(t, "octets")
		change(board)
		return fixtures.Must(files.DebugPort(probed(board, driver), ""))(t).Setup().Lock.SHA256
	}
	seen := map[[32]byte]string{}
	for name, change := range map[string]func(*configs.Board){
		"as it is": func(*configs.Board) {}, "another command": func(b *configs.Board) { b.Probe.OpenOCD.Lock = []string{"other"} },
		"another state": func(b *configs.Board) { b.Probe.OpenOCD.Locked = "7" }, "another kind": func(b *configs.Board) { b.Probe.LockKind = "other" },
	} {
		sum := digest("openocd", change)
		if other, twice := seen[sum]; twice {
			t.Errorf("%q has the digest of %q", name, other)
		}
		seen[sum] = name
	}
	if first := digest("openocd", func(*configs.Board) {}); seen[first] != "as it is" {
		t.Error("the digest is not stable")
	}
}

func TestABayThatCannotWorkIsRefusedBeforeTheFirstRun(t *testing.T) {
	for _, test := range []struct {
		name   string
		lock   bool
		bay    func(t *testing.T) instance.BaySpec
		reason string
		says   string
	}{
		{"a station that locks, and a bay without probe", true, func(*testing.T) instance.BaySpec { return instance.BaySpec{Name: "left"} }, "usage", "want a probe for each bay"},
		{"a station that locks, and a definition that does not", true, func(t *testing.T) instance.BaySpec {
			board := definition(t, "octets")
			board.Probe.OpenOCD.Lock = nil
			return probed(board, "openocd")
		}, "usage", "board definition nrf52840dk"},
		{"an image with another hash", false, func(t *testing.T) instance.BaySpec {
			board := definition(t, "octets")
			board.Firmware.SHA256 = strings.Repeat("0", 64)
			return probed(board, "openocd")
		}, "image-hash", "fw.bin"},
		{"an image without a hash", false, func(t *testing.T) instance.BaySpec {
			board := definition(t, "octets")
			board.Firmware.SHA256 = ""
			return probed(board, "openocd")
		}, "usage", "firmware.sha256"},
		{"a .bin image without its address", false, func(t *testing.T) instance.BaySpec {
			board := definition(t, "octets")
			board.Firmware.Address = nil
			return probed(board, "openocd")
		}, "usage", "firmware.address"},
		{"an image that is not there", false, func(t *testing.T) instance.BaySpec {
			board := definition(t, "octets")
			board.Firmware.Image += ".gone"
			return probed(board, "openocd")
		}, "image-unreadable", "fw.bin.gone"},
		{"an image that cannot be flashed", false, func(t *testing.T) instance.BaySpec {
			board := definition(t, "octets")
			board.Firmware.Image = strings.TrimSuffix(board.Firmware.Image, ".bin")
			if err := os.WriteFile(board.Firmware.Image, []byte("octets"), 0o600); err != nil {
				t.Fatal(err)
			}
			return probed(board, "openocd")
		}, "image-format", "fw"},
		{"a serial number that is none", false, func(t *testing.T) instance.BaySpec {
			bay := probed(definition(t, "octets"), "openocd")
			bay.Bay.Probe.Serial = "1 2"
			return bay
		}, "probe-serial", "1 2"},
		{"a probe without board definition", false, func(*testing.T) instance.BaySpec { return probed(nil, "openocd") }, "usage", "no board definition"},
		{"a driver that does not exist", false, func(t *testing.T) instance.BaySpec { return probed(definition(t, "octets"), "magic") }, "usage", "openocd"},
		{"a station that locks, and a chip whose lock nobody can prove", true, func(t *testing.T) instance.BaySpec {
			return probed(fixtures.Must(configs.LoadBoard("nrf5340dk", "."))(t), "nrfutil")
		}, "usage", "one core only"},
		{"a programmer over a serial port", false, func(t *testing.T) instance.BaySpec { return probed(definition(t, "octets"), "esptool") }, "usage", "recipe esptool"},
		{"another programmer over a serial port", false, func(t *testing.T) instance.BaySpec { return probed(definition(t, "octets"), "blhost") }, "usage", "recipe blhost"},
		{"JLinkExe and a chip that it may erase when it connects", false, func(t *testing.T) instance.BaySpec { return probed(definition(t, "octets"), "jlinkexe") }, "tool-cannot", "lock_state"},
		{"a board that no bay can flash", false, func(t *testing.T) instance.BaySpec {
			board := fixtures.Must(configs.LoadBoard("esp32-s3-devkitc", "."))(t)
			board.Firmware = definition(t, "octets").Firmware
			return probed(board, "openocd")
		}, "tool-cannot", "no flash bank"},
		{"a recipe that needs the serial number of the probe", false, func(t *testing.T) instance.BaySpec {
			bay := probed(definition(t, "octets"), "nrfutil")
			bay.Bay.Probe.Serial = ""
			return bay
		}, "usage", "serial"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := openFiles(t, test.lock).DebugPort(test.bay(t), "")
			words := reason.All(err)
			if reason.ExitOf(err) != reason.ExitUsage {
				t.Errorf("exit code %d: %v", reason.ExitOf(err), err)
			}
			if len(words) == 0 || words[len(words)-1].Word != test.reason && words[0].Word != test.reason || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "bay left") {
				t.Errorf("got %v (%v), want %s", err, words, test.reason)
			}
		})
	}
}

func TestJLinkExeIsThereForAChipThatItDoesNotErase(t *testing.T) {
	for name, change := range map[string]func(*configs.JLinkExeTarget){
		"its lock is read before": func(j *configs.JLinkExeTarget) { j.LockState, j.Locked, j.Open = []string{"SWDReadAP 3"}, "= 0", "= 1" },
		"nothing erases it":       func(j *configs.JLinkExeTarget) { j.KeepsLocked = true },
	} {
		board := definition(t, "octets")
		change(&board.Probe.JLinkExe)
		if port, err := openFiles(t, false).DebugPort(probed(board, "jlinkexe"), ""); err != nil || port == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABayWithoutProbeHasNoDebugPort(t *testing.T) {
	port, err := openFiles(t, false).DebugPort(instance.BaySpec{Name: "left"}, "")
	if port != nil || err != nil {
		t.Errorf("got %v, %v", port, err)
	}
}

func TestAnImageThatTheStationDoesNotAllowIsRefusedBeforeTheFirstRun(t *testing.T) {
	files, board := openFiles(t, false), definition(t, "octets")
	files.Config.Boards.FirmwareAllow = []string{strings.Repeat("ab", 32)}
	if _, err := files.DebugPort(probed(board, "openocd"), ""); !errors.Is(err, station.ErrImageNotAllowed) || reason.ExitOf(err) != reason.ExitUsage || !strings.Contains(err.Error(), "bay left") {
		t.Errorf("got %v", err)
	}
	files.Config.Boards.FirmwareAllow = append(files.Config.Boards.FirmwareAllow, fmt.Sprintf("%x", sha256.Sum256([]byte("octets"))))
	if _, err := files.DebugPort(probed(board, "openocd"), ""); err != nil {
		t.Error(err)
	}
	files.Config.Boards.FirmwareAllow = files.Config.Boards.FirmwareAllow[:1]
	hex := ":0400000001020304F2\n:020000041000EA\n:04120800FEFFFFFFE7\n:00000001FF\n" // flash, and a word of the UICR 256 MiB above it
	apart := definition(t, hex)
	if _, err := files.DebugPort(probed(apart, "openocd"), ""); !errors.Is(err, station.ErrImageNotAllowed) {
		t.Errorf("the same octets as a raw image: %v", err)
	}
	apart.Firmware.Image, apart.Firmware.Address = filepath.Join(t.TempDir(), "fw.hex"), nil
	if err := os.WriteFile(apart.Firmware.Image, []byte(hex), 0o600); err != nil {
		t.Fatal(err)
	}
	port, err := files.DebugPort(probed(apart, "openocd"), "")
	if err != nil || port.Setup().Image.Octets != [sha256.Size]byte{} {
		t.Errorf("an image whose hash over its octets is not known: %v, %v", port, err)
	}
	board.Firmware = configs.BoardImage{}
	if _, err := files.DebugPort(probed(board, "openocd"), ""); err != nil {
		t.Errorf("nothing to flash: %v", err)
	}
}

func TestAnImageOfEmulatedBoardsThatIsNoFileIsRefusedWithTheBays(t *testing.T) {
	files := openFiles(t, false)
	files.Config.Boards.AllowEmulated = true
	kind := instance.EmulatedKinds()[0]
	bay := instance.BaySpec{Name: "left", Kind: &kind, Board: definition(t, "octets"), Bay: &configs.Bay{Name: "left"}}
	files.Config.Firmware.Posix = t.TempDir()
	if err := files.CheckBays([]instance.BaySpec{bay}); !errors.Is(err, workdir.ErrNotRegular) || reason.ExitOf(err) != reason.ExitUsage || !strings.Contains(err.Error(), "bay left") {
		t.Errorf("a folder: %v", err)
	}
	files.Config.Firmware.Posix = filepath.Join(t.TempDir(), "none")
	if err := files.CheckBays([]instance.BaySpec{bay}); err != nil {
		t.Errorf("a flag may name another image than one that is not there: %v", err)
	}
}

func TestAStationThatReadsFirmwareNeedsAProbeAndFirmwareInEachBay(t *testing.T) {
	files, board := openFiles(t, false), definition(t, "octets")
	files.Config.Boards.ReadFirmware = true
	if _, err := files.DebugPort(probed(board, "openocd"), ""); err != nil {
		t.Error(err)
	}
	board.Firmware = configs.BoardImage{}
	for name, bay := range map[string]instance.BaySpec{"no firmware": probed(board, "openocd"), "no probe": {Name: "left"}} {
		if _, err := files.DebugPort(bay, ""); reason.ExitOf(err) != reason.ExitUsage || !strings.Contains(err.Error(), "boards.read_firmware") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A programmer may print anything for the name of a chip.
func TestTheNameOfAChipIsCleanAndShortOnRecord(t *testing.T) {
	program := filepath.Join(t.TempDir(), "tool")
	script := "#!/bin/sh\ncase \"$*\" in --version) echo 'STM32CubeProgrammer version: 2.20.0';; *) printf 'ST-LINK SN : 683806234\\nVoltage : 3.3V\\nDevice name : STM32\\342\\200\\256U5'; head -c 300000 /dev/zero | tr '\\0' x;; esac\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	text := fixtures.Must(configs.RecipeText("stm32", "."))(t)
	recipe := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(recipe, []byte(strings.Replace(string(text), "program: STM32_Programmer_CLI", "program: "+program, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	board := definition(t, "octets")
	board.Probe.Part = configs.Part{}
	board.Probe.Recipes = append(board.Probe.Recipes, configs.RecipeTarget{Recipe: recipe, Target: "x"})
	bay := probed(board, recipe)
	bay.Bay.USB = ""
	record, err := fixtures.Must(openFiles(t, false).DebugPort(bay, ""))(t).Target(t.Context())
	if err != nil || !strings.HasPrefix(record.Target, "STM32?U5xxx") || len(record.Target) != 128 {
		t.Errorf("got %.200q, %d octets, %v", record.Target, len(record.Target), err)
	}
}
