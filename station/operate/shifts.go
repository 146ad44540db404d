package operate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Shifts are the local times of the day at which shifts begin, sorted. No times mean midnight.
// Shifts is the value of a flag.
type Shifts []time.Duration

var errShifts = errors.New("want times of the day such as 06:00,14:00,22:00, none of them twice")

// Set implements pflag.Value.
func (s *Shifts) Set(text string) error {
	var all Shifts
	for word := range strings.SplitSeq(text, ",") {
		at, err := time.Parse("15:04", word)
		if err != nil {
			return fmt.Errorf("%q: %w", word, errShifts)
		}
		all = append(all, time.Duration(at.Hour())*time.Hour+time.Duration(at.Minute())*time.Minute)
	}
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		return fmt.Errorf("%q: %w", text, errShifts)
	}
	*s = all
	return nil
}

// String implements pflag.Value.
func (s *Shifts) String() string {
	var words []string
	for _, at := range *s {
		words = append(words, fmt.Sprintf("%02d:%02d", at/time.Hour, at%time.Hour/time.Minute))
	}
	return strings.Join(words, ",")
}

// Type implements pflag.Value.
func (*Shifts) Type() string { return "times" }

// Began returns the begin of the shift that contains now, in the time zone of now.
func (s Shifts) Began(now time.Time) time.Time {
	times := s
	if len(times) == 0 {
		times = Shifts{0}
	}
	year, month, day := now.Date()
	for back := range 3 { // on a day without 02:30 (summer time begins) the shift begins at 03:30
		for _, at := range slices.Backward(times) {
			begun := time.Date(year, month, day-back, int(at/time.Hour), int(at%time.Hour/time.Minute), 0, 0, now.Location())
			if !begun.After(now) {
				return begun
			}
		}
	}
	return now
}
