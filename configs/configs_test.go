package configs

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"hallmark/configs/strict"
	"hallmark/devices"
	"hallmark/station/workdir"
)

// minimal is the shortest configuration with a hardware HSM.
const minimal = "hsm: {module: /usr/lib/hsm.so}\n"

// example is the documented configuration of a real bench.
func example(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("station.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEmbeddedFilesLoad(t *testing.T) {
	for name, text := range map[string][]byte{"demo.yaml": Demo(), "station.example.yaml": example(t)} {
		config, err := Parse(name, text)
		if err != nil {
			t.Fatal(err)
		}
		profileName, profile, err := config.ProfileText(".")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseProfile(profileName, profile); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range ProfileNames() {
		if _, err := ParseProfile(name, embedded("profiles/"+name+".yaml")); err != nil {
			t.Error(err)
		}
	}
}

func TestExampleShowsEveryKeyAndItsDefault(t *testing.T) {
	config, err := Parse("station.example.yaml", example(t))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Station, want.HSM.Module = "bench-1", "/usr/lib/libyourhsm-pkcs11.so" // the example's own values
	want.Timeouts.Steps = map[string]time.Duration{}
	if !reflect.DeepEqual(*config, want) {
		t.Errorf("example and defaults differ:\n%+v\n%+v", *config, want)
	}
	for _, key := range strict.KeysOf(reflect.TypeOf(config)) {
		if !strings.Contains(string(example(t)), key+":") {
			t.Errorf("the example does not explain the key %s", key)
		}
	}
}

func TestDemoAllowsEmulatedBoardsAndSoftHSMOnly(t *testing.T) {
	config, err := Parse("demo.yaml", Demo())
	if err != nil {
		t.Fatal(err)
	}
	want := []devices.HUKSource{devices.HUKTFM, devices.HUKVendor, devices.HUKFuses}
	if got := config.HUKSources(); !reflect.DeepEqual(got, want) {
		t.Errorf("sources %v, want %v", got, want)
	}
	if got := config.PINSource("/d"); got != "file:/d/hsm/pin" {
		t.Errorf("PIN source %q", got)
	}
	token, err := config.Token("/d", func(string) bool { return true })
	if err != nil || token.Environment["SOFTHSM2_CONF"] != "/d/hsm/softhsm2.conf" || !token.AllowSoftwareToken {
		t.Errorf("token %+v, %v", token, err)
	}
	if _, err := config.Token("/d", func(string) bool { return false }); !errors.Is(err, ErrValue) {
		t.Errorf("without SoftHSM: %v", err)
	}
}

func TestWhatBoardsDial(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing said: where the station listens", "handshake: network\n", "invalid AddrPort"},
		{"an address, with the listener's port", "handshake: network\nnetwork: {listen: \"0.0.0.0:8443\", address: 192.168.7.1}\n", "192.168.7.1:0"},
		{"an address and a port", "handshake: network\nnetwork: {listen: \"[::]:8443\", address: \"[2001:db8::1]:443\"}\n", "[2001:db8::1]:443"},
		{"an IPv6 address", "network: {address: \"2001:db8::1\"}\n", "[2001:db8::1]:0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := Parse("x.yaml", []byte(minimal+c.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := config.Network.Dial().String(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// w1 is the verifier key of a witness.
const w1 = "hq.example/w1+e9c04eaf+BA3q8CKskWbY5K4zf5Dtb97Saxh44w3FzHrB4q+1grL4"

func witnessed(url, key, mirror string) string {
	return "witnesses:\n  - {name: hq, url: \"" + url + "\", key: \"" + key + "\", mirror_key: \"" + mirror + "\"}\n"
}

func TestAWitnessIsRead(t *testing.T) {
	for _, url := range []string{"https://witness.example:8443/w1", "http://127.0.0.1:7000", "http://localhost:7000/", "http://[::1]:7000"} {
		config, err := Parse("x.yaml", []byte(minimal+witnessed(url, w1, "")+"require_witness: true\nanchors: anchors\n"))
		if err != nil || config.Witnesses[0] != (Witness{Name: "hq", URL: url, Key: w1}) || !config.RequireWitness || config.Anchors != "anchors" {
			t.Errorf("%s: %+v, %v", url, config, err)
		}
	}
}

func TestTheListOfAllowedFirmwareIsRead(t *testing.T) {
	config, err := Parse("x.yaml", []byte(minimal+"boards: {firmware_allow: ["+strings.Repeat("ab", 32)+"]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if allowed := config.Boards.AllowedFirmware(); len(allowed) != 1 || allowed[0][31] != 0xab {
		t.Errorf("got %x", allowed)
	}
}

func TestFilesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       error
		says       string
	}{
		{"an unknown key names its line and the nearest key", minimal + "boards:\n  allow_emulatd: true\n", ErrUnknownKey, `x.yaml:3: unknown key "allow_emulatd"; did you mean "allow_emulated"?`},
		{"a key of another section is unknown", minimal + "seal: true\nsessions: 3\n", ErrUnknownKey, `x.yaml:2: unknown key "seal"; it belongs into another section`},
		{"a key like nothing else lists what there is", minimal + "zzzzzzzz: 1\n", ErrUnknownKey, "known keys are"},
		{"a duplicate key is refused", minimal + "station: a\nstation: b\n", ErrDuplicateKey, "keep one"},
		{"a PIN is refused", "hsm:\n  module: /m\n  pin: 123456\n", ErrSecret, "x.yaml:3"},
		{"a PIN under another spelling is refused", "hsm:\n  module: /m\n  \"Pin-Value\": 123456\n", ErrSecret, "x.yaml:3"},
		{"a PIN inside a URI is refused", "hsm:\n  module: /m\n  token_label: pkcs11:token=x?pin-value=123456\n", ErrSecret, "x.yaml:3"},
		{"a PIN in a list in a map is refused", "hsm: {module: /m, token_label: [{password: 123456}]}\n", ErrSecret, "x.yaml:1"},
		{"a PIN where the source should be is not repeated", "hsm:\n  module: /m\n  pin_source: 123456\n", ErrValue, "hsm.pin_source"},
		{"a wrong type names the line and not the value", minimal + "boards:\n  baud: 123456x\n", ErrSyntax, "x.yaml:3"},
		{"two documents are refused", minimal + "---\nstation: b\n", ErrSyntax, "2 documents"},
		{"nothing at all is refused", "# nothing\n", ErrSyntax, "0 documents"},
		{"a large file is refused", strings.Repeat("#", workdir.MaxFile+1), ErrSyntax, "octets"},
		{"broken YAML is refused", "hsm: {module: \n", ErrSyntax, "x.yaml"},
		{"a list where a map should be is refused", "- 1\n- 2\n", ErrSyntax, "x.yaml"},
		{"a relative module is refused", "hsm: {module: hsm.so}\n", ErrValue, "hsm.module"},
		{"a missing module is refused", "station: a\n", ErrValue, "hsm.module"},
		{"no token selected is refused", "hsm: {module: /m, token_label: \"\"}\n", ErrValue, "hsm.token_label"},
		{"a token is not created on hardware", "hsm: {module: /m, create_token: true}\n", ErrValue, "hsm.create_token"},
		{"a created token needs a PIN file", "hsm: {module: softhsm2, create_token: true, allow_software_token: true}\n", ErrValue, "hsm.pin_source"},
		{"two sessions are too few", "hsm: {module: /m, sessions: 2}\n", ErrValue, "hsm.sessions: value not possible: 2, want 3 to 64; one keeps the login"},
		{"a duration without a unit is refused", "hsm: {module: /m, timeout: 0s}\n", ErrValue, "hsm.timeout"},
		{"a firmware hash has 64 digits", minimal + "boards: {firmware_allow: [abcd]}\n", ErrValue, "boards.firmware_allow[0]"},
		{"the fingerprint of a key has no spaces", minimal + "boards: {lock: true, lock_key: \"a b\"}\n", ErrValue, "boards.lock_key"},
		{"a key for locked ports needs a lock", minimal + "boards: {lock_key: SHA256:k}\n", ErrValue, "set boards.lock"},
		{"dummy identities need emulated boards", minimal + "boards: {allow_dummy_identities: true}\n", ErrValue, "allow_dummy_identities"},
		{"one label for two keys is refused", minimal + "authority: {root_label: a, issuing_label: a}\n", ErrValue, "authority"},
		{"an authority's name leaves room for its role", minimal + "authority: {name: " + strings.Repeat("n", 59) + "}\n", ErrValue, "authority.name"},
		{"an issuing CA does not outlive the root", minimal + "authority: {root_years: 10}\n", ErrValue, "issuing_years"},
		{"a server name in upper case is refused", minimal + "verifier: {server_name: Verifier}\n", ErrValue, "server_name"},
		{"an address without port is refused", minimal + "verifier: {listen: 127.0.0.1}\n", ErrValue, "listen"},
		{"a handshake over something else is refused", minimal + "handshake: wifi\n", ErrValue, "want uart or network"},
		{"a name to listen on for boards is refused", minimal + "network: {listen: \"localhost:0\"}\n", ErrValue, "network.listen"},
		{"a port for boards is not left out", minimal + "network: {listen: 127.0.0.1}\n", ErrValue, "network.listen"},
		{"a name for boards to dial is refused", minimal + "network: {address: verifier.lan}\n", ErrValue, "network.address"},
		{"port 0 is nothing to dial", minimal + "network: {address: \"10.0.0.1:0\"}\n", ErrValue, "network.address"},
		{"no address is nothing to dial", minimal + "network: {address: \"::\"}\n", ErrValue, "network.address"},
		{"an address with a zone is refused", minimal + "network: {address: \"fe80::1%eth0\"}\n", ErrValue, "network.address"},
		{"boards cannot dial every address", minimal + "handshake: network\nnetwork: {listen: \"0.0.0.0:8443\"}\n", ErrValue, "network.address"},
		{"a relative image is refused", minimal + "firmware: {posix: x}\n", ErrValue, "firmware.posix"},
		{"a station's name is printable", minimal + "station: \"a\\nb\"\n", ErrValue, "station"},
		{"a witness without anything is refused", minimal + "witnesses: [{}]\n", ErrValue, "witnesses[0].name"},
		{"a key of a witness that nobody knows is refused", minimal + "witnesses: [{name: hq, uri: x}]\n", ErrUnknownKey, `"uri"; did you mean "url"?`},
		{"a witness over plain HTTP on another machine is refused", minimal + witnessed("http://10.0.0.1/", w1, ""), ErrValue, "want https"},
		{"an address of a witness with a password is refused", minimal + witnessed("https://a:b@witness.example/", w1, ""), ErrValue, "witnesses[0].url"},
		{"an address of a witness that is none is refused", minimal + witnessed("witness.example", w1, ""), ErrValue, "witnesses[0].url"},
		{"a key of a log is no key of a witness", minimal + witnessed("https://witness.example/", "hallmark/demo+fb9924e0+AjBZ", ""), ErrValue, "witnesses[0].key"},
		{"a key of a witness with another id is refused", minimal + witnessed("https://witness.example/", strings.Replace(w1, "e9c0", "e9c1", 1), ""), ErrValue, "key id"},
		{"the mirror has a key of its own", minimal + witnessed("https://witness.example/", w1, w1), ErrValue, "mirror_key"},
		{"a relative CA of a witness is refused", minimal + "witnesses: [{name: hq, url: \"https://w/\", key: " + w1 + ", ca: x.pem}]\n", ErrValue, "witnesses[0].ca"},
		{"a hub over plain HTTP is refused", minimal + "hub: {url: \"http://127.0.0.1:1/\"}\n", ErrValue, "hub.url"},
		{"a finding that is none is refused", minimal + "hub: {url: \"https://hub.example/\", stop: [log-fork, fire]}\n", ErrValue, "hub.stop[1]"},
		{"the CAs of a hub are an absolute path", minimal + "hub: {url: \"https://hub.example/\", ca: ca.pem}\n", ErrValue, "hub.ca"},
		{"a webhook without anything is refused", minimal + "webhooks: [{}]\n", ErrValue, "webhooks[0].name"},
		{"a webhook over plain HTTP to another machine is refused", minimal + "webhooks: [{name: mes, url: \"http://mes.example/\", secret_file: /s}]\n", ErrValue, "webhooks[0].url"},
		{"a webhook without a secret is refused", minimal + "webhooks: [{name: mes, url: \"https://mes.example/\"}]\n", ErrValue, "webhooks[0].secret_file"},
		{"the secret of a webhook does not stand in the file", minimal + "webhooks: [{name: mes, url: \"https://mes.example/\", secret: hello}]\n", ErrSecret, "secret"},
		{"an ending that is none is refused", minimal + "webhooks: [{name: mes, url: \"https://mes.example/\", secret_file: /s, endings: [pass, good]}]\n", ErrValue, "webhooks[0].endings[1]"},
		{"the name of a webhook is no path", minimal + "webhooks: [{name: ../mes, url: \"https://mes.example/\", secret_file: /s}]\n", ErrValue, "webhooks[0].name"},
		{"a webhook stands there once", minimal + "webhooks: [{name: mes, url: \"https://a/\", secret_file: /s}, {name: mes, url: \"https://b/\", secret_file: /s}]\n", ErrValue, "webhooks[1].name"},
		{"a witness stands there once", minimal + witnessed("https://witness.example/", w1, "") + strings.TrimPrefix(witnessed("https://w/", w1, ""), "witnesses:\n"), ErrValue, "witnesses[1].name"},
		{"a time stamping authority needs its root", minimal + "timestamp: {url: \"http://tsa.example/\"}\n", ErrValue, "timestamp.ca"},
		{"a time stamping authority needs its address", minimal + "timestamp: {ca: /ca.pem}\n", ErrValue, "timestamp.url"},
		{"a relative CA of the authority's server is refused", minimal + "timestamp: {url: \"https://tsa.example/\", ca: /ca.pem, tls_ca: x}\n", ErrValue, "timestamp.tls_ca"},
		{"a required witness must be there", minimal + "require_witness: true\n", ErrValue, "require_witness"},
		{"a negative step is refused", minimal + "timeouts: {steps: {sign: -1s}}\n", ErrValue, "timeouts.steps.sign"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(c.text))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want %v that says %q", err, c.want, c.says)
			}
			if strings.Contains(err.Error(), "123456") {
				t.Errorf("the error repeats a value: %v", err)
			}
		})
	}
}

