package hsm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/pkcs11"

	"hallmark/station/reason"
)

// Info describes a token (CK_TOKEN_INFO).
type Info struct {
	Label, Serial, Manufacturer, Model, Firmware string
	// Software: the token is software, which protects no key. Every screen shows this.
	Software bool
	// Exceptions are the exceptions of the configuration, with commas between them. Every report shows them.
	Exceptions string
}

// tokenInfo is the result of the preflight: the slot, the token in it, and the number
// of sessions to use.
type tokenInfo struct {
	slot     uint
	info     Info
	sessions int
}

// preflight examines the module and the token before the login. It initialises the
// module and finalises it again.
func preflight(cfg Config) (found tokenInfo, err error) {
	module, err := load(cfg.Module)
	if err != nil {
		return tokenInfo{}, err
	}
	defer module.Destroy()
	if err := module.Initialize(); err != nil {
		return tokenInfo{}, notStarted(cfg, err)
	}
	defer func() {
		err = errors.Join(err, explain("finalising "+cfg.Module, module.Finalize()))
	}()
	slot, token, err := choose(module, cfg)
	if err != nil {
		return tokenInfo{}, err
	}
	return assess(module, cfg, slot, token)
}

// notStarted explains an error of C_Initialize. A return value that elsewhere means a
// lost session means here that the module does not start, because no session was open.
func notStarted(cfg Config, err error) error {
	doing := "initialising " + cfg.Module
	if lost(err) {
		return refuse(ErrModuleNotStarted, doing+": %w", err)
	}
	return explain(doing, err)
}

// choose finds the one token that matches cfg.
func choose(module *pkcs11.Ctx, cfg Config) (uint, pkcs11.TokenInfo, error) {
	slots, err := module.GetSlotList(true)
	if err != nil {
		return 0, pkcs11.TokenInfo{}, explain("listing slots", err)
	}
	var fitting []uint
	var token pkcs11.TokenInfo
	var others []string
	var dead, inTheWay error
	for _, slot := range slots {
		info, err := module.GetTokenInfo(slot)
		if err != nil {
			dead = errors.Join(dead, fmt.Errorf("slot %d does not answer: %w", slot, err))
			continue
		}
		if info.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 {
			others = append(others, fmt.Sprintf("slot %d: label %+q, serial %+q, model %+q", slot, unpadded(info.Label), unpadded(info.SerialNumber), unpadded(info.Model)))
		}
		if fits(cfg, slot, info) {
			fitting, token, inTheWay = append(fitting, slot), info, dead
		}
	}
	list := "no initialised token"
	if len(others) > 0 {
		list = strings.Join(others, "; ")
	}
	switch {
	case len(fitting) > 1:
		return 0, token, refuse(ErrTokenAmbiguous, "%s is in slots %v; seen: %s", cfg.Selector(), fitting, list)
	case inTheWay != nil: // crypto11 also asks each slot before this one, and stops at a slot that does not answer
		return 0, token, refuse(ErrTokenMissing, "%s is there, but before it %w; disconnect that one", cfg.Selector(), inTheWay)
	case len(fitting) == 1:
		return fitting[0], token, nil
	case dead != nil:
		return 0, token, refuse(ErrTokenMissing, "%s among %d slots: %w; seen: %s", cfg.Selector(), len(slots), dead, list)
	}
	return 0, token, refuse(ErrTokenMissing, "%s among %d slots; seen: %s", cfg.Selector(), len(slots), list)
}

func fits(cfg Config, slot uint, info pkcs11.TokenInfo) bool {
	same := func(want, got string) bool { return want == "" || unpadded(want) == unpadded(got) }
	return info.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 && (cfg.Slot == nil || *cfg.Slot == slot) &&
		same(cfg.TokenLabel, info.Label) && same(cfg.TokenSerial, info.SerialNumber) &&
		same(cfg.TokenModel, info.Model) && same(cfg.TokenManufacturer, info.ManufacturerID)
}

