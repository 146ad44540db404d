package emulated

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// These tests check the files of the Zephyr module and its application without a Zephyr:
// each file is well formed, and the files agree with each other.

const (
	firmwareDir = "../firmware"
	portDir     = firmwareDir + "/port/zephyr"
	appDir      = firmwareDir + "/app/zephyr"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// strictYAML refuses unknown and duplicate keys.
func strictYAML(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.UnmarshalWithOptions([]byte(readText(t, path)), into, yaml.Strict()); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// filesBelow returns the paths below dir that end in one of the suffixes.
func filesBelow(t *testing.T, dir string, suffixes ...string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(path, s) }) {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("no %v below %s: %v", suffixes, dir, err)
	}
	return found
}

func TestTheZephyrModuleNamesWhatIsThere(t *testing.T) {
	var module struct {
		Name  string
		Build struct {
			CMake    string
			Kconfig  string
			Settings struct {
				DTSRoot string `yaml:"dts_root"`
			}
		}
		Samples []string
	}
	const root = "../.." // west looks for zephyr/module.yml at the root of a project only
	strictYAML(t, root+"/zephyr/module.yml", &module)
	b := module.Build
	paths := []string{b.CMake + "/CMakeLists.txt", b.Kconfig, b.Settings.DTSRoot + "/dts/bindings"}
	for _, sample := range module.Samples {
		paths = append(paths, sample+"/sample.yaml")
	}
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(root, path)); module.Name != "hallmark" || err != nil {
			t.Errorf("module %q names %s: %v", module.Name, path, err)
		}
	}
}

func TestEachSourceOfTheZephyrPortIsBuiltAndThere(t *testing.T) {
	cmake := readText(t, portDir+"/CMakeLists.txt")
	built := map[string]bool{}
	for _, name := range regexp.MustCompile(`[\w${}/]+\.c\b`).FindAllString(cmake, -1) {
		if strings.HasPrefix(name, "${ZEPHYR_BASE}") { // a property of one of Zephyr's own sources
			continue
		}
		path := filepath.Join(portDir, name)
		if rest, core := strings.CutPrefix(name, "${FIRMWARE}/"); core {
			path = filepath.Join(firmwareDir, rest)
		}
		built[path] = true
		if _, err := os.Stat(path); err != nil {
			t.Errorf("CMakeLists.txt builds %s: %v", name, err)
		}
	}
	// In Zephyr, MCUmgr does the framing and is the SMP server.
	for _, path := range append(filesBelow(t, portDir, ".c"), filesBelow(t, firmwareDir+"/core", ".c")...) {
		if base := filepath.Base(path); !built[path] && base != "frame.c" && base != "smp.c" {
			t.Errorf("%s is not built", path)
		}
	}
	if open, closed := strings.Count(cmake, "("), strings.Count(cmake, ")"); open != closed {
		t.Errorf("%d opening and %d closing parentheses", open, closed)
	}
}

// A kconfig is the result of reading the Kconfig file line by line.
type kconfig struct {
	declared   map[string]bool // options of this module
	choices    map[string]bool // choices, which are no options
	used       map[string]bool // options of this module that another option depends on, has as default or selects
	undecided  []string        // without a type or a help text
	outside    []string        // options that exist without HALLMARK
	unbalanced []string
}

