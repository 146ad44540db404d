package sweep_test

import (
	"testing"

	"hallmark/devices/emulated"
	"hallmark/fixtures"
)

// A factory is what stays when the station dies: HSM, a new station directory, and the firmware image.
type factory struct {
	*fixtures.Factory
	image    string // of the posix board
	prepared map[kind]*world
}

func newFactory(t *testing.T) *factory {
	t.Helper()
	return &factory{fixtures.NewFactory(t, fixtures.NewToken(t).Open(t)), fixtures.Firmware(t, "../..", emulated.Posix, ""), map[kind]*world{}}
}

// must gives a value, or ends the test.
func must[T any](value T, err error) func(testing.TB) T { return fixtures.Must(value, err) }
