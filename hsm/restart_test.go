package hsm_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/pkcs11"

	"hallmark/fixtures"
	"hallmark/hsm"
)

// patience is the longest wait for a token to come back; afterwards the test fails.
const patience = 30 * time.Second

// eventually signs until a signature succeeds, as a station does. Every error until then
// must be one of the allowed ones, which say that the token is away.
func eventually(t *testing.T, signer crypto.Signer, allowed ...error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := sign(t, signer)
		if err == nil {
			return
		}
		if !isOne(err, allowed) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestSessionsClosedBehindUsAreOpenedAgain(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token := open(t, shim.Config)
	var signers []crypto.Signer
	for i, label := range []string{"root", "issuing", "audit"} {
		signer, _ := fixtures.NewKey(t, token, label, byte(i+1))
		signers = append(signers, signer)
	}
	for round := 1; round <= 3; round++ {
		closeSessions(t, shim.Config)
		for _, signer := range signers {
			must(t, sign(t, signer))
		}
		if n := shim.Calls(t, "C_Login"); n != 1+round {
			t.Errorf("%d logins after %d losses; one reopen serves all keys", n, round)
		}
	}
	closeSessions(t, shim.Config)
	_, err := token.Random().Read(make([]byte, 16))
	must(t, err)
	closeSessions(t, shim.Config)
	_, err = token.Keys(t.Context())
	must(t, err)
}

func TestAModuleFinalizedBehindUsIsOpenedAgain(t *testing.T) {
	fixture := fixtures.NewToken(t)
	token := fixture.Open(t)
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	module := pkcs11.New(fixture.Config.Module)
	defer module.Destroy()
	must(t, module.Finalize())
	must(t, sign(t, signer))
	must(t, module.Finalize()) // closing the token afterwards is no error either
}

func TestALogoutBehindUsIsCured(t *testing.T) {
	fixture := fixtures.NewToken(t)
	token := fixture.Open(t)
	signer, public := fixtures.NewKey(t, token, "issuing", 1)
	logout := func() {
		module := pkcs11.New(fixture.Config.Module)
		defer module.Destroy()
		session, err := module.OpenSession(slotOf(t, module, fixture.Config), pkcs11.CKF_SERIAL_SESSION)
		must(t, err)
		must(t, module.Logout(session))
		must(t, module.CloseSession(session))
	}
	logout()
	must(t, sign(t, signer))
	logout()
	if _, err := token.Signer(t.Context(), issuing, public); err != nil {
		t.Errorf("a key that a logout hides is not missing: %v", err)
	}
}

func TestATokenMovedAwayAndBack(t *testing.T) {
	fixture := fixtures.NewToken(t)
	signer, _ := fixtures.NewKey(t, fixture.Open(t), "issuing", 1)
	tokens := filepath.Join(fixture.Dir, "tokens")
	must(t, os.Rename(tokens, tokens+".away"))
	must(t, os.Mkdir(tokens, 0o700))
	for range 3 {
		want(t, sign(t, signer), hsm.ErrTokenMissing)
	}
	must(t, os.Remove(tokens))
	must(t, os.Rename(tokens+".away", tokens))
	eventually(t, signer, hsm.ErrTokenMissing)
}

// A label is no identity. The keys of a ceremony would lie on another token than the one that its transcript names, and the PIN
// would go to it.
func TestAnotherTokenWithTheSameLabelIsNotOpened(t *testing.T) {
	fixture, other := fixtures.NewToken(t), fixtures.NewToken(t)
	shim := fixtures.NewShim(t, fixture)
	token := open(t, shim.Config)
	closeSessions(t, shim.Config)
	tokens := filepath.Join(fixture.Dir, "tokens")
	must(t, os.Rename(tokens, tokens+".away"))
	must(t, os.Rename(filepath.Join(other.Dir, "tokens"), tokens))
	logins, serial := shim.Calls(t, "C_Login"), token.Info().Serial
	for range 3 {
		_, err := token.Generate(t.Context(), hsm.KeyRef{ID: []byte{7}, Label: "audit"})
		want(t, err, hsm.ErrTokenMissing)
		if !strings.Contains(err.Error(), serial) {
			t.Errorf("the serial %s is not in %v", serial, err)
		}
	}
	if n := shim.Calls(t, "C_Login") - logins; n != 0 || token.Info().Serial != serial {
		t.Errorf("%d logins to the other token; the serial is %s, at first %s", n, token.Info().Serial, serial)
	}
}

func TestEachCodeThatMeansLost(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token := open(t, shim.Config)
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	for code, sentinel := range map[uint]error{
		0x05: hsm.ErrSessionLost, 0x06: hsm.ErrSessionLost, 0x30: hsm.ErrSessionLost, 0x32: hsm.ErrSessionLost,
		0x60: hsm.ErrSessionLost, 0x82: hsm.ErrSessionLost, 0x90: hsm.ErrSessionLost, 0xB0: hsm.ErrSessionLost,
		0xB3: hsm.ErrSessionLost, 0x101: hsm.ErrSessionLost, 0x190: hsm.ErrSessionLost,
		0xE0: hsm.ErrTokenMissing, 0xE1: hsm.ErrTokenMissing,
	} {
		for _, function := range []string{"C_SignInit", "C_Sign"} { // the session is lost before the call, or the reply is lost
			t.Run(fmt.Sprintf("%s %X", function, code), func(t *testing.T) {
				before := shim.Calls(t, "C_Login")
				shim.Fail(t, fmt.Sprintf("%s %x", function, code))
				err := sign(t, signer)
				want(t, err, sentinel)
				if !errors.Is(err, pkcs11.Error(code)) {
					t.Errorf("the raw code is not in %v", err)
				}
				if n := shim.Calls(t, "C_Login") - before; n != 1 {
					t.Errorf("%d reopens", n)
				}
				shim.Fail(t)
				eventually(t, signer, sentinel)
			})
		}
	}
}

func TestCodesThatAReopenCannotCure(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	signer, _ := fixtures.NewKey(t, open(t, shim.Config), "issuing", 1)
	for code, sentinel := range map[uint]error{
		0x02: hsm.ErrTokenRefused, 0x68: hsm.ErrTokenRefused, 0x70: hsm.ErrTokenUnfit, 0x80000001: hsm.ErrTokenRefused,
	} {
		shim.Fail(t, fmt.Sprintf("C_SignInit %x", code))
		want(t, sign(t, signer), sentinel)
	}
	if n := shim.Calls(t, "C_Login"); n != 1 {
		t.Errorf("%d logins", n)
	}
	shim.Fail(t)
	must(t, sign(t, signer))
}

func TestAReopenThatFailsIsNotRepeatedAtOnce(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	signer, _ := fixtures.NewKey(t, open(t, shim.Config), "issuing", 1)
	shim.Fail(t, "C_OpenSession E0", "C_SignInit B3")
	for range 50 {
		want(t, sign(t, signer), hsm.ErrTokenMissing)
	}
	// 50 calls take far less time than the pauses of five reopens (3.1 s).
	if n := shim.Calls(t, "C_Initialize"); n > 12 {
		t.Errorf("%d times the module was initialised", n)
	}
	shim.Fail(t)
	eventually(t, signer, hsm.ErrTokenMissing)
}

// changingPIN returns the right PIN once, and then another one.
func changingPIN(next string) hsm.PINSource {
	var asked atomic.Int32
	return func(context.Context) (hsm.Secret, error) {
		if asked.Add(1) == 1 {
			return hsm.NewSecret([]byte(fixtures.TestPIN)), nil
		}
		return hsm.NewSecret([]byte(next)), nil
	}
}

func TestAWrongPINAtAReopenIsKept(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token, err := hsm.Open(t.Context(), shim.Config, changingPIN("wrong-pin"))
	must(t, err)
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	closeSessions(t, shim.Config)
	for range 20 {
		want(t, sign(t, signer), hsm.ErrPINWrong)
	}
	_, err = token.Keys(t.Context())
	want(t, err, hsm.ErrPINWrong)
	if n := shim.Calls(t, "C_Login"); n != 2 {
		t.Errorf("%d logins: the first, and one with the wrong PIN, are all", n)
	}
	must(t, token.Close(t.Context()))
}

func TestATokenThatComesBackLockedIsLeftAlone(t *testing.T) {
	for fault, sentinel := range map[string]error{
		"token_flags 40000": hsm.ErrPINLocked, "token_flags 20000": hsm.ErrPINAtRisk, "token_flags 80000": hsm.ErrPINExpired,
	} {
		t.Run(fault, func(t *testing.T) {
			shim := fixtures.NewShim(t, fixtures.NewToken(t))
			signer, _ := fixtures.NewKey(t, open(t, shim.Config), "issuing", 1)
			shim.Fail(t, fault)
			closeSessions(t, shim.Config)
			want(t, sign(t, signer), sentinel)
			shim.Fail(t)
			want(t, sign(t, signer), sentinel)
			if n := shim.Calls(t, "C_Login"); n != 1 {
				t.Errorf("%d logins", n)
			}
		})
	}
}

func TestAKeyExchangedWhileTheTokenWasAwayIsRefusedForGood(t *testing.T) {
	set := pkcs11.NewAttribute
	for name, test := range map[string]struct {
		replace func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle)
		want    error
	}{
		"by another":     {func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) { generate(t, m, s, issuing) }, hsm.ErrKeyDiffers},
		"by an imported": {func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) { importKey(t, m, s, issuing) }, hsm.ErrKeyDiffers},
		"by an extractable": {func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			generate(t, m, s, issuing, set(pkcs11.CKA_EXTRACTABLE, true))
		}, hsm.ErrKeyDiffers},
		"by two": {func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			generate(t, m, s, issuing)
			generate(t, m, s, issuing)
		}, hsm.ErrKeyDiffers},
	} {
		t.Run(name, func(t *testing.T) {
			fixture := fixtures.NewToken(t)
			signer, _ := fixtures.NewKey(t, fixture.Open(t), issuing.Label, issuing.ID...)
			module := pkcs11.New(fixture.Config.Module)
			defer module.Destroy()
			session, err := module.OpenSession(slotOf(t, module, fixture.Config), pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
			must(t, err)
			must(t, module.FindObjectsInit(session, []*pkcs11.Attribute{set(pkcs11.CKA_LABEL, issuing.Label)}))
			old, _, err := module.FindObjects(session, 10)
			must(t, err)
			must(t, module.FindObjectsFinal(session))
			for _, handle := range old {
				must(t, module.DestroyObject(session, handle))
			}
			test.replace(t, module, session)
			want(t, sign(t, signer), test.want)
			want(t, sign(t, signer), test.want)
		})
	}
}

