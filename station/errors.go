package station

import "hallmark/station/reason"

// Refusals of the engine.
var (
	// ErrClone: the BoardID is known from another hardware id. The registry's Admit returns it (I4).
	ErrClone = reason.New("clone", "BoardID belongs to another piece of hardware")
	// What else Admit and the issuer's Store may refuse, for the registry to return.
	ErrScrapped     = reason.New("scrapped", "board was scrapped")
	ErrUnknownOrder = reason.New("unknown-order", "work order is not open: open it first")
	ErrQuota        = reason.New("quota", "work order is complete: its quota of boards is used up")
	// ErrUnknownCertificate: Known.Lookup has no certificate with this serial number.
	ErrUnknownCertificate = reason.New("unknown-certificate", "certificate is not registered")

	ErrUntrustedHUK  = reason.New("untrusted-huk", "source of the hardware unique key is not allowed here")
	ErrDummyIdentity = reason.New("dummy-identity", "BoardID comes from a publicly known hardware unique key")
	ErrIdentityABI   = reason.New("identity-abi", "identity ABI is not the one this station accepts")
	ErrSealed        = reason.New("sealed", "board is sealed and does not hold its registered certificate")

	ErrNoPurpose = reason.New("no-purpose", "board's firmware derives no key for this purpose")

	ErrForeignCertificate = reason.New("foreign-certificate", "board holds a certificate this station did not register for it")
	ErrNotReset           = reason.New("not-restarted", "board did not restart")
	ErrReadBack           = reason.New("read-back-differs", "board does not hold what was written")
	ErrOtherKey           = reason.New("other-key", "board signs with another key than the one that was certified")
	ErrHandshakeRefused   = reason.New("handshake-refused", "verifier refused the board")
	ErrWrongCertificate   = reason.New("wrong-certificate", "board presented another certificate than the registered one")
	// ErrNoNetworkSession: the board says that it did, but not where this Run waited for it.
	ErrNoNetworkSession = reason.New("no-visit", "no board came to the verifier with this Run's certificate: look at the address in station.yaml and at the network")
	ErrNoAnswerRead     = reason.New("no-answer-read", "board did not read the verifier's answer")

	// ErrSwapped: another board answers than the one that was identified. It is
	// a Fault, of handling: neither board is bad, and neither gets the other's certificate.
	ErrSwapped = reason.New("swapped", "another board answers than the one that was identified")
	// ErrRestarted: the board restarted when nobody asked it to.
	ErrRestarted = reason.New("restarted", "board restarted in the middle of a Run")
)

// Kinds of trouble that say nothing about the board. The engine adds one of
// them to each error of the part that it talks to.
var (
	ErrLine     = reason.New("line", "line to the board")
	ErrRegistry = reason.New("registry", "registry")
	ErrClock    = reason.New("clock", "clock of the station")
	ErrSigning  = reason.New("signing", "signing")
	ErrVerifier = reason.New("verifier", "verifier")
	ErrRandom   = reason.New("random", "random source of the station")
	ErrTimeout  = reason.New("timeout", "time is up")
	ErrPanic    = reason.New("panic", "panic in the station")
	ErrNoBoard  = reason.New("no-board", "bay has no board to offer")
)

// Stops that somebody asked for.
var (
	ErrDraining   = reason.New("draining", "station is draining: no Run goes on to sign")
	ErrBayStopped = reason.New("bay-stopped", "bay is stopped until an operator acknowledges")
	errOperator   = reason.New("operator", "stopped by the operator")
)

// Errors of calling Enrol wrongly.
var (
	errNoRun    = reason.New("fault", "no Run, or a Run without id (use NewRun)")
	errRunEnded = reason.New("fault", "the Run has ended; make a new one")
	errPurpose  = reason.New("fault", "the station does not certify keys of the Run's purpose")
	errBoardNil = reason.New("fault", "no board")
)
