package probe

import (
	"errors"
	"strings"
	"testing"
)

func TestSerialNumbersAreComparedAsIntegers(t *testing.T) {
	for _, test := range []struct {
		name, a, b string
		same       bool
	}{
		{"leading zeros", "683806234", " 000683806234\n", true},
		{"other digits", "683806234", "683806235", false},
		{"more digits than an integer has", "066700000000000000000001", "66700000000000000000001", true},
		{"letters in another case", "066DFF3031454D", "066dff3031454d", true},
		{"leading zeros before letters", "066DFF", "66DFF", false},
		{"nothing but zeros", "000", "0", true},
	} {
		a, errA := ParseSerial(test.a)
		b, errB := ParseSerial(test.b)
		if errA != nil || errB != nil || a.Is(b) != test.same || b.Is(a) != test.same {
			t.Errorf("%s: %q and %q, %v, %v", test.name, a, b, errA, errB)
		}
	}
	for _, text := range []string{"", " ", "-1", "12 34", "12}", "$x", "[exit]", "12;", "\x00", strings.Repeat("1", 65)} {
		if _, err := ParseSerial(text); !errors.Is(err, ErrBadSerial) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestASelectionIsNoPartOfACommand(t *testing.T) {
	for _, good := range []Selection{{}, {Serial: "5"}, {Serial: "066DFF", Location: "1-2.3"}, {Location: "/dev/serial/by-id/usb-1366_0-if00"}} {
		if err := good.Check(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []Selection{{Serial: "5;"}, {Location: "1-2}"}, {Location: "-x"}, {Location: "a b"}} {
		if err := bad.Check(); !errors.Is(err, ErrBadSerial) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestTheProbeThatAnswersIsTheOneAskedFor(t *testing.T) {
	for _, test := range []struct {
		name            string
		asked, answered Serial
		want            error
	}{
		{"the same", "5", "05", nil},
		{"another", "5", "6", ErrWrongSerial},
		{"any will do", "", "6", nil},
	} {
		if err := (Selection{Serial: test.asked}).MustBe(test.answered); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}

func TestABoardNeedsASupply(t *testing.T) {
	for millivolts, want := range map[int]error{0: ErrVoltage, 999: ErrVoltage, 1000: nil, 3300: nil, VoltageUnknown: nil} {
		if err := Powered(millivolts); !errors.Is(err, want) {
			t.Errorf("%d mV: got %v", millivolts, err)
		}
	}
}

func TestTheChipIsComparedWithItsDefinition(t *testing.T) {
	part := Part{Address: 0x10000100, Value: 0x52840}
	masked := Part{Address: 0xe0042000, Mask: 0xfff, Value: 0x482}
	for _, test := range []struct {
		name string
		part Part
		word uint32
		want error
	}{
		{"the chip", part, 0x52840, nil},
		{"another chip", part, 0x52833, ErrWrongTarget},
		{"another revision of the chip", masked, 0x1001_0482, nil},
		{"another chip below a mask", masked, 0x1001_0483, ErrWrongTarget},
		{"no chip is configured", Part{}, 1, nil},
	} {
		if err := test.part.Check(test.word); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}

func TestAnIncompleteFlashKeepsItsCause(t *testing.T) {
	if Incomplete(nil) != nil {
		t.Error("nil became an error")
	}
	if err := Incomplete(ErrLost); !errors.Is(err, ErrLost) || !errors.Is(err, ErrNeedsFlash) {
		t.Errorf("got %v", err)
	}
}
