package hsm_test

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"hallmark/fixtures"
	"hallmark/hsm"
)

func TestModulesThatCannotBeLoaded(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, content, 0o700))
		return path
	}
	module, err := os.ReadFile(fixtures.SoftHSM(t))
	must(t, err)
	foreign := append([]byte(nil), module...)
	binary.LittleEndian.PutUint16(foreign[18:], uint16(elf.EM_MIPS)) // e_machine
	object := append([]byte(nil), module...)
	binary.LittleEndian.PutUint16(object[16:], uint16(elf.ET_REL)) // e_type
	for _, test := range []struct {
		name, path string
		want       error
	}{
		{"no path", "", hsm.ErrConfig},
		{"a relative path", "libsofthsm2.so", hsm.ErrConfig},
		{"a file that is not there", filepath.Join(dir, "none.so"), hsm.ErrModuleMissing},
		{"a directory", dir, hsm.ErrModuleUnloadable},
		{"a path through a file", fixtures.SoftHSM(t) + "/x.so", hsm.ErrModuleUnloadable},
		{"a text", write("text.so", []byte("not a module")), hsm.ErrModuleUnloadable},
		{"an empty file", write("empty.so", nil), hsm.ErrModuleUnloadable},
		{"a module for another machine", write("foreign.so", foreign), hsm.ErrModuleUnloadable},
		{"an object file", write("object.so", object), hsm.ErrModuleUnloadable},
		{"half a module", write("half.so", module[:len(module)/2]), hsm.ErrModuleUnloadable},
		{"a library that is no PKCS#11 module", libc(t), hsm.ErrModuleUnloadable},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := hsm.Config{Module: test.path, TokenLabel: "a"}
			refused(t, cfg, pinOf("1234"), test.want)
			want(t, hsm.InitToken(t.Context(), cfg, hsm.NewSecret([]byte("1234")), hsm.NewSecret([]byte("1234"))), test.want)
		})
	}
}

// libc returns the path of the C library that this process uses.
func libc(t *testing.T) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	must(t, err)
	for line := range strings.Lines(string(maps)) {
		if i := strings.Index(line, "/"); i > 0 && strings.Contains(line[i:], "libc.so") {
			return strings.TrimSpace(line[i:])
		}
	}
	t.Fatal("no libc.so among our mappings")
	return ""
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	good := hsm.Config{Module: fixtures.SoftHSM(t), TokenLabel: "a"}
	for name, edit := range map[string]func(*hsm.Config){
		"neither label, serial nor slot":      func(c *hsm.Config) { c.TokenLabel = "" },
		"two sessions":                        func(c *hsm.Config) { c.Sessions = 2 },
		"a negative number of sessions":       func(c *hsm.Config) { c.Sessions = -1 },
		"a thousand sessions":                 func(c *hsm.Config) { c.Sessions = 1000 },
		"a negative time-out":                 func(c *hsm.Config) { c.Timeout = -1 },
		"a negative keep-alive":               func(c *hsm.Config) { c.KeepAlive = -1 },
		"an exception that nobody knows":      func(c *hsm.Config) { c.Exceptions = hsm.Exceptions{"all"} },
		"an environment variable with a sign": func(c *hsm.Config) { c.Environment = map[string]string{"A=B": "c"} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			edit(&cfg)
			refused(t, cfg, pinOf("1234"), hsm.ErrConfig)
		})
	}
}

func TestTokensThatAreNotFound(t *testing.T) {
	token := fixtures.NewToken(t)
	opened, err := hsm.Open(t.Context(), token.Config, token.PIN)
	must(t, err)
	info := opened.Info()
	must(t, opened.Close(t.Context()))
	for name, edit := range map[string]func(*hsm.Config){
		"another label":                    func(c *hsm.Config) { c.TokenLabel = "other" },
		"the label in capitals":            func(c *hsm.Config) { c.TokenLabel = strings.ToUpper(c.TokenLabel) },
		"another serial":                   func(c *hsm.Config) { c.TokenLabel, c.TokenSerial = "", "0000" },
		"the label with another serial":    func(c *hsm.Config) { c.TokenSerial = "0000" },
		"the serial with another label":    func(c *hsm.Config) { c.TokenLabel, c.TokenSerial = "other", info.Serial },
		"the label of another model":       func(c *hsm.Config) { c.TokenModel = "YubiHSM" },
		"the label of another manufacture": func(c *hsm.Config) { c.TokenManufacturer = "Yubico" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := token.Config
			edit(&cfg)
			refused(t, cfg, token.PIN, hsm.ErrTokenMissing)
		})
	}
	t.Run("everything right", func(t *testing.T) {
		cfg := token.Config
		cfg.TokenSerial, cfg.TokenModel, cfg.TokenManufacturer = info.Serial, info.Model, info.Manufacturer
		if got := open(t, cfg).Info(); got != info || !got.Software || got.Label != cfg.TokenLabel {
			t.Errorf("got %+v, want %+v", got, info)
		}
	})
}