func TestLossesLeaveNothingBehind(t *testing.T) {
	fixture := fixtures.NewToken(t)
	goroutines := runtime.NumGoroutine()
	token, err := hsm.Open(t.Context(), fixture.Config, fixture.PIN)
	must(t, err)
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	descriptors := openDescriptors(t)
	for range 100 {
		closeSessions(t, fixture.Config)
		must(t, sign(t, signer))
	}
	if n := openDescriptors(t); n > descriptors+2 { // the Go runtime and the module may open one each
		t.Errorf("%d descriptors, %d before", n, descriptors)
	}
	must(t, token.Close(t.Context()))
	for end := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

// crowd signs in six goroutines until stop is called. The allowed errors are those after
// which a station tries again.
func crowd(t *testing.T, signer crypto.Signer, allowed ...error) (signed *atomic.Int64, stop func()) {
	signed = new(atomic.Int64)
	var group sync.WaitGroup
	ended := make(chan struct{})
	for range 6 {
		group.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				err := sign(t, signer)
				if err == nil {
					signed.Add(1)
				} else if !isOne(err, allowed) {
					t.Error(err)
					return
				} else {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	return signed, func() { close(ended); group.Wait() }
}

// lostAndFound are the errors of a token that is away and may come back.
var lostAndFound = []error{hsm.ErrSessionLost, hsm.ErrTokenMissing, hsm.ErrModuleNotStarted}

func isOne(err error, of []error) bool {
	return slices.ContainsFunc(of, func(one error) bool { return errors.Is(err, one) })
}

// progress waits for twenty more signatures.
func progress(t *testing.T, signed *atomic.Int64) {
	t.Helper()
	mark := signed.Load()
	for end := time.Now().Add(patience); signed.Load() < mark+20; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no signatures any more")
		}
	}
}

func TestManySignersSurviveManyLosses(t *testing.T) {
	for _, sessions := range []int{3, 6} {
		t.Run(fmt.Sprintf("with %d sessions", sessions), func(t *testing.T) {
			shim := fixtures.NewShim(t, fixtures.NewToken(t))
			shim.Config.Sessions = sessions
			signer, _ := fixtures.NewKey(t, open(t, shim.Config), "issuing", 1)
			signed, stop := crowd(t, signer, lostAndFound...)
			defer stop()
			for _, function := range []string{"C_SignInit", "C_Sign", "C_OpenSession", "C_Login", "C_Initialize"} {
				progress(t, signed)
				before, finalized := shim.Calls(t, "C_Login"), shim.Calls(t, "C_Finalize")
				shim.Fail(t, "C_SignInit B3", function+" B3")
				for end := time.Now().Add(patience); shim.Calls(t, "C_Finalize") == finalized && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
				shim.Fail(t)
				progress(t, signed)
				if n := shim.Calls(t, "C_Login") - before; n > 6 {
					t.Errorf("%d logins for one loss: the crowd shares one", n)
				}
			}
		})
	}
}

func TestManySignersSurviveAnUnpluggedToken(t *testing.T) {
	server := fixtures.Serve(t, fixtures.NewToken(t))
	signer, _ := fixtures.NewKey(t, open(t, server.Config), "issuing", 1)
	signed, stop := crowd(t, signer, lostAndFound...)
	defer stop()
	for range 4 {
		progress(t, signed)
		server.Unplug(t)
		server.Start(t)
	}
	progress(t, signed)
}
