package station

import (
	"crypto/sha256"
	"time"
)

// DebugSetup says what the station does over the debug port of a bay.
type DebugSetup struct {
	Probe string         // serial number of the probe as configured; empty: any probe at its place
	Image *FirmwareImage // nil: the bay flashes nothing
	// FlashLimit and LockLimit are the longest times that the programmer may take to write the image, and to
	// lock the debug port and read its state. The time-outs of the steps and of the Run grow by them.
	FlashLimit, LockLimit time.Duration
	Store                 bool        // the place of the certificate store in the flash is known
	Lock                  *LockRecipe // nil: the debug port cannot be locked
}

// FirmwareImage is the image that a bay flashes.
type FirmwareImage struct {
	SHA256 [sha256.Size]byte // of the file
	// Octets is the SHA-256 of the octets in the board's flash, as a board may report it in `hello`; zero if it is not known.
	Octets [sha256.Size]byte
}

// LockRecipe says how the debug port of a board is locked.
type LockRecipe struct {
	Kind   string            // for people: "APPROTECT"
	SHA256 [sha256.Size]byte // of all values that decide how the debug port is locked and its state is read
	// Key is the fingerprint of the key that opens the locked debug port (debug
	// authentication), as the configuration has it; empty if there is none.
	Key string
}

// LockState is the state of a board's debug port.
type LockState string

// The states. A probe reads LockOpen or LockLocked. The registry has LockPending between the
// intent to lock and the state that was read after it.
const (
	LockOpen    LockState = "open"
	LockLocked  LockState = "locked"
	LockPending LockState = "intended"
)

// FlashContent is what a board's flash holds at the place of the image.
type FlashContent string

// The contents.
const (
	FlashImage FlashContent = "image" // the image
	FlashBlank FlashContent = "blank" // nothing that could run
	FlashOther FlashContent = "other"
)

// ProbeRecord says which probe and which chip did the work of a step.
type ProbeRecord struct {
	Serial string // of the probe
	Target string // the chip, as the programmer names it
}

// FlashRecord is the result of the step flash.
type FlashRecord struct {
	// Image is FirmwareImage.SHA256. It is zero for a board that this station has locked and that does not say
	// that it runs the image: then nobody knows what it holds.
	Image [sha256.Size]byte
	Held  bool // nothing was written: the board held the image already, or this station has locked it
}

// LockRecord is the result of locking a debug port.
type LockRecord struct {
	Recipe LockRecipe // zero: somebody else locked the board
	State  LockState  // as read from the board
}
