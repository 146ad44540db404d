package serial

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A cable is a symbolic link to a port, as udev makes it: the link stays, the port behind it changes.
type cable struct {
	t    *testing.T
	link string
}

// plug makes a new port, and moves the link to it.
func (c cable) plug() (board *os.File) {
	c.t.Helper()
	board, name := pty(c.t)
	if err := os.Remove(c.link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.t.Fatal(err)
	}
	if err := os.Symlink(name, c.link); err != nil {
		c.t.Fatal(err)
	}
	return board
}

// pull takes the port away. The link goes with it.
func (c cable) pull(board *os.File) {
	c.t.Helper()
	if err := errors.Join(os.Remove(c.link), board.Close()); err != nil {
		c.t.Fatal(err)
	}
}

func stable(t *testing.T, change func(*StableConfig)) (cable, *os.File, *Stable) {
	t.Helper()
	c := cable{t, filepath.Join(t.TempDir(), "by-path")}
	board := c.plug()
	config := StableConfig{Config: Config{Name: c.link, LockDir: t.TempDir()}}
	if change != nil {
		change(&config)
	}
	port, err := OpenStable(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Close() })
	return c, board, port
}

// says sends a text from one end to the other.
func says(t *testing.T, from io.Writer, to io.Reader, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		t.Fatalf("%q, %v; want %q", got, err, text)
	}
}

// received reads in a goroutine, as the client of a board does.
func received(port io.Reader) (<-chan byte, <-chan error) {
	octets, ended := make(chan byte, 100), make(chan error, 1)
	go func() {
		one := make([]byte, 1)
		for {
			if _, err := port.Read(one); err != nil {
				ended <- err
				return
			}
			octets <- one[0]
		}
	}()
	return octets, ended
}

func TestAPortThatComesBackAsAnotherTTYIsTheSamePort(t *testing.T) {
	c, board, port := stable(t, nil)
	says(t, port, board, "before")
	octets, _ := received(port)
	for range 3 {
		port.ExpectRestart(time.Minute)
		c.pull(board)
		board = c.plug()
		says(t, port, board, "hello") // a Write waits for the port
		if _, err := board.Write([]byte{'!'}); err != nil {
			t.Fatal(err)
		}
		if got := <-octets; got != '!' {
			t.Errorf("got %q", got)
		}
	}
	if port.Name() != c.link {
		t.Errorf("name %q", port.Name())
	}
}