func readKconfig(text string) kconfig {
	k := kconfig{declared: map[string]bool{}, choices: map[string]bool{}, used: map[string]bool{}}
	var open []string
	name, typed, helped := "", false, false
	finish := func() {
		if name != "" && !(typed && helped) {
			k.undecided = append(k.undecided, name)
		}
		name, typed, helped = "", false, false
	}
	ends := map[string]string{"endif": "if", "endchoice": "choice", "endmenu": "menu"}
	for _, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") || strings.HasPrefix(line, "\t  ") {
			continue
		}
		switch words[0] {
		case "config", "menuconfig":
			finish()
			if strings.HasPrefix(words[1], "HALLMARK") { // a foreign option only gets a default here
				name = words[1]
				k.declared[name] = true
				if name != "HALLMARK" && !slices.Contains(open, "if") {
					k.outside = append(k.outside, name)
				}
			}
		case "if", "choice", "menu":
			finish()
			open = append(open, words[0])
			if words[0] == "choice" && len(words) > 1 {
				k.choices[words[1]] = true
			}
		case "endif", "endchoice", "endmenu":
			finish()
			if len(open) == 0 || open[len(open)-1] != ends[words[0]] {
				k.unbalanced = append(k.unbalanced, line)
				continue
			}
			open = open[:len(open)-1]
		case "bool", "int", "string", "hex":
			typed = true
		case "help":
			helped = true
		}
		if words[0] != "config" && words[0] != "menuconfig" {
			for _, symbol := range regexp.MustCompile(`\bHALLMARK\w*`).FindAllString(line, -1) {
				k.used[symbol] = true
			}
		}
	}
	finish()
	k.unbalanced = append(k.unbalanced, open...)
	return k
}

// wholeKconfig returns the text of the port's Kconfig and of the files that it sources.
func wholeKconfig(t *testing.T) string {
	t.Helper()
	text := readText(t, portDir+"/Kconfig")
	for _, match := range regexp.MustCompile(`(?m)^rsource "(.*)"$`).FindAllStringSubmatch(text, -1) {
		text = strings.Replace(text, match[0], readText(t, filepath.Join(portDir, match[1])), 1)
	}
	return text
}

func TestTheKconfigReaderSeesWhatIsWrong(t *testing.T) {
	table := map[string]string{
		"an open choice":         "choice X\nconfig A\n\tbool \"a\"\n\thelp\n\t  a\n",
		"an end without an if":   "endif\n",
		"crossed blocks":         "if A\nchoice X\nendif\nendchoice\n",
		"an option without type": "if A\nconfig HALLMARK_A\n\thelp\n\t  a\nendif\n",
		"an option without help": "if A\nconfig HALLMARK_A\n\tbool \"a\"\nendif\n",
		"an option outside":      "config HALLMARK_A\n\tbool \"a\"\n\thelp\n\t  a\n",
	}
	for name, text := range table {
		if k := readKconfig(text); len(k.unbalanced)+len(k.undecided)+len(k.outside) == 0 {
			t.Errorf("%s: %+v", name, k)
		}
	}
}

