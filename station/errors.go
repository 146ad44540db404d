package station

import "errors"

// Refusals of the engine. Each has one row in the table of endings.
var (
	// ErrClone: the BoardID is known from another hardware id. The registry's Admit returns it (I4).
	ErrClone = errors.New("BoardID belongs to another piece of hardware")
	// What else Admit and the issuer's ledger may refuse, for the registry to return.
	ErrScrapped     = errors.New("board was scrapped")
	ErrUnknownOrder = errors.New("work order is not open: open it first")
	ErrQuota        = errors.New("work order is complete: its quota of boards is used up")
	// ErrUnknownCertificate: Known.Lookup has no certificate with this serial number.
	ErrUnknownCertificate = errors.New("certificate is not registered")

	ErrUntrustedHUK  = errors.New("source of the hardware unique key is not allowed here")
	ErrDummyIdentity = errors.New("BoardID comes from a publicly known hardware unique key")
	ErrIdentityABI   = errors.New("identity ABI is not the one this station accepts")
	ErrSealed        = errors.New("board is sealed and does not hold its registered certificate")

	ErrNoPurpose = errors.New("board's firmware derives no key for this purpose")

	ErrForeignCertificate = errors.New("board holds a certificate this station did not register for it")
	ErrNotReset           = errors.New("board did not restart")
	ErrReadBack           = errors.New("board does not hold what was written")
	ErrOtherKey           = errors.New("board signs with another key than the one that was certified")
	ErrHandshakeRefused   = errors.New("verifier refused the board")
	ErrWrongCertificate   = errors.New("board presented another certificate than the registered one")
	// ErrNoNetworkSession: the board says that it did, but not where this Run waited for it.
	ErrNoNetworkSession = errors.New("no board came to the verifier with this Run's certificate: look at the address in station.yaml and at the network")
	ErrNoAnswerRead     = errors.New("board did not read the verifier's answer")

	// ErrSwapped: another board answers than the one that was identified. It is
	// a Fault, of handling: neither board is bad, and neither gets the other's certificate.
	ErrSwapped = errors.New("another board answers than the one that was identified")
	// ErrRestarted: the board restarted when nobody asked it to.
	ErrRestarted = errors.New("board restarted in the middle of a Run")
)

// Kinds of trouble that say nothing about the board. The engine adds one of
// them to each error of the part that it talks to.
var (
	ErrLine     = errors.New("line to the board")
	ErrRegistry = errors.New("registry")
	ErrClock    = errors.New("clock of the station")
	ErrSigning  = errors.New("signing")
	ErrVerifier = errors.New("verifier")
	ErrRandom   = errors.New("random source of the station")
	ErrTimeout  = errors.New("time is up")
	ErrPanic    = errors.New("panic in the station")
	ErrNoBoard  = errors.New("bay has no board to offer")
)

// Stops that somebody asked for.
var (
	ErrDraining   = errors.New("station is draining: no Run goes on to sign")
	ErrBayStopped = errors.New("bay is stopped until an operator acknowledges")
)
