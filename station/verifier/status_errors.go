package verifier

import "hallmark/station/reason"

// Refusals of status bundles and CRLs.
var (
	ErrStatusDamaged = reason.New("status-damaged", "the file is cut off or damaged")
	ErrStatusForged  = reason.New("status-forged", "the signature is not one of the CA that the file names")
	ErrStatusForeign = reason.New("status-foreign", "the file is of a CA that may not say what is revoked here")
	ErrStatusOlder   = reason.New("status-rolled-back", "the file is older than one that was accepted before")
	ErrStatusStale   = reason.New("status-stale", "the status of certificates is not of this time")
	ErrStatusTwice   = reason.New("status-twice", "two files are of one CA: name one of each")
	ErrNoCRL         = reason.New("no-crl", "there is no CRL of the CA that issued the certificate")
	ErrState         = reason.New("status-memory", "the file that remembers the newest status cannot be used")
)
