package hsm_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/hsm"
)

// short is a time-out for calls that certainly hang, so the machine's speed does not
// matter.
const short = 200 * time.Millisecond

func TestAHungCallKeepsItsPlaceUntilItReturns(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token, err := hsm.Open(t.Context(), shim.Config, pinOf(fixtures.TestPIN))
	must(t, err)
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	hsm.TestingOnlyTimeout(token, short)
	shim.Fail(t, "hang_C_Sign 1")
	want(t, sign(t, signer), hsm.ErrHung)
	err = sign(t, signer)
	want(t, err, hsm.ErrBusy)
	if !errors.Is(err, hsm.ErrHung) {
		t.Errorf("it does not say why: %v", err)
	}
	shim.Fail(t) // the module returns, and the token need not be opened again
	eventually(t, signer, hsm.ErrBusy, hsm.ErrHung)
	if n := shim.Calls(t, "C_Login"); n != 1 {
		t.Errorf("%d logins", n)
	}
	must(t, token.Close(t.Context()))
}

func TestClosingAHungModuleIsBounded(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token, err := hsm.Open(t.Context(), shim.Config, pinOf(fixtures.TestPIN))
	must(t, err)
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	hsm.TestingOnlyTimeout(token, short)
	shim.Fail(t, "hang_C_Sign 1")
	want(t, sign(t, signer), hsm.ErrHung)
	want(t, token.Close(t.Context()), hsm.ErrHung)
	want(t, sign(t, signer), hsm.ErrBusy)
	refused(t, shim.Config, pinOf(fixtures.TestPIN), hsm.ErrInUse)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	want(t, token.Close(ctx), hsm.ErrHung)
	shim.Fail(t)
	for end := time.Now().Add(patience); ; {
		if err = token.Close(t.Context()); err == nil {
			break
		}
		if want(t, err, hsm.ErrHung); time.Now().After(end) {
			t.Fatal(err)
		}
	}
	want(t, sign(t, signer), hsm.ErrClosed)
	open(t, shim.Config)
}

func TestAModuleThatHangsWhileOpening(t *testing.T) {
	for _, function := range []string{"C_Initialize", "C_GetTokenInfo", "C_OpenSession", "C_Login"} {
		t.Run("in "+function, func(t *testing.T) {
			shim := fixtures.NewShim(t, fixtures.NewToken(t))
			shim.Config.Timeout = short
			shim.Fail(t, "hang_"+function+" 1")
			refused(t, shim.Config, pinOf(fixtures.TestPIN), hsm.ErrHung)
			shim.Fail(t)
			shim.Config.Timeout = 0
			opensAgain(t, shim.Config)
		})
	}
}

func TestAReopenThatHangsIsSharedAndComesBack(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token := open(t, shim.Config)
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	hsm.TestingOnlyTimeout(token, short)
	shim.Fail(t, "hang_C_OpenSession 1")
	closeSessions(t, shim.Config)
	for range 3 {
		want(t, sign(t, signer), hsm.ErrHung)
	}
	shim.Fail(t)
	eventually(t, signer, hsm.ErrHung)
	if n := shim.Calls(t, "C_Login"); n != 2 {
		t.Errorf("%d logins", n)
	}
}

func TestAskingForThePINMayTakeLongerThanACall(t *testing.T) {
	fixture := fixtures.NewToken(t)
	fixture.Config.Timeout = time.Second
	token, err := hsm.Open(t.Context(), fixture.Config, func(ctx context.Context) (hsm.Secret, error) {
		time.Sleep(2500 * time.Millisecond) // longer than the time-out of a call
		return fixture.PIN(ctx)
	})
	must(t, err)
	must(t, token.Close(t.Context()))
}

func TestOpeningEndsWithItsContext(t *testing.T) {
	fixture := fixtures.NewToken(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := hsm.Open(ctx, fixture.Config, func(ctx context.Context) (hsm.Secret, error) {
		cancel()
		<-ctx.Done() // nobody answers the prompt
		return hsm.Secret{}, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	opensAgain(t, fixture.Config)
}

// opensAgain waits until the module is out of use and the token opens.
func opensAgain(t *testing.T, cfg hsm.Config) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		token, err := hsm.Open(t.Context(), cfg, pinOf(fixtures.TestPIN))
		if err == nil {
			must(t, token.Close(t.Context()))
			return
		}
		if want(t, err, hsm.ErrInUse); time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestAnUnpluggedTokenComesBack(t *testing.T) {
	server := fixtures.Serve(t, fixtures.NewToken(t))
	token := open(t, server.Config)
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	for range 3 {
		server.Unplug(t)
		if err := sign(t, signer); !away(err) {
			t.Fatalf("got %v", err)
		}
		server.Start(t)
		eventually(t, signer, lostAndFound...)
	}
	reports, err := token.Keys(t.Context())
	must(t, err)
	if len(reports) != 1 || reports[0].Refused(nil) != nil {
		t.Errorf("got %+v", reports)
	}
}

func away(err error) bool {
	return isOne(err, lostAndFound)
}

func TestAStoppedTokenIsNoticedAndCanBeClosed(t *testing.T) {
	server := fixtures.Serve(t, fixtures.NewToken(t))
	token, err := hsm.Open(t.Context(), server.Config, pinOf(fixtures.TestPIN))
	must(t, err)
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	hsm.TestingOnlyTimeout(token, short)
	server.Hang(t)
	want(t, sign(t, signer), hsm.ErrHung)
	want(t, token.Close(t.Context()), hsm.ErrHung)
	server.Resume(t)
	for end := time.Now().Add(patience); ; {
		if err = token.Close(t.Context()); err == nil {
			return
		}
		if want(t, err, hsm.ErrHung); time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// SoftHSM writes its token at a login. A process that ends in that moment leaves an empty token.
func TestALoginThatWasBegunIsWaitedFor(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	shim.Fail(t, "hang_C_Login 1")
	ctx, cancel := context.WithCancel(t.Context())
	opened := make(chan error, 1)
	go func() {
		_, err := hsm.Open(ctx, shim.Config, pinOf(fixtures.TestPIN))
		opened <- err
	}()
	for end := time.Now().Add(patience); shim.Calls(t, "C_Login") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no login was begun")
		}
	}
	cancel() // as Ctrl-C
	shim.Fail(t)
	if err := <-opened; !errors.Is(err, context.Canceled) || errors.Is(err, hsm.ErrHung) {
		t.Errorf("got %v, want the end of the context", err)
	}
	if n := shim.Calls(t, "C_Finalize"); n != 2 { // after the preflight, and after the login
		t.Errorf("the module was finalised %d times when Open returned", n)
	}
}

// A module may hang when it ends a login that an operator has stopped.
func TestOpeningIsBoundedWhenTheEndOfTheLoginHangs(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	shim.Config.Timeout = time.Second
	shim.Fail(t, "hang_C_Login 1")
	ctx, cancel := context.WithCancel(t.Context())
	opened := make(chan error, 1)
	go func() {
		_, err := hsm.Open(ctx, shim.Config, pinOf(fixtures.TestPIN))
		opened <- err
	}()
	for end := time.Now().Add(patience); shim.Calls(t, "C_Login") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no login was begun")
		}
	}
	cancel() // as Ctrl-C
	shim.Fail(t, "hang_C_Finalize 1")
	select {
	case err := <-opened:
		want(t, err, hsm.ErrHung)
	case <-time.After(patience):
		t.Error("Open does not return")
	}
	shim.Fail(t)
	opensAgain(t, shim.Config)
}
