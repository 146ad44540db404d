package instance

import (
	"errors"
	"strings"
	"testing"
)

func TestBaysOfBoardsFlag(t *testing.T) {
	for _, c := range []struct {
		name, text string
		bays       string
	}{
		{"one kind", "qemu:2", "qemu-1 qemu-2"},
		{"several kinds and a port", "posix:1,qemu-an521:1,/dev/ttyACM0", "posix-1 qemu-an521-1 /dev/ttyACM0"},
		{"ports that other machines serve", "tcp://bench:4001,rfc2217://[::1]:4002", "tcp://bench:4001 rfc2217://[::1]:4002"},
		{"a remote port in two spellings is one port", "tcp://bench:4001,tcp://Bench:4001", ""},
		{"a remote port without a number", "tcp://bench", ""},
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
			bays, err := ParseBays(c.text)
			if (err != nil) != (c.bays == "") {
				t.Fatalf("got %v, %v", bays, err)
			}
			if got := strings.Join(BayNames(bays), " "); err == nil && got != c.bays {
				t.Errorf("bays %s, want %s", got, c.bays)
			}
		})
	}
}

func TestAMistakeInBoardsHasATextOfItsOwn(t *testing.T) {
	for _, c := range []struct {
		text string
		want error
	}{
		{"qemu:1,", errEmptyName}, {"/dev/ttyACM0, /dev/ttyACM1", errBlank}, {" /dev/ttyACM0", errBlank}, {"@ports.txt", errListFile},
		{"/dev/ttyACM*", errGlob}, {"/dev/ttyACM[01]", errGlob}, {"/dev/ttyACM{0,1}", errGlob}, {"ttyACM0", errNoDev}, {"dev/ttyACM0", errNoDev},
		{"serial/by-path/x", errNoDev}, {"zephyr:1", ErrBoards},
	} {
		if _, err := ParseBays(c.text); !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.text, err, c.want)
		}
	}
}

// FuzzBays checks that an accepted text names between 1 and maxBays bays, and that the
// directory of each bay lies in the station directory.
func FuzzBays(f *testing.F) {
	f.Add("qemu:8,posix:2,/dev/ttyACM0")
	f.Add("posix:00512")
	f.Fuzz(func(t *testing.T, text string) {
		bays, err := ParseBays(text)
		if err != nil {
			return
		}
		if len(bays) == 0 || len(bays) > maxBays {
			t.Errorf("%d bays", len(bays))
		}
		for _, p := range bays {
			if p.Kind != nil && strings.ContainsAny(p.Name, "/\\") || p.Kind == nil && p.Port[0] != '/' {
				t.Errorf("bay %q", p.Name)
			}
		}
	})
}

// The refusal of BOARD does not speak of the flag --boards, which nobody has given.
func TestARefusalOfOneBoardNamesNoFlag(t *testing.T) {
	for name, want := range map[string]error{"x": errOneBoard, "": errOneBoard, "ttyACM0": errNoDev, "posix:513": errTooManyBays, "a b": errBlank} {
		_, err := OneBoard(name)
		if !errors.Is(err, want) || strings.Contains(err.Error(), "--boards") || !strings.Contains(err.Error(), "BOARD ") {
			t.Errorf("%q: got %v, want %v", name, err, want)
		}
	}
}
