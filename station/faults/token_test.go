package faults_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/hsm"
	"hallmark/station"
)

// tokenTimeout is the time-out for a call of the token's module. It is long enough for a busy
// machine, and short enough for a test with a token that hangs.
const tokenTimeout = 1500 * time.Millisecond

// served makes an environment whose token is in another process.
func served(t *testing.T) (*environment, *fixtures.Server) {
	t.Helper()
	token := fixtures.NewToken(t)
	server := fixtures.Serve(t, token)
	behind := *token
	behind.Config = server.Config
	behind.Config.Timeout = tokenTimeout
	return newEnvironment(t, func(l *environment) { l.token = behind.Open(t) }), server
}

// recovers checks that the station works again without help. The token that is back is opened
// again after a pause. Until then each Run ends as a named Fault.
func (b *bay) recovers(t *testing.T, dir string) *station.Run {
	t.Helper()
	for try := 0; ; try++ {
		board := b.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
		run := b.enrol(t, board, board)
		named(t, run)
		if run.Ending == station.Pass {
			return run
		}
		if try == 40 {
			t.Fatalf("the line does not recover: %v", run.Err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestATokenThatGoesAwayIsANamedFaultAndComesBackByItself(t *testing.T) {
	l, server := served(t)
	bay := l.bay("bay")
	bay.passes(t)
	unplug, start := func() { server.Unplug(t) }, func() { server.Start(t) }
	hang, resume := func() { server.Hang(t) }, func() { server.Resume(t) }
	restart := func() { unplug(); start() }
	for _, test := range []struct {
		name    string
		between func() // disturbs the token between two Runs
		during  func() // disturbs the token directly before a signature
		back    func() // ends the disturbance
		cause   error  // nil: the Run may also pass, because the token is opened again
	}{
		{"restarted between Runs", restart, nil, nil, nil},
		{"restarted during a Run", nil, restart, nil, nil},
		{"away before a Run", unplug, nil, start, hsm.ErrTokenMissing},
		{"away from the moment of signing on", nil, unplug, start, hsm.ErrTokenMissing},
		{"hung before a Run", hang, nil, resume, hsm.ErrHung},
		{"hung from the moment of signing on", nil, hang, resume, hsm.ErrHung},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if test.between != nil {
				test.between()
			}
			if test.during != nil {
				l.ahead = sync.OnceFunc(test.during)
			}
			board := l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
			begun := time.Now()
			run := bay.enrol(t, board, board)
			l.ahead = func() {}
			if named(t, run); test.cause != nil && !errors.Is(run.Err, test.cause) && !errors.Is(run.Err, hsm.ErrSessionLost) {
				t.Errorf("the Run ends as %s %q, want %v: %v", run.Ending, run.Reason, test.cause, run.Err)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("it took %v to give up", took)
			}
			if test.back != nil {
				test.back()
			}
			bay.recovers(t, dir)
			bay.passes(t)
			l.checkInvariants(t)
		})
	}
}

func TestATokenThatIsRestartedUnderManyRunsGivesNoSerialNumberTwice(t *testing.T) {
	const boards = 6
	l, server := served(t)
	l.ahead = sync.OnceFunc(func() { server.Unplug(t); server.Start(t) })
	var wait sync.WaitGroup
	for i := range boards {
		dir := t.TempDir()
		wait.Go(func() { l.bay(fmt.Sprint("bay ", i)).recovers(t, dir) })
	}
	wait.Wait()
	l.checkInvariants(t)
}

// In TestAWrongPINIsNamedAndNeverTriedAgain, the PIN is changed while the token is away.
func TestAWrongPINIsNamedAndNeverTriedAgain(t *testing.T) {
	token := fixtures.NewToken(t)
	shim := fixtures.NewShim(t, token)
	token.Config = shim.Config
	l := newEnvironment(t, func(l *environment) { l.token = token.Open(t) })
	bay := l.bay("bay")
	bay.passes(t)
	shim.Fail(t, "C_SignInit b3", "C_Login a0") // CKR_SESSION_HANDLE_INVALID, CKR_PIN_INCORRECT
	logins := shim.Calls(t, "C_Login")
	dir := t.TempDir()
	for range 3 {
		board := l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
		run := bay.enrol(t, board, board)
		if named(t, run); run.Ending != station.Fault || !errors.Is(run.Err, hsm.ErrPINWrong) {
			t.Errorf("the Run ends as %s: %v", run.Ending, run.Err)
		}
		shim.Fail(t)
	}
	if n := shim.Calls(t, "C_Login") - logins; n != 1 {
		t.Errorf("the PIN was tried %d times", n)
	}

	// After the PIN is corrected, a new start of the station helps.
	if err := errors.Join(l.close(), l.token.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	l.Token = token.Open(t)
	l.open(t)
	board := l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
	ends(t, bay.enrol(t, board, board), station.Pass, "")
	l.checkInvariants(t)
}
