// Package reason says what a refusal means.
package reason

// A UsageError marks an error of usage or configuration.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }
func (e *UsageError) Unwrap() error { return e.err }

// Usage marks an error as one of usage or configuration: nothing was begun.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return &UsageError{err}
}