func TestAPortThatIsPulledWithoutARestartIsUnplugged(t *testing.T) {
	for _, test := range []struct {
		name   string
		expect func(*Stable)
	}{
		{"nothing was said of a restart", func(*Stable) {}},
		{"the restart is over", func(s *Stable) { s.ExpectRestart(time.Minute); s.ExpectRestart(0) }},
		{"the port does not come back in time", func(s *Stable) { s.ExpectRestart(50 * time.Millisecond) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, board, port := stable(t, nil)
			_, ended := received(port)
			test.expect(port)
			c.pull(board)
			if err := <-ended; !errors.Is(err, ErrUnplugged) {
				t.Errorf("read: %v, want %v", err, ErrUnplugged)
			}
			if _, err := port.Write([]byte("x")); err == nil {
				t.Error("a write to a port that is away is no error")
			}
			if err := port.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What ended a port is a part of the error, such as the words of a server.
func TestAnUnpluggedPortSaysWhatEndedIt(t *testing.T) {
	why := errors.New("the server closed the connection")
	port, err := OpenStable(StableConfig{Config: Config{Name: "tcp://bench:1"}, Open: func(Config) (AnyPort, error) { return ended{why}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := port.Read(make([]byte, 1)); !errors.Is(err, ErrUnplugged) || !errors.Is(err, why) {
		t.Errorf("%v, want %v", err, why)
	}
}

// ended is a port that is gone.
type ended struct{ why error }

func (e ended) Read([]byte) (int, error)        { return 0, fmt.Errorf("%w: %w", ErrUnplugged, e.why) }
func (e ended) Write([]byte) (int, error)       { return 0, ErrUnplugged }
func (e ended) SetReadDeadline(time.Time) error { return nil }
func (e ended) InUse() error                    { return nil }
func (e ended) Close() error                    { return nil }

// A port that came back and cannot be opened says why, and not only that it is gone. A port that is absent was unplugged.
func TestAPortThatCannotBeOpenedAgainSaysWhy(t *testing.T) {
	absent := errors.New("nothing is plugged in here")
	for _, test := range []struct{ again, want error }{
		{&InUseError{User{"ModemManager", 812}}, ErrBusy},
		{&DeniedError{Group: "dialout", User: "op"}, ErrDenied},
		{fmt.Errorf("opening: %w", fs.ErrNotExist), ErrUnplugged},
		{absent, ErrUnplugged},
	} {
		opened := 0
		port, err := OpenStable(StableConfig{Config: Config{Name: "tty"}, Open: func(Config) (AnyPort, error) {
			if opened++; opened == 1 {
				return ended{errors.New("pulled")}, nil
			}
			return nil, test.again
		}})
		if err != nil {
			t.Fatal(err)
		}
		port.ExpectRestart(100 * time.Millisecond)
		if _, err := port.Read(make([]byte, 1)); !errors.Is(err, test.want) || !errors.Is(err, ErrUnplugged) {
			t.Errorf("%v, want %v", err, test.want)
		}
	}
}

// A port that ends at once after each open, such as one behind a server that restarts, is not opened in a storm.
func TestAPortThatEndsAtOnceIsOpenedWithPauses(t *testing.T) {
	opened := 0
	port, err := OpenStable(StableConfig{Config: Config{Name: "tcp://bench:1"}, Open: func(Config) (AnyPort, error) {
		opened++
		return ended{errors.New("the server closed the connection")}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	port.ExpectRestart(300 * time.Millisecond)
	if _, err := port.Read(make([]byte, 1)); !errors.Is(err, ErrUnplugged) {
		t.Errorf("%v, want %v", err, ErrUnplugged)
	}
	if most := 1 + int(300*time.Millisecond/reopenPause) + 1; opened > most {
		t.Errorf("opened %d times, want at most %d", opened, most)
	}
}

func TestWhatIsWrittenWhileThePortIsAwayIsLost(t *testing.T) {
	c, board, port := stable(t, nil)
	octets, _ := received(port)
	port.ExpectRestart(time.Minute)
	c.pull(board)
	if n, err := port.Write([]byte("lost")); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	_, back := port.now()
	board = c.plug()
	<-back
	if _, err := board.Write([]byte{'!'}); err != nil || <-octets != '!' {
		t.Fatal(err)
	}
	says(t, port, board, "new")
}

func TestCloseEndsTheWaitForAPort(t *testing.T) {
	c, board, port := stable(t, nil)
	_, ended := received(port)
	port.ExpectRestart(time.Minute)
	c.pull(board)
	written := make(chan error, 1)
	go func() {
		for {
			if _, err := port.Write([]byte("x")); err != nil {
				written <- err
				return
			}
		}
	}()
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	for what, end := range map[string]<-chan error{"read": ended, "write": written} {
		if err := <-end; !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v, want %v", what, err, os.ErrClosed)
		}
	}
	if err := port.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
}

func TestADeadlineHoldsWhileThePortIsAway(t *testing.T) {
	c, board, port := stable(t, nil)
	port.ExpectRestart(time.Minute)
	c.pull(board)
	for range 2 {
		if err := port.SetReadDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := port.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want %v", err, os.ErrDeadlineExceeded)
		}
	}
	board = c.plug()
	if _, err := board.Write([]byte{'!'}); err != nil {
		t.Fatal(err)
	}
	if err := port.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 1)
	if _, err := port.Read(one); err != nil || one[0] != '!' {
		t.Errorf("%q, %v", one, err)
	}
}

func TestAPortIsFoundAgainByAFunction(t *testing.T) {
	var found string
	board, name := pty(t)
	found = name
	port, err := OpenStable(StableConfig{Config: Config{Name: "bay 1", LockDir: t.TempDir()}, Find: func() (string, error) { return found, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	says(t, port, board, "hello")

	away := errors.New("nothing is plugged in")
	if _, err := OpenStable(StableConfig{Config: Config{Name: "bay 2"}, Find: func() (string, error) { return "", away }}); !errors.Is(err, away) {
		t.Errorf("%v, want %v", err, away)
	}
}

func TestNothingIsWrittenBeforeTheSettleTime(t *testing.T) {
	const pause = 100 * time.Millisecond
	_, board, port := stable(t, func(c *StableConfig) { c.Settle = pause })
	began := time.Now()
	says(t, port, board, "hello")
	if took := time.Since(began); took < pause/2 {
		t.Errorf("written after %v", took)
	}
}
