package operate

import (
	"errors"
	"fmt"
	"strconv"

	"hallmark/station/instance"
)

var (
	errNumber     = errors.New("want a whole number from 1 to 1,000,000, or leave it out")
	errOnePerPort = errors.New("a serial port gets one board in a batch; leave --count out or use emulated boards")
)

const maxNumber = 1_000_000

// A Number is the value of a flag that counts boards. 0 means that the flag was left out: the
// flag itself takes no 0, because a batch of no boards would look like a batch that passed.
type Number int

// String implements pflag.Value.
func (n *Number) String() string {
	if *n == 0 {
		return ""
	}
	return strconv.Itoa(int(*n))
}

// Set implements pflag.Value.
func (n *Number) Set(text string) error {
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 || value > maxNumber {
		return errNumber
	}
	*n = Number(value)
	return nil
}

// Type implements pflag.Value.
func (n *Number) Type() string { return "number" }

// Total returns the number of boards of a batch: count, or one for each bay. It refuses more
// than one board for a serial port, because nobody changes the board of an unattended batch.
func Total(bays []instance.BaySpec, count Number) (int, error) {
	if count == 0 {
		return len(bays), nil
	}
	for _, bay := range bays {
		if bay.Kind == nil && int(count) > len(bays) {
			return 0, fmt.Errorf("--count %d: %w", count, errOnePerPort)
		}
	}
	return int(count), nil
}
