package ui

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hallmark/fixtures/pty"
	"hallmark/ui/catalogue"
)

// A serial console does not answer. A program that asks the terminal at its start has to wait, and loses the text that is
// typed or scanned meanwhile.
func TestNothingIsAskedOfATerminalThatDoesNotAnswer(t *testing.T) {
	if os.Getenv("UI_TEST_CHILD") != "" {
		t.Log("TERM is " + os.Getenv("TERM"))
		return
	}
	terminal := newTerminal(t, 80, 24)
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.run", t.Name()+"$", "-test.v")
	program.Env = append(os.Environ(), "UI_TEST_CHILD=1", "TERM=xterm-256color", "CI=")
	program.Stdin, program.Stdout, program.Stderr, program.SysProcAttr = terminal.Program, terminal.Program, terminal.Program, pty.Attributes()
	if err := program.Run(); err != nil {
		t.Fatal(err)
	}
	terminal.waitFor("TERM is xterm-256color")
	if written := terminal.Seen(0); strings.Contains(written, "\x1b") {
		t.Errorf("the program asked the terminal: %q", written)
	}
}

// What a terminal would answer: the state of a mode (DECRQM), its kind (DA, XTVERSION), where the cursor is (DSR),
// its colours (OSC 4, 10 to 19), its keyboard (CSI ? u), its capabilities (XTGETTCAP); and what changes the octets
// of keys (modifyOtherKeys, the stack of kitty).
const questions = "\x1b\\[\\??[0-9;]*\\$p|\x1b\\[[>=]?[0-9]*[cq]|\x1b\\[\\??[56]n|\x1b\\](4|1[0-9]);[^\a\x1b]*\\?|" +
	"\x1b\\[[?<>=][0-9;]*u|\x1bP\\+q|\x1b\\[>[0-9;]*m"

// An answer that comes late or in two parts would be taken for keys, and at the start for a part of the PIN.
func TestTheScreenAsksTheTerminalNothing(t *testing.T) {
	for _, kind := range []string{"xterm-256color", "xterm-kitty", "alacritty", "vt220", "linux", "tmux-256color"} {
		t.Run(kind, func(t *testing.T) {
			t.Setenv("TERM", kind)
			t.Setenv("SSH_TTY", "") // gives it back at the end
			if err := os.Unsetenv("SSH_TTY"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			term, _, over := onTerminal(t, ctx, newFakeStation())
			term.waitFor("The bench is ready.")
			cancel()
			if err := <-over; err != nil {
				t.Fatal(err)
			}
			restored(t, term)
			if asked := regexp.MustCompile(questions).FindAllString(term.Seen(0), -1); asked != nil {
				t.Errorf("the screen wrote %q", asked)
			}
		})
	}
}

// bubbletea writes everything that is typed, and so a PIN, into the file that TEA_TRACE names.
func TestNoKeyIsWrittenToAFile(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	t.Setenv("TEA_TRACE", trace)
	ctx, cancel := context.WithCancel(t.Context())
	term, _, over := onTerminal(t, ctx, newFakeStation())
	term.waitFor("The bench is ready.")
	term.typeText("?")
	term.waitFor("Any key closes this")
	cancel()
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(trace); err == nil {
		t.Errorf("a trace was written, %d octets of it", len(text))
	}
}

func TestAnswersThatNobodyAskedForAreNoKeysAndChangeNothing(t *testing.T) {
	s := newFakeStation()
	term := newTerminal(t, 100, 30)
	o := options(t, s, 8, "en")
	o.Out, o.Opener = term.Program, s
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- Run(ctx, o, term.Program) }()
	term.waitFor("Type the PIN")
	// DECRPM, CSI ? u, DA1, CPR, OSC 11, a size of 10 by 5 (mode 2048).
	term.typeText("12\x1b[?2026;2$y\x1b[?2027;2$y\x1b[?0u\x1b[?62;22c\x1b[1;1R\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[48;5;10;0;0t34")
	term.typeText(goKey)
	term.waitFor("The bench is ready.")
	if got := strings.Join(s.pins, "; "); got != "1234" {
		t.Errorf("the PIN was taken for %q", got)
	}
	cancel()
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	restored(t, term)
	if written := term.Seen(0); strings.Contains(written, "\x1b[?2026h") || strings.Contains(written, "\x1b[?2027h") {
		t.Error("an answer that was typed changed how the screen is drawn")
	}
}

// Each view fits each kind of terminal, shows only characters that its font has, and sends colours only to a terminal that has them.
func TestEachViewOnEachKindOfTerminal(t *testing.T) {
	console := " ▀▄█─│┌┐└┘═║╔╗╚╝░" // beside ISO 8859-1
	sgr := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for _, terminal := range []struct {
		kind, locale string
		colours      bool
		can          func(r rune) bool
	}{
		{"linux", "C.UTF-8", true, func(r rune) bool { return r <= 0xff || strings.ContainsRune(console, r) }},
		{"vt100", "C", false, func(r rune) bool { return r <= 0x7e }},
		{"vt220", "C", false, func(r rune) bool { return r <= 0x7e }},
		{"screen", "C.UTF-8", true, func(r rune) bool { return true }},
		{"xterm-256color", "C", true, func(r rune) bool { return r <= 0x7e }},
	} {
		getenv := func(name string) string {
			return map[string]string{"TERM": terminal.kind, "LC_ALL": terminal.locale}[name]
		}
		for _, language := range catalogue.Languages() {
			for _, size := range [][2]int{{40, 10}, {60, 16}, {80, 24}, {120, 40}, {200, 50}} {
				s := newFakeStation()
				o := options(t, s, 32, language)
				d := open(t, s, o, size[0], size[1])
				scheme := SchemeNone
				if hasColours(getenv) {
					scheme = SchemeDark
				}
				d.theme = newTheme(scheme, charactersOf(!UTF8Locale(getenv), terminal.kind))
				d.screen, d.checks.done, d.operator = screenDashboard, true, s.badges["OP-17"]
				for _, e := range mixed(32) {
					d.send(EventMsg{e})
				}
				for _, key := range []string{"", "h", "esc", "n", "esc", "l", "esc", "d", "esc", "enter", "esc", "?", "esc", ":", "esc", "o", "esc", "q", "esc"} {
					d.key(key)
					screen := d.View()
					text := sgr.ReplaceAllString(screen, "")
					fits(t, text, size[0], size[1])
					if scheme == SchemeNone && text != screen || terminal.colours != (scheme != SchemeNone) {
						t.Fatalf("%s: colours %q after %q", terminal.kind, scheme, key)
					}
					for _, r := range text {
						if r != '\n' && !terminal.can(r) {
							t.Fatalf("%s, %s, %v: after %q the screen has %q:\n%s", terminal.kind, language, size, key, r, text)
						}
					}
				}
			}
		}
	}
}
