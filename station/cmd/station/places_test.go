package main

import (
	"errors"
	"strings"
	"testing"

	"hallmark/station"
)

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		name, text string
		bays       string
	}{
		{"one kind", "qemu:2", "qemu-1 qemu-2"},
		{"several kinds and a port", "posix:1,qemu-an521:1,/dev/ttyACM0", "posix-1 qemu-an521-1 /dev/ttyACM0"},
		{"a port in two spellings is one port", "/dev/ttyACM0,/dev//ttyACM0", ""},
		{"nothing", "", ""},
		{"no number", "qemu", ""},
		{"number zero", "qemu:0", ""},
		{"negative", "qemu:-1", ""},
		{"too many in one word", "posix:513", ""},
		{"too many together", "posix:512,qemu:1", ""},
		{"Zephyr on an emulated machine", "qemu-zephyr:1", "qemu-zephyr-1"},
		{"unknown kind", "zephyr:1", ""},
		{"a relative port", "ttyACM0", ""},
		{"kind twice", "qemu:1,qemu:2", ""},
		{"an empty word", "qemu:1,", ""},
		{"spaces", "qemu: 1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			places, err := parsePlaces(c.text)
			if (err != nil) != (c.bays == "") {
				t.Fatalf("got %v, %v", places, err)
			}
			var bays []string
			for _, p := range places {
				bays = append(bays, p.bay)
			}
			if err == nil && strings.Join(bays, " ") != c.bays {
				t.Errorf("bays %v, want %s", bays, c.bays)
			}
		})
	}
}

// FuzzPlaces: what is accepted names between 1 and maxBays bays, no two alike,
// and no bay's directory lies outside of the state directory.
func FuzzPlaces(f *testing.F) {
	f.Add("qemu:8,posix:2,/dev/ttyACM0")
	f.Add("posix:00512")
	f.Fuzz(func(t *testing.T, text string) {
		places, err := parsePlaces(text)
		if err != nil {
			return
		}
		if len(places) == 0 || len(places) > maxBays {
			t.Errorf("%d bays", len(places))
		}
		for _, p := range places {
			if p.model != nil && strings.ContainsAny(p.bay, "/\\") || p.model == nil && p.port[0] != '/' {
				t.Errorf("bay %q", p.bay)
			}
		}
	})
}

func TestWorstEndingDecidesTheExitCode(t *testing.T) {
	trouble := errors.New("x")
	for _, c := range []struct {
		name           string
		endings        string
		short, trouble error
		want           int
	}{
		{"all pass", "pass pass", nil, nil, exitPass},
		{"no Run at all", "", nil, nil, exitPass},
		{"one fault", "pass fault reject aborted", nil, nil, exitFault},
		{"a reject before an abort", "reject aborted pass", nil, nil, exitReject},
		{"an abort", "aborted pass", nil, nil, exitAborted},
		{"fewer Runs than asked for", "pass", trouble, nil, exitAborted},
		{"fewer Runs because a clone stopped the bay", "reject", trouble, nil, exitReject},
		{"a report that cannot be written", "pass", nil, trouble, exitFault},
	} {
		t.Run(c.name, func(t *testing.T) {
			var runs []*station.Run
			for ending := range strings.FieldsSeq(c.endings) {
				runs = append(runs, &station.Run{Ending: station.Ending(ending)})
			}
			if got := codeOf(conclude(runs, c.short, c.trouble)); got != c.want {
				t.Errorf("exit code %d, want %d", got, c.want)
			}
		})
	}
}

func TestHelpNamesEveryExitCode(t *testing.T) {
	for _, want := range []string{"0  all", "1  Fault", "2  Reject", "3  usage", "4  Aborted", "1, 2, 4"} {
		if !strings.Contains(exitHelp, want) {
			t.Errorf("help does not say %q", want)
		}
	}
}
