package operate

import (
	"errors"
	"testing"
	"time"

	"hallmark/fixtures/prerequisite"
)

func TestAShiftBeganAtTheLastOfItsTimes(t *testing.T) {
	for _, row := range []struct{ name, shifts, now, began string }{
		{"three shifts, in the morning", "06:00,14:00,22:00", "2026-11-22T13:59:59Z", "2026-11-22T06:00:00Z"},
		{"at the very time", "06:00,14:00,22:00", "2026-11-22T14:00:00Z", "2026-11-22T14:00:00Z"},
		{"a night shift began yesterday", "06:00,14:00,22:00", "2026-11-22T03:00:00Z", "2026-11-21T22:00:00Z"},
		{"in any order", "22:00,06:00", "2026-11-22T07:00:00Z", "2026-11-22T06:00:00Z"},
		{"none: the day", "", "2026-11-22T03:00:00Z", "2026-11-22T00:00:00Z"},
		{"over the end of a month", "22:30", "2026-12-01T01:00:00Z", "2026-11-30T22:30:00Z"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var s Shifts
			if row.shifts != "" {
				if err := s.Set(row.shifts); err != nil {
					t.Fatal(err)
				}
			}
			now, err := time.Parse(time.RFC3339, row.now)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Began(now).Format(time.RFC3339); got != row.began {
				t.Errorf("began %s, want %s", got, row.began)
			}
		})
	}
}

func TestAShiftFollowsSummerTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		prerequisite.Missing(t, "the time zone Europe/Berlin", "install the package tzdata")
	}
	s := Shifts{2*time.Hour + 30*time.Minute} // on 29 March 2026 there is no 02:30
	if got := s.Began(time.Date(2026, 3, 29, 12, 0, 0, 0, berlin)); got.Day() != 29 {
		t.Errorf("began %v", got)
	}
}

func TestWrongTimesOfShiftsAreRefused(t *testing.T) {
	for _, text := range []string{"", "6", "24:00", "06:00,06:00", "06:00;14:00", "morning"} {
		var s Shifts
		if err := s.Set(text); !errors.Is(err, errShifts) {
			t.Errorf("%q gives %v", text, err)
		}
	}
	var s Shifts
	if err := s.Set("14:00,06:00"); err != nil || s.String() != "06:00,14:00" {
		t.Errorf("%q, %v", s.String(), err)
	}
}
