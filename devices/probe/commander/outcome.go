package commander

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"hallmark/devices/probe"
)

// An outcome is what one JLinkExe said. The run was a success only if all of this is true: the exit code is 0;
// the script was processed to its end; each loadfile has its "O.K." after a "Flash download:"; each verifybin
// has its "Verify successful."; each savebin has its "O.K."; and no text of an error occurs.
type outcome struct {
	exit     int
	text     string
	log      string // of SEGGER's library
	script   []string
	connects bool
	dump     []byte
}

// Texts of J-Link Commander, V5 to V9, from public transcripts.
var (
	listed       = probe.NewPattern(`(?m)^J-Link\[\d+\]: Connection: \S+, Serial number: (\d+), ProductName: ([^,\r\n]+)(?:, Nickname: .*)?$`)
	version      = probe.NewPattern(`SEGGER J-Link Commander V(\d+)\.(\d+)`)
	serialNumber = probe.NewPattern(`\bS/N:[ \t]*(\S+)`)
	firmware     = probe.NewPattern(`(?m)^Firmware: (.*)$`)
	vtref        = probe.NewPattern(`VTref=(\d+)\.(\d{3})V`)
	identified   = probe.NewPattern(`(?m)^(\S.*) identified\.$|^Found (.*?), Little endian\.$`)
	connected    = probe.NewPattern(`(?i)connecting to j-link\b[^\n]*?O\.K\.`)
	flashed      = probe.NewPattern(`(?s)Flash download:.*?\nO\.K\.`)
	verified     = probe.NewPattern(`(?m)^Verify successful\.`)
	saved        = probe.NewPattern(`into file\.\.\.O\.K\.`)
	anyError     = probe.NewPattern(`(?im)^.*(?:\berror\b|not established|\bfailed\b).*$`)
)

// benign are texts with the word "error" or "not established" in a good run.
var benign = strings.NewReplacer(
	"J-Link connection not established yet but required for command.", "",
	"Target connection not established yet but required for command.", "",
	"J-Link Commander will now exit on Error", "",
)

// signs are texts of errors. The first that occurs counts; more general texts come later.
var signs = []struct {
	text probe.Pattern
	err  error
}{
	{probe.NewPattern(`Unknown command line option`), probe.ErrToolVersion},
	{probe.NewPattern(`Could not find emulator with USB serial number|FAILED: Cannot connect to (?:J-Link|the probe/programmer)`), probe.ErrMissing},
	{probe.NewPattern(`Target voltage too low`), probe.ErrVoltage},
	{probe.NewPattern(`FAILED: Failed to open DLL`), probe.ErrTool},
	{probe.NewPattern(`Communication timed out|Can not execute firmware update|Connection to (?:emulator|J-Link) lost`), probe.ErrLost},
	{probe.NewPattern(`Failed to open file|unknown / unsupported format`), probe.ErrTool},
	{probe.NewPattern(`(?i)verify failed|Verification of RAMCode failed`), probe.ErrMismatch},
	{probe.NewPattern(`(?:Can ?not|Could not) connect to (?:the )?target|Failed to power up DAP|Could not find core in Coresight setup`), probe.ErrMissingTarget},
	{probe.NewPattern(`Could not read memory|Writing target memory failed|(?:Writing|Reading) failed\.`), probe.ErrMemory},
	{probe.NewPattern(`\*{6} Error:|Failed to prepare for programming|Failed to download RAMCode|Unspecified error`), probe.ErrTool},
}

// unsecured is in the text of the run, or in the log alone, when the connection erases a locked chip.
var unsecured = probe.NewPattern(`Device will be unsecured now`)

// erased returns an error for a run whose connection has erased the chip, whatever else the run says.
func (o *outcome) erased() error {
	if found := unsecured().FindString(o.text + o.log); found != "" {
		return probe.Incomplete(fmt.Errorf("%w: %q", probe.ErrErased, found))
	}
	return nil
}

// failure returns why the run was no success, or nil.
func (o *outcome) failure() error {
	if err := o.erased(); err != nil {
		return err
	}
	if err := o.unknownVersion(); err != nil {
		return err
	}
	if millivolts := o.millivolts(); millivolts != probe.VoltageUnknown {
		if err := probe.Powered(millivolts); err != nil {
			return err
		}
	}
	text := benign.Replace(o.text)
	for _, sign := range signs {
		if found := sign.text().FindString(text + o.log); found != "" {
			return fmt.Errorf("%w: %q", sign.err, found)
		}
	}
	if found := anyError().FindString(text); found != "" {
		return fmt.Errorf("%w: %q", probe.ErrTool, strings.TrimSpace(found))
	}
	return o.unclear()
}