// assess refuses a token that the station must not log in to, or that cannot sign.
func assess(module *pkcs11.Ctx, cfg Config, slot uint, token pkcs11.TokenInfo) (tokenInfo, error) {
	found := tokenInfo{slot: slot, info: describe(token), sessions: cfg.Sessions}
	found.info.Exceptions = cfg.Exceptions.String()
	if found.info.Software && !cfg.AllowSoftwareToken {
		return tokenInfo{}, refuse(ErrSoftwareToken, "%s is %+q of %+q", cfg.Selector(), found.info.Model, found.info.Manufacturer)
	}
	if err := pinFlags(cfg, token.Flags); err != nil {
		return tokenInfo{}, err
	}
	// 0 and ^0 mean "no limit" and "not known" (PKCS#11 v2.40 section 3.2).
	if limit := token.MaxRwSessionCount; limit != pkcs11.CK_EFFECTIVELY_INFINITE && limit != pkcs11.CK_UNAVAILABLE_INFORMATION {
		found.sessions = min(found.sessions, int(min(limit, MaxSessions)))
	}
	if found.sessions < MinSessions {
		return tokenInfo{}, refuse(ErrTokenUnfit, "%s allows %s, and the station needs %d", cfg.Selector(), reason.Count(int(token.MaxRwSessionCount), "session", "sessions"), MinSessions)
	}
	mechanisms, err := module.GetMechanismList(slot)
	if err != nil {
		return tokenInfo{}, explain("listing mechanisms", err)
	}
	if !slices.ContainsFunc(mechanisms, func(m *pkcs11.Mechanism) bool { return m.Mechanism == pkcs11.CKM_ECDSA }) {
		return tokenInfo{}, refuse(ErrTokenUnfit, "%s has no CKM_ECDSA", cfg.Selector())
	}
	return found, hardware(module, cfg, found)
}

// hardware refuses a token that does not claim to sign in hardware (CKF_HW, PKCS#11 v2.40
// section 3.5), unless the configuration allows it.
func hardware(module *pkcs11.Ctx, cfg Config, found tokenInfo) error {
	if cfg.AllowSoftwareToken || slices.Contains(cfg.Exceptions, HardwareUnclaimed) {
		return nil
	}
	mechanism, err := module.GetMechanismInfo(found.slot, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)})
	if err != nil {
		return explain("asking for CKM_ECDSA", err)
	}
	if mechanism.Flags&pkcs11.CKF_HW == 0 {
		return refuse(ErrSoftwareToken, "%s, %+q of %+q, does not say that it signs in hardware; if it does, name the exception %s",
			cfg.Selector(), found.info.Model, found.info.Manufacturer, HardwareUnclaimed)
	}
	return nil
}

// pinFlags checks the state of the user PIN (CK_TOKEN_INFO.flags) before any login.
func pinFlags(cfg Config, flags uint) error {
	switch {
	case flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return refuse(ErrPINLocked, "%s says so", cfg.Selector())
	case flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return refuse(ErrPINAtRisk, "%s says so", cfg.Selector())
	case flags&pkcs11.CKF_USER_PIN_TO_BE_CHANGED != 0:
		return refuse(ErrPINExpired, "%s says so", cfg.Selector())
	case flags&pkcs11.CKF_USER_PIN_INITIALIZED == 0:
		return refuse(ErrPINNotSet, "%s says so", cfg.Selector())
	case flags&pkcs11.CKF_USER_PIN_COUNT_LOW != 0:
		cfg.Log.Warn("a wrong PIN was tried since the last login", "token", cfg.Selector())
	}
	return nil
}

func describe(token pkcs11.TokenInfo) Info {
	return Info{
		Label: unpadded(token.Label), Serial: unpadded(token.SerialNumber),
		Manufacturer: unpadded(token.ManufacturerID), Model: unpadded(token.Model),
		Firmware: fmt.Sprintf("%d.%d", token.FirmwareVersion.Major, token.FirmwareVersion.Minor),
		Software: software(unpadded(token.ManufacturerID), unpadded(token.Model)),
	}
}

// softwareTokens are parts of the manufacturer and the model by which software tokens call themselves.
// The vendor's text of a TPM is cut into words of four octets, so a model may have blanks and NULs in it.
var softwareTokens = []struct{ manufacturer, model string }{
	{"SoftHSM", ""}, {"", "SoftHSM"}, // also behind p11-kit, which passes the texts on
	{"IBM", "Soft"},              // opencryptoki's token in software
	{"Mozilla", ""}, {"", "NSS"}, // the database of NSS
	{"", "SWTPM"}, {"", "xCGfTPM"}, // swtpm and the reference simulator of the TCG
}

func software(manufacturer, model string) bool {
	model = strings.NewReplacer(" ", "", "\x00", "").Replace(model)
	return slices.ContainsFunc(softwareTokens, func(one struct{ manufacturer, model string }) bool {
		return strings.Contains(manufacturer, one.manufacturer) && strings.Contains(model, one.model)
	})
}