func TestTwoTokensWithOneLabelAreAmbiguous(t *testing.T) {
	token := fixtures.NewToken(t)
	module := pkcs11.New(token.Config.Module)
	must(t, module.Initialize())
	slots, err := module.GetSlotList(true)
	must(t, err)
	must(t, module.InitToken(slots[len(slots)-1], fixtures.TestSOPIN, token.Config.TokenLabel))
	must(t, module.Finalize())
	module.Destroy()
	refused(t, token.Config, token.PIN, hsm.ErrTokenAmbiguous)
	_, err = hsm.Open(t.Context(), token.Config, token.PIN)
	if n := strings.Count(err.Error(), fmt.Sprintf("label %q, serial", token.Config.TokenLabel)); n != 2 {
		t.Errorf("%v: does not list both tokens", err)
	}
	for _, slot := range slots[:1] {
		cfg := token.Config
		cfg.Slot = &slot
		opened, err := hsm.Open(t.Context(), cfg, token.PIN)
		must(t, err)
		must(t, opened.Close(t.Context()))
	}
}

// crypto11 asks every slot before ours, and stops at the first one that does not answer.
func TestADeadSlotIsNamedIfItIsInTheWay(t *testing.T) {
	token := fixtures.NewToken(t)
	second := token.Config
	second.TokenLabel = "second"
	must(t, hsm.InitToken(t.Context(), second, hsm.NewSecret([]byte(fixtures.TestSOPIN)), hsm.NewSecret([]byte(fixtures.TestPIN))))
	shim := fixtures.NewShim(t, token)
	slots, labels := slotsOf(t, token.Config)
	first, last := shim.Config, shim.Config
	first.TokenLabel, last.TokenLabel = labels[0], labels[1]
	shim.Fail(t, fmt.Sprintf("dead_slot %x", slots[0]))
	_, err := hsm.Open(t.Context(), last, token.PIN)
	want(t, err, hsm.ErrTokenMissing)
	if !strings.Contains(err.Error(), fmt.Sprintf("slot %d does not answer", slots[0])) || !errors.Is(err, pkcs11.Error(pkcs11.CKR_DEVICE_ERROR)) {
		t.Errorf("it does not name the dead slot: %v", err)
	}
	refused(t, first, token.PIN, hsm.ErrTokenMissing)
	shim.Fail(t, fmt.Sprintf("dead_slot %x", slots[1]))
	open(t, first)
}

func slotsOf(t *testing.T, cfg hsm.Config) (slots []uint, labels []string) {
	t.Helper()
	module := pkcs11.New(cfg.Module)
	defer module.Destroy()
	must(t, module.Initialize())
	defer func() { must(t, module.Finalize()) }()
	slots, err := module.GetSlotList(true)
	must(t, err)
	for _, slot := range slots {
		info, err := module.GetTokenInfo(slot)
		must(t, err)
		labels = append(labels, info.Label)
	}
	return slots, labels
}

func TestTheTokensOwnLimitCapsTheSessions(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	shim.Config.Sessions = 6
	shim.Fail(t, "max_rw 3")
	signer, _ := fixtures.NewKey(t, open(t, shim.Config), "issuing", 1)
	signed, stop := crowd(t, signer)
	progress(t, signed)
	stop()
	// One session keeps the login, one signs, one looks at the objects.
	if n := shim.Calls(t, "C_OpenSession"); n != 3 {
		t.Errorf("%d sessions opened", n)
	}
}

func TestThePINIsNotInTheLog(t *testing.T) {
	fixture := fixtures.NewToken(t)
	var text bytes.Buffer
	fixture.Config.Log = slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	token, err := hsm.Open(t.Context(), fixture.Config, changingPIN("wrong-pin"))
	must(t, err)
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	closeSessions(t, fixture.Config)
	want(t, sign(t, signer), hsm.ErrPINWrong)
	must(t, token.Close(t.Context())) // afterwards nobody writes to the log
	log := text.String()
	if !strings.Contains(log, "software token") || !strings.Contains(log, "opening the token again") || !strings.Contains(log, "not tried again") {
		t.Errorf("the log does not tell the story: %s", log)
	}
	if strings.Contains(log, fixtures.TestPIN) || strings.Contains(log, "wrong-pin") {
		t.Errorf("the log shows a PIN: %s", log)
	}
}