// unclear returns which sign of success is missing.
func (o *outcome) unclear() error {
	needs := func(command string) int { return countPrefix(o.script, command) }
	switch {
	case o.exit != 0:
		return fmt.Errorf("%w: exit code %d without a text of an error", probe.ErrUnclear, o.exit)
	case !strings.Contains(o.text, "Script processing completed."):
		return fmt.Errorf("%w: the command file was not processed to its end", probe.ErrUnclear)
	case needs("ShowEmuList") == 0 && !connected().MatchString(o.text):
		return fmt.Errorf("%w: no text says that a probe is connected", probe.ErrUnclear)
	case len(flashed().FindAllString(o.text, -1)) != needs("loadfile"):
		return fmt.Errorf("%w: not each loadfile says that the flash was programmed", probe.ErrUnclear)
	case len(verified().FindAllString(o.text, -1)) != needs("verifybin"):
		return fmt.Errorf("%w: not each verifybin says that it was successful", probe.ErrUnclear)
	case len(saved().FindAllString(o.text, -1)) != needs("savebin"):
		return fmt.Errorf("%w: savebin does not say that it was successful", probe.ErrUnclear)
	}
	return nil
}

func countPrefix(lines []string, command string) (n int) {
	for _, line := range lines {
		if word, _, _ := strings.Cut(line, " "); word == command {
			n++
		}
	}
	return n
}

// oldest is the first version that has -NoGui.
const oldestMajor, oldestMinor = 6, 80

func (o *outcome) unknownVersion() error {
	match := version().FindStringSubmatch(o.text)
	if match == nil {
		return nil // what is missing besides decides
	}
	major, errMajor := strconv.Atoi(match[1])
	minor, errMinor := strconv.Atoi(match[2])
	if errMajor != nil || errMinor != nil || major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return fmt.Errorf("%w: %s, want V%d.%d or newer", probe.ErrToolVersion, match[0], oldestMajor, oldestMinor)
	}
	return nil
}

// millivolts is the lowest target voltage that the run has printed.
func (o *outcome) millivolts() int {
	lowest := probe.VoltageUnknown
	for _, match := range vtref().FindAllStringSubmatch(o.text, -1) {
		millivolts, err := strconv.Atoi(match[1] + match[2])
		if err == nil && (lowest == probe.VoltageUnknown || millivolts < lowest) {
			lowest = millivolts
		}
	}
	return lowest
}

// info collects what the run said about probe and board. A run that names no probe or no voltage is unclear.
func (o *outcome) info() (probe.Info, error) {
	text := serialNumber().FindStringSubmatch(o.text)
	if text == nil || o.millivolts() == probe.VoltageUnknown {
		return probe.Info{}, fmt.Errorf("%w: serial number or target voltage is missing", probe.ErrUnclear)
	}
	serial, err := probe.ParseSerial(text[1])
	if err != nil {
		return probe.Info{}, fmt.Errorf("%w: %w", probe.ErrUnclear, err)
	}
	info := probe.Info{Serial: serial, Millivolts: o.millivolts()}
	if match := firmware().FindStringSubmatch(o.text); match != nil {
		info.Product = match[1]
	}
	if match := identified().FindStringSubmatch(o.text); match != nil {
		info.Target = match[1] + match[2]
	}
	return info, nil
}

// answeredBy compares each serial number that the run printed. A run that names no probe is unclear.
func (o *outcome) answeredBy(serial probe.Serial) error {
	all := serialNumber().FindAllStringSubmatch(o.text, -1)
	if len(all) == 0 {
		return fmt.Errorf("%w: no text says which probe answered", probe.ErrUnclear)
	}
	for _, match := range all {
		if err := (probe.Selection{Serial: serial}).MustBe(probe.Serial(match[1])); err != nil {
			return err
		}
	}
	return nil
}

// word finds a word that mem32 printed: "10000100 = 00052840".
func (o *outcome) word(address uint32) (uint32, error) {
	pattern := regexp.MustCompile(fmt.Sprintf(`(?m)^(?:J-Link>)?%08X = ([0-9A-F]{8})`, address))
	match := pattern.FindStringSubmatch(o.text)
	if match == nil {
		return 0, fmt.Errorf("%w: the word at %#08x is missing", probe.ErrUnclear, address)
	}
	word, err := strconv.ParseUint(match[1], 16, 32)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", probe.ErrUnclear, err)
	}
	return uint32(word), nil
}
