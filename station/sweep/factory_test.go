package sweep_test

import (
	"testing"

	"hallmark/devices/emulated"
	"hallmark/fixtures"
)

// A factory holds the parts that survive a crash of the station: the HSM, a new station
// directory to copy, and the firmware image.
type factory struct {
	*fixtures.Factory
	image    string // of the posix board
	prepared map[kind]*environment
}

func newFactory(t *testing.T) *factory {
	t.Helper()
	return &factory{fixtures.NewFactory(t, fixtures.NewToken(t).Open(t)), fixtures.Firmware(t, "../..", emulated.Posix, ""), map[kind]*environment{}}
}

// must returns a value, or ends the test.
func must[T any](value T, err error) func(testing.TB) T { return fixtures.Must(value, err) }
