package station

import "hallmark/station/reason"

// Refusals of the engine.
var (
	// ErrClone: the BoardID is registered with another hardware id. Registry.Admit returns this error (I4).
	ErrClone = reason.New("clone", "BoardID belongs to another piece of hardware")
	// Further refusals of Registry.Admit and of the issuer's Store.
	ErrHeld          = reason.New("held", "board is on hold")
	ErrScrapped      = reason.New("scrapped", "board was scrapped")
	ErrUnknownOrder  = reason.New("unknown-order", "work order was never opened; `station order open --id ID --quota NUMBER` opens it")
	ErrQuota         = reason.New("quota", "work order is complete: its quota of boards is used up")
	ErrOrderClosed   = reason.New("order-closed", "work order was closed")
	ErrOrderNotYet   = reason.New("order-not-yet", "work order has not begun")
	ErrOrderUnsigned = reason.New("order-unsigned", "work orders of this station need the signature of the owner of the product")
	ErrOrderOwner    = reason.New("order-owner", "work order was signed by an owner whom this station does not know")
	ErrOrderProfile  = reason.New("order-profile", "work order is for certificates of another profile")
	ErrOrderExpired  = reason.New("order-expired", "work order is not valid any more")
	ErrOrderNeeded   = reason.New("order-needed", "this station enrols boards only for a work order (require_order in station.yaml)")
	// ErrUnknownCertificate: Known.Lookup has no certificate with this serial number.
	ErrUnknownCertificate = reason.New("unknown-certificate", "certificate is not registered")

	ErrUntrustedHUK  = reason.New("untrusted-huk", "source of the hardware unique key is not allowed here")
	ErrDummyIdentity = reason.New("dummy-identity", "BoardID comes from a publicly known hardware unique key")
	ErrIdentityABI   = reason.New("identity-abi", "identity ABI is not the one this station accepts")
	ErrAlgorithm     = reason.New("other-algorithm", "board's keys are of an algorithm that this station does not have")
	ErrSealed        = reason.New("sealed", "board is sealed and does not hold its registered certificate")
	// ErrRenewed: the board is good, and no Run can give it another certificate.
	ErrRenewed = reason.New("renewed-in-field", "board is sealed and holds a certificate that an update file of this station brought")

	ErrNoPurpose = reason.New("no-purpose", "board's firmware derives no key for this purpose")

	// ErrImageUnfit: the image of the board definition is one that this station refuses.
	ErrImageUnfit = reason.New("image-unfit", "the image that this station flashes is refused")
	// ErrFirmware: the board runs a firmware image that the station or the work order does not allow.
	ErrFirmware = reason.New("firmware-not-allowed", "board's firmware image is not on the list of the station or of the work order")
	// ErrImageNotAllowed: the image that the bay would flash is not allowed, so the board is not to blame.
	ErrImageNotAllowed = reason.New("image-not-allowed", "firmware image of the bay is not on the list of the station or of the work order")
	// ErrDone: the board has an active certificate, so the station does not overwrite its firmware.
	ErrDone = reason.New("done-before", "board is done: the registry has an active certificate for it, so its flash is not erased")
	// ErrNeedsFlash: a flash began and did not end, so the board's firmware may be incomplete.
	ErrNeedsFlash = reason.New("needs-flash", "board needs flash: its image may be incomplete")
	// ErrStoreDiffers: the probe does not find in the flash what the board returns over the UART.
	ErrStoreDiffers = reason.New("probe-read-differs", "flash of the board, read by the probe, does not hold the registered certificate")
	// ErrLockOpen: the station locked the debug port, and the chip says that it is open.
	ErrLockOpen = reason.New("lock-open", "debug port is open after it was locked")
	// ErrLockedElsewhere: the debug port is locked, and the registry has no intent of this station to lock it.
	ErrLockedElsewhere = reason.New("locked-elsewhere", "debug port is locked, and this station did not lock it")

	// ErrProbeElsewhere: the probe restarted its chip, and the board on the UART did not restart.
	ErrProbeElsewhere = reason.New("probe-elsewhere", "debug probe is connected to another board than the UART")
	// ErrLockUnproven: the station meant to lock the board, and nothing shows that the locked chip at the probe is this board.
	ErrLockUnproven = reason.New("lock-unproven", "nothing shows that the locked chip at the probe is the board on the UART")

	ErrForeignCertificate = reason.New("foreign-certificate", "board holds a certificate this station did not register for it")
	ErrNotReset           = reason.New("not-restarted", "board did not restart")
	ErrReadBack           = reason.New("read-back-differs", "board does not hold what was written")
	ErrOtherKey           = reason.New("other-key", "board signs with another key than the one that was certified")
	ErrHandshakeRefused   = reason.New("handshake-refused", "verifier refused the board")
	ErrWrongCertificate   = reason.New("wrong-certificate", "board presented another certificate than the registered one")
	// ErrNoNetworkSession: the board reports a handshake, but no board came to the verifier of this Run.
	ErrNoNetworkSession = reason.New("no-visit", "no board came to the verifier with this Run's certificate: look at the address in station.yaml and at the network")
	ErrNoAnswerRead     = reason.New("no-answer-read", "board did not read the verifier's answer")

	// ErrSwapped: the board that answers is not the board that was identified. This is a
	// Fault, because somebody mixed up two boards and neither board is bad. Neither board
	// gets the certificate of the other.
	ErrSwapped = reason.New("swapped", "another board answers than the one that was identified")
	// ErrRestarted: the board restarted although the station did not reset it.
	ErrRestarted = reason.New("restarted", "board restarted in the middle of a Run")
)

// Components in which a Run can fail without a fault of the board. The engine adds one of
// these errors to each error of that component.
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

// Stops by an operator or by the end of the program.
var (
	ErrDraining   = reason.New("draining", "station is draining: no Run goes on to sign")
	ErrBayStopped = reason.New("bay-stopped", "bay is stopped until an operator acknowledges")
	errOperator   = reason.New("operator", "stopped by the operator")
)

// Mistakes in a call of Enrol.
var (
	errNoRun    = reason.New("fault", "no Run, or a Run without id (use NewRun)")
	errRunEnded = reason.New("fault", "the Run has ended; make a new one")
	errPurpose  = reason.New("fault", "the station does not certify keys of the Run's purpose")
	errBoardNil = reason.New("fault", "no board")
	errNoLock   = reason.New("fault", "the station locks debug ports, and the bay has none that it can lock")
)