func TestAPersonWhoGivesUpAtThePINPromptIsNoHangingModule(t *testing.T) {
	token := fixtures.NewToken(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := false
	ask := func(life context.Context) (hsm.Secret, error) {
		cancel() // as Ctrl-C at the prompt
		<-life.Done()
		ended = true // the terminal has its echo again
		return hsm.Secret{}, life.Err()
	}
	_, err := hsm.Open(ctx, token.Config, ask)
	if !errors.Is(err, context.Canceled) || errors.Is(err, hsm.ErrHung) {
		t.Errorf("got %v, want the end of the context and no hanging module", err)
	}
	if !ended {
		t.Error("Open returned while the PIN source was still at work")
	}
}

func TestATokenDirectoryThatIsGoneIsNoLostSession(t *testing.T) {
	token := fixtures.NewToken(t)
	must(t, os.RemoveAll(filepath.Join(token.Dir, "tokens")))
	refused(t, token.Config, pinOf(fixtures.TestPIN), hsm.ErrModuleNotStarted)
}

func TestASoftwareTokenNeedsPermission(t *testing.T) {
	token := fixtures.NewToken(t)
	cfg := token.Config
	cfg.AllowSoftwareToken = false
	asked := false
	refused(t, cfg, func(context.Context) (hsm.Secret, error) { asked = true; return token.PIN(t.Context()) }, hsm.ErrSoftwareToken)
	if asked {
		t.Error("the PIN was asked for")
	}
}

func TestSoftwareTokensOfOtherMakersAreRefused(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	for _, test := range []struct {
		name   string
		faults []string
		allow  hsm.Exceptions
		want   error
	}{
		{"opencryptoki's software token", []string{"vendor 2", "hard_mechanism 1"}, nil, hsm.ErrSoftwareToken},
		{"NSS", []string{"vendor 3", "hard_mechanism 1"}, nil, hsm.ErrSoftwareToken},
		{"swtpm, which claims to be hardware", []string{"vendor 4", "hard_mechanism 1"}, nil, hsm.ErrSoftwareToken},
		{"swtpm with an exception", []string{"vendor 4"}, hsm.KnownExceptions(), hsm.ErrSoftwareToken},
		{"an unknown token that does not claim to be hardware", []string{"vendor 5"}, nil, hsm.ErrSoftwareToken},
		{"the same with the exception", []string{"vendor 5"}, hsm.Exceptions{hsm.HardwareUnclaimed}, nil},
		{"a TPM", []string{"vendor 5", "hard_mechanism 1"}, nil, nil},
		{"a YubiHSM", []string{"vendor 1", "hard_mechanism 1"}, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			shim.Fail(t, test.faults...)
			cfg := shim.Config
			cfg.AllowSoftwareToken, cfg.Exceptions = false, test.allow
			if test.want != nil {
				refused(t, cfg, pinOf(fixtures.TestPIN), test.want)
				return
			}
			if info := open(t, cfg).Info(); info.Software || strings.ContainsRune(info.Model, 0) {
				t.Errorf("got %+v", info)
			}
		})
	}
}

func TestATokenAtRiskIsRefusedBeforeAnyLogin(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	for _, test := range []struct {
		name, fault string
		want        error
	}{
		{"the PIN is locked", "token_flags 40000", hsm.ErrPINLocked},
		{"the PIN is on its final try", "token_flags 20000", hsm.ErrPINAtRisk},
		{"the PIN is on its final try and was wrong before", "token_flags 30000", hsm.ErrPINAtRisk},
		{"the PIN must be changed", "token_flags 80000", hsm.ErrPINExpired},
		{"the token allows two sessions", "max_rw 2", hsm.ErrTokenUnfit},
		{"the token has no ECDSA", "hide_mechanism 1041", hsm.ErrTokenUnfit},
		{"the token was pulled out", "C_GetTokenInfo E0", hsm.ErrTokenMissing},
		{"the mechanisms cannot be read", "C_GetMechanismList 6", hsm.ErrSessionLost},
		{"the module does not start", "C_Initialize 5", hsm.ErrModuleNotStarted},
		{"another part of the program uses the module", "C_Initialize 191", hsm.ErrInUse},
	} {
		t.Run(test.name, func(t *testing.T) {
			shim.Fail(t, test.fault)
			refused(t, shim.Config, pinOf(fixtures.TestPIN), test.want)
		})
	}
	if n := shim.Calls(t, "C_Login"); n != 0 {
		t.Errorf("%d logins", n)
	}
	t.Run("a low counter only warns", func(t *testing.T) {
		shim.Fail(t, "token_flags 10000")
		open(t, shim.Config)
	})
}

