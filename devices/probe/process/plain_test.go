package process

import "testing"

func TestATextIsSearchedAsATerminalShowsIt(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"done\n", "done\n"},
		{"a\tb\r\nc", "a\tb\nc"},
		{"50 %\rError: no\n", "50 %\nError: no\n"},
		{"\x1b[31mError:\x1b[0m no", "Error: no"},
		{"Er\x1b[1mror", "Error"},
		{"Er\u009b1mror", "Error"},
		{"\x1b]0;title\x07Error", "Error"},
		{"\x1b]8;;http://x\x1b\\Error", "Error"},
		{"\x1b(BError\x1b7", "Error"},
		{"Er\x00\x08ror", "Error"},
		{"\x1b]no end\nError", "\nError"},
		{"\u2588 50 %\n", "\u2588 50 %\n"},
	} {
		if got := plain(test.text); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}