func TestAPathThatIsNoConfigurationIsRefusedAtOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		profile    error
	}{
		{"a device without an end", "/dev/zero", workdir.ErrTooLarge},
		{"a pipe without a writer", pipe, ErrSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Load(c.path); !errors.Is(err, workdir.ErrNotRegular) {
				t.Errorf("a configuration: got %v, want %v", err, workdir.ErrNotRegular)
			}
			config := &Config{Profile: c.path}
			name, text, err := config.ProfileText("")
			if err == nil {
				_, err = ParseProfile(name, text)
			}
			if !errors.Is(err, c.profile) {
				t.Errorf("a profile: got %v, want %v", err, c.profile)
			}
		})
	}
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	_, err := Parse("x.yaml", []byte("hsm: {module: m, sessions: 0}\nminimum_free_mib: -1\nretention: {years: 0, products: {sensor: {support_end: soon}}}\n"))
	for _, key := range []string{"hsm.module", "hsm.sessions", "minimum_free_mib", "retention.years", "retention.products.sensor.support_end"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not name %s", err, key)
		}
	}
}

func TestProfileIsFoundByNameOrBesideTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own.yaml"), embedded("profiles/linaro.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	for profile, want := range map[string]error{"linaro": nil, "own.yaml": nil, "linero": ErrValue, "missing.yaml": os.ErrNotExist} {
		config := Default()
		config.Profile = profile
		if _, _, err := config.ProfileText(dir); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", profile, err, want)
		}
	}
	if _, err := ParseProfile("p", []byte("name: x\nsubjekt: {}\n")); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("misspelt profile: %v", err)
	}
}

