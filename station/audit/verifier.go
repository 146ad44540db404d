package audit

import "golang.org/x/mod/sumdb/note"

// NewVerifier returns a verifier for the signatures of a log, for programs that also handle the
// signatures of others on a checkpoint. Errors: ErrVerifierKey.
func NewVerifier(verifierKey string) (note.Verifier, error) {
	key, err := parseVerifierKey(verifierKey)
	if err != nil {
		return nil, err // not the nil pointer, which would be a verifier
	}
	return key, nil
}

// Opener returns what [OpenCheckpoint] does with this key. It reads the key once, for a caller with many checkpoints. The
// function is safe for concurrent use. Errors: ErrVerifierKey; those of the function: ErrCheckpointSignature, ErrCheckpointText.
func Opener(verifierKey string) (func(signed []byte) (Head, error), error) {
	key, err := parseVerifierKey(verifierKey)
	if err != nil {
		return nil, err
	}
	return key.open, nil
}