func TestALoginThatFailsIsNotRepeated(t *testing.T) {
	token := fixtures.NewToken(t)
	shim := fixtures.NewShim(t, token)
	for _, test := range []struct {
		name   string
		fault  string
		pin    hsm.PINSource
		want   error
		code   uint
		logins int
	}{
		{"a wrong PIN", "", pinOf("wrong-pin"), hsm.ErrPINWrong, pkcs11.CKR_PIN_INCORRECT, 1},
		{"a PIN of a wrong form", "C_Login A1", token.PIN, hsm.ErrPINWrong, pkcs11.CKR_PIN_INVALID, 1},
		{"a PIN that is too short", "C_Login A2", token.PIN, hsm.ErrPINWrong, pkcs11.CKR_PIN_LEN_RANGE, 1},
		{"a PIN that expired", "C_Login A3", token.PIN, hsm.ErrPINExpired, pkcs11.CKR_PIN_EXPIRED, 1},
		{"a PIN that is locked", "C_Login A4", token.PIN, hsm.ErrPINLocked, pkcs11.CKR_PIN_LOCKED, 1},
		{"a token without PIN", "C_Login 102", token.PIN, hsm.ErrPINNotSet, pkcs11.CKR_USER_PIN_NOT_INITIALIZED, 1},
		{"too many sessions", "C_OpenSession B1", token.PIN, hsm.ErrSessionLimit, pkcs11.CKR_SESSION_COUNT, 0},
		{"a token pulled out in between", "C_OpenSession E0", token.PIN, hsm.ErrTokenMissing, pkcs11.CKR_TOKEN_NOT_PRESENT, 0},
		{"a code of the vendor", "C_Login 8000002F", token.PIN, hsm.ErrTokenRefused, 0x8000002F, 1},
		{"an empty PIN", "", pinOf(""), hsm.ErrPINSource, 0, 0},
		{"a PIN source that fails", "", func(context.Context) (hsm.Secret, error) {
			return hsm.Secret{}, fmt.Errorf("reading: %w", hsm.ErrPINSource)
		}, hsm.ErrPINSource, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := shim.Calls(t, "C_Login")
			shim.Fail(t, test.fault)
			_, err := hsm.Open(t.Context(), shim.Config, test.pin)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v; want %v", err, test.want)
			}
			if test.code != 0 && !errors.Is(err, pkcs11.Error(test.code)) {
				t.Errorf("the raw code %X is not in %v", test.code, err)
			}
			if n := shim.Calls(t, "C_Login") - before; n != test.logins {
				t.Errorf("%d logins, want %d", n, test.logins)
			}
		})
	}
	t.Run("the right PIN opens it afterwards", func(t *testing.T) {
		shim.Fail(t)
		open(t, shim.Config)
	})
}

func TestOneTokenIsOpenInAProcess(t *testing.T) {
	token := fixtures.NewToken(t)
	first, err := hsm.Open(t.Context(), token.Config, token.PIN)
	must(t, err)
	// The module would accept a second login with any PIN.
	refused(t, token.Config, pinOf("wrong-pin"), hsm.ErrInUse)
	want(t, hsm.InitToken(t.Context(), token.Config, hsm.NewSecret([]byte("1234")), hsm.NewSecret([]byte("1234"))), hsm.ErrInUse)
	must(t, first.Close(t.Context()))
	must(t, first.Close(t.Context()))
	_, err = first.Keys(t.Context())
	want(t, err, hsm.ErrClosed)
	open(t, token.Config)
}

func TestInitTokenTouchesNoTokenThatExists(t *testing.T) {
	token := fixtures.NewToken(t)
	so, pin := hsm.NewSecret([]byte(fixtures.TestSOPIN)), hsm.NewSecret([]byte(fixtures.TestPIN))
	for _, test := range []struct {
		name string
		edit func(*hsm.Config)
		so   hsm.Secret
		want error
	}{
		{"the label is in use", func(*hsm.Config) {}, so, hsm.ErrTokenExists},
		{"the label is too long", func(c *hsm.Config) { c.TokenLabel = strings.Repeat("x", 33) }, so, hsm.ErrConfig},
		{"no label", func(c *hsm.Config) { c.TokenLabel, c.TokenSerial = "", "1" }, so, hsm.ErrConfig},
		{"an empty PIN", func(c *hsm.Config) { c.TokenLabel = "new" }, hsm.Secret{}, hsm.ErrPINSource},
		{"a PIN that the token finds too short", func(c *hsm.Config) { c.TokenLabel = "new" }, hsm.NewSecret([]byte("1")), hsm.ErrPINWrong},
		{"a software token without permission", func(c *hsm.Config) { c.TokenLabel, c.AllowSoftwareToken = "new", false }, so, hsm.ErrSoftwareToken},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := token.Config
			test.edit(&cfg)
			want(t, hsm.InitToken(t.Context(), cfg, test.so, pin), test.want)
		})
	}
	open(t, token.Config)
}