// A station finds the certificates of its boards by the digest of the profile
// (I9), so the meaning of an embedded profile does not change.
func TestTheEmbeddedProfilesKeepTheirDigests(t *testing.T) {
	for name, want := range map[string]string{
		"linaro":      "74a936bb8ff50e19eec32491882d2a4b57432de24ba2917d8e35eb16705cc7da",
		"linaro-cose": "b0cf9fa300f1b96bfd3b659af3de3f2f8352d87314332f67a68ce26e99fa4644",
	} {
		profile, err := ParseProfile(name, embedded("profiles/"+name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if sum := profile.SHA256(); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s has the digest %x, want %s", name, sum, want)
		}
	}
}

// FuzzParse checks that no input makes Parse panic, and that an accepted configuration is valid.
func FuzzParse(f *testing.F) {
	f.Add(Demo())
	f.Add(example(f))
	f.Add([]byte("hsm: {module: /m}\nstation: a\nstation: b"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		config, err := Parse("f", text)
		if err == nil {
			err = config.Validate()
		} else if config != nil {
			t.Error("an error and a configuration")
		} else {
			return
		}
		if err != nil {
			t.Errorf("accepted, but: %v", err)
		}
	})
}

func TestAProfileOfCOSEKeysIsOptionalAndOfTheirPurpose(t *testing.T) {
	config := Default()
	if name, text, err := config.COSEProfileText("."); err != nil || name != "" || text != nil {
		t.Errorf("without one: %q, %d octets, %v", name, len(text), err)
	}
	for profile, want := range map[string]error{"linaro-cose": nil, "linaro": ErrPurpose, "linero": ErrValue, "missing.yaml": os.ErrNotExist} {
		config.COSEProfile = profile
		name, text, err := config.COSEProfileText(t.TempDir())
		if err == nil {
			_, err = ParseProfileFor(devices.PurposeCOSE, name, text)
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", profile, err, want)
		}
	}
	if _, err := ParseProfileFor(devices.PurposeTLS, "linaro-cose", embedded("profiles/linaro-cose.yaml")); !errors.Is(err, ErrPurpose) {
		t.Errorf("for TLS keys: %v", err)
	}
}

// The parser's time grows with the third power of the number of tags: 16 KiB of them took it half a minute.
func TestManyTagsAreRefusedBeforeTheParser(t *testing.T) {
	for tag, want := range map[string]string{
		"!!a ": "more than 16 tags", "!a ": "more than 16 tags", "! ": "more than 16 tags", "\n!!a": "more than 16 tags", "[!,": "nest more than",
		"a!!a ": "unknown key", "!!!!a": "unknown key", "1!a,": "unknown key", // these are few tags or none, and quick to read
	} {
		_, err := Parse("station.yaml", []byte("station: x\nx: "+strings.Repeat(tag, 4000)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", tag, err, want)
		}
	}
	if _, err := Parse("station.yaml", []byte("# "+strings.Repeat("hey!! ", 100)+"\nstation: demo\n")); errors.Is(err, ErrSyntax) {
		t.Errorf("exclamation marks behind words: got %v", err)
	}
}

// A file is reviewed on a screen and its text stands in a transcript, so no character may hide a part of it, also not in a comment.
func TestTextThatHidesIsRefused(t *testing.T) {
	for name, hidden := range map[string]string{
		"NUL": "\x00", "escape": "\x1b[2J", "C1": "\u009b", "next line": "\u0085", "right to left": "\u202e", "no width": "\u200b", "line separator": "\u2028", "filler": "\u3164",
		"a byte order mark inside": "\ufeff",
	} {
		_, err := Parse("station.yaml", []byte("station: demo\n# a"+hidden+"b\n"))
		if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), "station.yaml:2: ") || !strings.Contains(err.Error(), "U+") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Parse("station.yaml", []byte("\ufeffstation: demo\t# Müller\u00a0株式会社\r\n")); errors.Is(err, ErrSyntax) {
		t.Errorf("a byte order mark, a tab, other scripts and a line end of Windows: got %v", err)
	}
}

// The parser would need minutes for such a file.
func TestAFileOfNothingButBracketsIsRefusedAtOnce(t *testing.T) {
	for _, opening := range []string{"[", "{a: ", "[{a: ["} {
		var config Config
		err := Decode("station.yaml", []byte("station: "+strings.Repeat(opening, workdir.MaxFile/8)), &config)
		if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), "nest more than 64 deep") {
			t.Errorf("%s: %v", opening, err)
		}
	}
	var board Board
	if err := Decode("board.yaml", []byte(`description: "`+strings.Repeat("[x] {y} ", 1000)+`"`), &board); err != nil {
		t.Errorf("brackets that are closed: %v", err)
	}
}
