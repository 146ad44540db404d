package emulated

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"hallmark/fixtures/prerequisite"
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

// enough is an mbedTLS, a configuration and a devicetree with everything that requirements.c demands, in the form of their macros.
const enough = `
#define CONFIG_CRC 1
#define CONFIG_ENTROPY_GENERATOR 1
#define CONFIG_MAIN_STACK_SIZE 8192
#define CONFIG_MCUMGR_TRANSPORT_WORKQUEUE_STACK_SIZE 8192
#define CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE 2048
#define CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT 8
#define CONFIG_MCUMGR_TRANSPORT_UART 1
#define CONFIG_HALLMARK_TRANSPORT_UART 1
#define CONFIG_HALLMARK_HANDSHAKE 1
#define CONFIG_UART_MCUMGR_RX_BUF_SIZE 128
#define CONFIG_UART_MCUMGR_RX_BUF_COUNT 24
#define CONFIG_MBEDTLS_ENABLE_HEAP 1
#define CONFIG_MBEDTLS_HEAP_SIZE 49152
#define CONFIG_HALLMARK_STORE_SECTOR_SIZE 4096
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_CSR_WRITE_C
#define MBEDTLS_PK_WRITE_C
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_SSL_IN_CONTENT_LEN 16384
#define MBEDTLS_SSL_OUT_CONTENT_LEN 16384
#define PSA_WANT_ALG_SHA_256 1
#define PSA_WANT_ALG_HMAC 1
#define PSA_WANT_ALG_HKDF 1
#define PSA_WANT_ALG_ECDH 1
#define PSA_WANT_ALG_ECDSA 1
#define PSA_WANT_ECC_SECP_R1_256 1
#define PSA_WANT_ALG_GCM 1
#define PARTITION 1
#define CHOSEN 1
#define BASE 0
#define SIZE 65536
#define write_unit 8
#define erase_unit 4096
#define BUILD_ASSERT(condition, message) _Static_assert(condition, message)
#define DT_NODELABEL(label) label
#define DT_NODE_EXISTS(node) PARTITION
#define DT_HAS_CHOSEN(name) CHOSEN
#define DT_GPARENT(node) node
#define DT_REG_ADDR(node) BASE
#define DT_REG_SIZE(node) SIZE
#define DT_PROP_OR(node, property, other) DT_##property
#define DT_write_block_size write_unit
#define DT_erase_block_size erase_unit
`

// compileRequirements compiles requirements.c for a host, with these macros instead of the headers of Zephyr and mbedTLS.
func compileRequirements(t *testing.T, macros string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"mbedtls/build_info.h": macros, "mbedtls/ssl.h": "", "psa/crypto.h": "", "zephyr/devicetree.h": "", "zephyr/sys/util.h": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said, err := exec.CommandContext(t.Context(), prerequisite.Program(t, "gcc", "gcc"), "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "-I", dir, portDir+"/requirements.c").CombinedOutput()
	if (err != nil) != (len(said) > 0) {
		t.Fatalf("%v, and gcc says %q", err, said)
	}
	return string(said)
}

func TestAnApplicationThatCannotWorkIsNotBuilt(t *testing.T) {
	if said := compileRequirements(t, enough); said != "" {
		t.Fatalf("an application with everything: %s", said)
	}
	product := strings.NewReplacer("#define CONFIG_HALLMARK_HANDSHAKE 1\n", "", "#define MBEDTLS_SSL_CLI_C\n", "", "HEAP_SIZE 49152", "HEAP_SIZE 16384").Replace(enough)
	if said := compileRequirements(t, product); said != "" {
		t.Errorf("a product without the handshake needs no TLS: %s", said)
	}
	for missing, named := range map[string]string{
		"CONFIG_CRC 1":                             "CONFIG_CRC=y",
		"CONFIG_ENTROPY_GENERATOR 1":               "CONFIG_ENTROPY_GENERATOR=y",
		"CONFIG_MCUMGR_TRANSPORT_UART 1":           "CONFIG_MCUMGR_TRANSPORT_UART=y",
		"MBEDTLS_SSL_CLI_C":                        "no TLS client",
		"MBEDTLS_SSL_PROTO_TLS1_2":                 "neither TLS 1.2 nor TLS 1.3",
		"MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED": "ECDHE-ECDSA",
		"MBEDTLS_SSL_SERVER_NAME_INDICATION":       "CONFIG_MBEDTLS_SERVER_NAME_INDICATION=y",
		"MBEDTLS_X509_CRT_PARSE_C":                 "cannot read certificates",
		"MBEDTLS_X509_CSR_WRITE_C":                 "cannot write a CSR",
		"MBEDTLS_PK_WRITE_C":                       "cannot write a CSR",
		"MBEDTLS_PSA_CRYPTO_C":                     "there is no PSA",
		"PSA_WANT_ALG_HKDF 1":                      "HKDF",
		"PSA_WANT_ECC_SECP_R1_256 1":               "P-256",
		"PSA_WANT_ALG_GCM 1":                       "AES-GCM",
		"CONFIG_MBEDTLS_ENABLE_HEAP 1":             "CONFIG_MBEDTLS_ENABLE_HEAP=y",
	} {
		if said := compileRequirements(t, strings.Replace(enough, "#define "+missing+"\n", "", 1)); !strings.Contains(said, named) {
			t.Errorf("without %s: %q, want %q", missing, said, named)
		}
	}
	for _, row := range []struct{ had, has, named string }{
		{"CONFIG_MAIN_STACK_SIZE 8192", "CONFIG_MAIN_STACK_SIZE 1024", "CONFIG_MAIN_STACK_SIZE: at least 8192"},
		{"WORKQUEUE_STACK_SIZE 8192", "WORKQUEUE_STACK_SIZE 2048", "WORKQUEUE_STACK_SIZE: at least 8192"},
		{"NETBUF_SIZE 2048", "NETBUF_SIZE 384", "NETBUF_SIZE: at least 512"},
		{"NETBUF_COUNT 8", "NETBUF_COUNT 2", "NETBUF_COUNT: at least 4"},
		{"RX_BUF_COUNT 24", "RX_BUF_COUNT 2", "RX_BUF_COUNT: more than the lines"},
		{"HEAP_SIZE 49152", "HEAP_SIZE 512", "CONFIG_MBEDTLS_HEAP_SIZE: at least 13 KiB"},
		{"PARTITION 1", "PARTITION 0", "no node with the label hallmark_partition"},
		{"CHOSEN 1", "CHOSEN 0", "zephyr,entropy"},
		{"write_unit 8", "write_unit 512", "more than 32 octets"},
		{"erase_unit 4096", "erase_unit 131072", "more than 64 KiB"},
		{"erase_unit 4096", "erase_unit 8192", "CONFIG_HALLMARK_STORE_SECTOR_SIZE is no multiple"},
		{"BASE 0", "BASE 512", "does not begin at an erase unit"},
		{"SIZE 65536", "SIZE 4096", "no room for two sectors"},
	} {
		if said := compileRequirements(t, strings.Replace(enough, row.had+"\n", row.has+"\n", 1)); !strings.Contains(said, row.named) {
			t.Errorf("%s: %q, want %q", row.has, said, row.named)
		}
	}
}