func TestKconfigSourcesAndConfigurationsNameTheSameOptions(t *testing.T) {
	k := readKconfig(wholeKconfig(t))
	if len(k.undecided) > 0 || len(k.unbalanced) > 0 {
		t.Errorf("without type and help: %v; unbalanced: %q", k.undecided, k.unbalanced)
	}
	if len(k.outside) > 0 {
		t.Errorf("outside of `if HALLMARK`: %v", k.outside)
	}
	// The log template declares the level; devicetree declares the DT_HAS options.
	k.declared["HALLMARK_LOG_LEVEL"] = true
	reference := regexp.MustCompile(`\bCONFIG_(HALLMARK\w*)`)
	for _, dir := range []string{portDir, appDir} {
		for _, path := range filesBelow(t, dir, ".c", ".h", ".txt", ".conf", ".yaml") {
			for _, match := range reference.FindAllStringSubmatch(readText(t, path), -1) {
				k.used[match[1]] = true
				if !k.declared[match[1]] {
					t.Errorf("%s uses CONFIG_%s, which Kconfig does not declare", path, match[1])
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.declared)) {
		if !k.used[name] {
			t.Errorf("nothing uses %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.used)) {
		if !k.declared[name] && !k.choices[name] {
			t.Errorf("Kconfig refers to %s and does not declare it", name)
		}
	}
}

func TestEachConfigurationFragmentIsWellFormed(t *testing.T) {
	assignment := regexp.MustCompile(`^CONFIG_[A-Z0-9_]+=(y|n|-?[0-9]+|0x[0-9a-fA-F]+|"[^"]*")$`)
	for _, path := range filesBelow(t, appDir, ".conf") {
		seen := map[string]bool{}
		for _, line := range strings.Split(strings.TrimSuffix(readText(t, path), "\n"), "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			name, _, _ := strings.Cut(line, "=")
			if !assignment.MatchString(line) || seen[name] {
				t.Errorf("%s: %q is no assignment, or the second one", path, line)
			}
			seen[name] = true
		}
	}
}

func TestBindingsAndOverlaysAgree(t *testing.T) {
	compatibles := map[string]bool{}
	for _, path := range filesBelow(t, portDir+"/dts", ".yaml") {
		var binding struct {
			Description, Compatible string
			Include                 any // one name, or a list
			Properties              map[string]struct {
				Type, Description string
				Required          bool
			}
		}
		strictYAML(t, path, &binding)
		compatibles[binding.Compatible] = true
		if binding.Compatible+".yaml" != filepath.Base(path) || binding.Description == "" {
			t.Errorf("%s describes %q", path, binding.Compatible)
		}
	}
	ours := regexp.MustCompile(`"(hallmark,[\w-]+)"`)
	for _, path := range filesBelow(t, appDir, ".overlay") {
		for _, match := range ours.FindAllStringSubmatch(readText(t, path), -1) {
			if !compatibles[match[1]] {
				t.Errorf("%s uses %s, which has no binding", path, match[1])
			}
		}
	}
}

// renamed maps boards to their names since Zephyr 3.7.
var renamed = map[string]string{
	"mps2_an521_cpu0": "mps2_an521", "mps2_an521_cpu0_ns": "mps2_an521_ns", "b_u585i_iot02a_stm32u585xx_ns": "b_u585i_iot02a_ns",
}

func TestEachBoardHasItsTwoFilesAndAPartition(t *testing.T) {
	include := regexp.MustCompile(`(?m)^#include "(.*)"$`)
	for _, path := range filesBelow(t, appDir+"/boards", ".overlay", ".conf") {
		stem := strings.TrimSuffix(strings.TrimSuffix(path, ".overlay"), ".conf")
		overlay, conf := readText(t, stem+".overlay"), readText(t, stem+".conf")
		if !strings.Contains(conf, "CONFIG_HALLMARK_BOARD_TYPE=") {
			t.Errorf("%s.conf names no board type", stem)
		}
		for _, match := range include.FindAllStringSubmatch(overlay, -1) {
			overlay = readText(t, filepath.Join(filepath.Dir(path), match[1]))
		}
		if !strings.Contains(overlay, "hallmark_partition:") || strings.Count(overlay, "{") != strings.Count(overlay, "}") {
			t.Errorf("%s.overlay has no hallmark_partition, or an open brace", stem)
		}
		if old, isNew := renamed[filepath.Base(stem)]; isNew && conf != readText(t, filepath.Join(filepath.Dir(path), old+".conf")) {
			t.Errorf("%s.conf is not that of %s, and it is the same board", stem, old)
		}
	}
}

func TestTwistersFileIsWellFormed(t *testing.T) {
	type scenario struct {
		ExtraConfigs []string `yaml:"extra_configs"`
	}
	var sample struct {
		Sample struct{ Name, Description string }
		Common struct {
			Tags      []string
			BuildOnly bool `yaml:"build_only"`
			Filter    string
		}
		Tests map[string]scenario
	}
	strictYAML(t, appDir+"/sample.yaml", &sample)
	if sample.Sample.Name == "" || !sample.Common.BuildOnly || len(sample.Tests) == 0 {
		t.Errorf("%+v", sample)
	}
	for name, scenario := range sample.Tests {
		for _, line := range scenario.ExtraConfigs {
			if !strings.HasPrefix(name, "hallmark.") || !strings.HasPrefix(line, "CONFIG_") || !strings.Contains(line, "=") {
				t.Errorf("%s: %q", name, line)
			}
		}
	}
}
