package probe

import (
	"errors"
	"testing"
)

func TestSerialNumbersAreIntegers(t *testing.T) {
	for _, text := range []string{"683806234", "000683806234", " 683806234\n"} {
		if serial, err := ParseSerial(text); err != nil || serial != 683806234 || serial.String() != "683806234" {
			t.Errorf("%q: %v, %v", text, serial, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "12a", "0x10", "99999999999999999999"} {
		if _, err := ParseSerial(text); !errors.Is(err, ErrBadSerial) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestTheProbeThatAnswersIsTheOneAskedFor(t *testing.T) {
	for _, test := range []struct {
		name            string
		asked, answered Serial
		want            error
	}{
		{"the same", 5, 5, nil},
		{"another", 5, 6, ErrWrongSerial},
		{"any will do", 0, 6, nil},
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
