package remote_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"hallmark/devices/serial"
	"hallmark/devices/serial/remote"
	"hallmark/fixtures"
)

func TestAnAddressHasHostAndPort(t *testing.T) {
	for text, want := range map[string]string{
		"tcp://bench:4001":      "tcp://bench:4001",
		"rfc2217://Bench-1:1":   "rfc2217://bench-1:1",
		"tcp://[::1]:65535":     "tcp://[::1]:65535",
		"tcp://127.0.0.1:4001":  "tcp://127.0.0.1:4001",
		"tcp://bench":           "no host, or no port",
		"tcp://:4001":           "no host, or no port",
		"tcp://bench:0":         "no host, or no port",
		"tcp://bench:65536":     "no host, or no port",
		"tcp://bench:40o1":      "want tcp://HOST:PORT",
		"telnet://bench:4001":   "want tcp://HOST:PORT",
		"://bench:4001":         "want tcp://HOST:PORT",
		"tcp://u:p@bench:4001":  "more than host and port",
		"tcp://bench:4001/":     "more than host and port",
		"tcp://bench:4001?baud": "more than host and port",
		"tcp://bench:4001#1":    "more than host and port",
	} {
		address, err := remote.Parse(text)
		if err != nil && (!errors.Is(err, remote.ErrAddress) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if err == nil && address.String() != want {
			t.Errorf("%s: %v, want %q", text, address, want)
		}
	}
}

// script is a server that writes what a test wants, and keeps what it gets.
func script(t *testing.T, say string, then func(net.Conn)) remote.Address {
	t.Helper()
	listener := fixtures.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	done := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-done })
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, say)
		then(conn)
	}()
	return fixtures.Must(remote.Parse("tcp://" + listener.Addr().String()))(t)
}

func untilClosed(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func TestAServerThatEndsTheConnectionIsNamed(t *testing.T) {
	for _, row := range []struct {
		say  string
		want error
		text string
	}{
		{"", serial.ErrUnplugged, "the server closed the connection"},
		{"Port already in use\r\n", serial.ErrBusy, `the server says "Port already in use"`},
		{"The device is in use by 192.0.2.7\r\n", serial.ErrBusy, "192.0.2.7"},
		{"[boot] 12 KiB of memory in use\r\n", serial.ErrUnplugged, "the server closed the connection"}, // the board says so
		{"port 1: 3 pins\r\nin use\r\n", serial.ErrUnplugged, "the server closed the connection"},
	} {
		port := fixtures.Must(remote.Open(remote.Config{Address: script(t, row.say, func(net.Conn) {})}))(t)
		_, err := io.ReadAll(port)
		if !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.text) {
			t.Errorf("%q: %v, want %v", row.say, err, row.want)
		}
		if err := port.Close(); err != nil {
			t.Error(err)
		}
		if err := port.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
	}
}

func TestAServerThatIsNotThereIsUnreachable(t *testing.T) {
	listener := fixtures.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	address := fixtures.Must(remote.Parse("tcp://" + listener.Addr().String()))(t)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Open(remote.Config{Address: address}); !errors.Is(err, remote.ErrUnreachable) || !strings.Contains(err.Error(), address.String()) {
		t.Errorf("%v, want %v", err, remote.ErrUnreachable)
	}
}

func TestAReadEndsAtItsDeadlineAndAtClose(t *testing.T) {
	port := fixtures.Must(remote.Open(remote.Config{Address: script(t, "", untilClosed)}))(t)
	if err := port.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := port.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, want %v", err, os.ErrDeadlineExceeded)
	}
	if err := port.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := port.Read(make([]byte, 1))
		read <- err
	}()
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, os.ErrClosed) {
		t.Errorf("a read at Close: %v, want %v", err, os.ErrClosed)
	}
	if _, err := port.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a write after Close: %v, want %v", err, os.ErrClosed)
	}
}

// telnet gives the address of a server the other scheme.
func telnet(address remote.Address) remote.Address {
	address.Telnet = true
	return address
}

const (
	dontComPort = "\xff\xfe\x2c"
	doComPort   = "\xff\xfd\x2c"
	wontBinary  = "\xff\xfc\x00"
	confirmed   = "\xff\xfa\x2c\x65\x00\x01\xc2\x00\xff\xf0\xff\xfa\x2c\x66\x08\xff\xf0\xff\xfa\x2c\x67\x01\xff\xf0\xff\xfa\x2c\x68\x01\xff\xf0"
)

func TestAServerThatDoesNotSetThePortIsRefused(t *testing.T) {
	for say, want := range map[string]error{
		dontComPort:            remote.ErrNoComPort,
		doComPort + wontBinary: remote.ErrNotBinary,
		strings.Replace(confirmed, "\x00\x01\xc2\x00", "\x00\x00\x25\x80", 1): remote.ErrSettings, // 9600 baud
		strings.Replace(confirmed, "\x66\x08", "\x66\x07", 1):                 remote.ErrSettings,
		"Port already in use\r\n":                                             serial.ErrBusy,
		strings.Repeat("x", 1<<20):                                            remote.ErrUnfit,
		"":                                                                    remote.ErrUnreachable,
	} {
		_, err := remote.Open(remote.Config{Address: telnet(script(t, say, func(net.Conn) {}))})
		if !errors.Is(err, want) || errors.Is(err, serial.ErrUnplugged) {
			t.Errorf("% x: %v, want %v", say[:min(len(say), 40)], err, want)
		}
	}
	address := telnet(script(t, "a raw port", untilClosed))
	if _, err := remote.Open(remote.Config{Address: address}); !errors.Is(err, remote.ErrUnreachable) || !strings.Contains(err.Error(), "tcp://") {
		t.Errorf("a raw port: %v, want %v", err, remote.ErrUnreachable)
	}
}

// A port of Telnet that is named as a raw one gives octets that look like those of a wrong baud rate.
func TestATelnetServerThatIsNamedAsARawPortIsNamed(t *testing.T) {
	for say, want := range map[string]error{"\xff\xfd\x2c\xff\xfb\x00": remote.ErrUnfit, "\xff\x00\xf8": nil, "a board": nil} {
		port := fixtures.Must(remote.Open(remote.Config{Address: script(t, say, func(net.Conn) {})}))(t)
		_, _ = io.ReadAll(port) // ends with the connection
		if err := port.InUse(); !errors.Is(err, want) || want != nil && !strings.Contains(err.Error(), "rfc2217://") {
			t.Errorf("% x: %v, want %v", say, err, want)
		}
		if err := port.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestASettingThatTheServerDoesNotMakeIsNamed(t *testing.T) {
	for old, text := range map[string][2]string{"\x00\x01\xc2\x00": {"\x00\x00\x25\x80", "baud rate: asked for 115200, it sets 9600"}, "\x66\x08": {"\x66\x07", "data bits: asked for 8, it sets 7"},
		"\x67\x01": {"\x67\x03", "parity: asked for 1, it sets 3"}, "\x68\x01": {"\x68", "stop bits: asked for 1, it sets nothing"}} {
		_, err := remote.Open(remote.Config{Address: telnet(script(t, strings.Replace(confirmed, old, text[0], 1), func(net.Conn) {}))})
		if !errors.Is(err, remote.ErrSettings) || !strings.Contains(err.Error(), text[1]) {
			t.Errorf("%v, want %q", err, text[1])
		}
	}
}

// Octets of the board may stand before and between the server's commands, and one of them may be 255.
func TestTelnetPassesTheBoardsOctets(t *testing.T) {
	stream := "be" + doComPort + "fo" + confirmed + "re\xff\xf1\xff\xff\r\xff\xfb\x05\xff\xfa\x2c\x6b\xff\xff\xff\xf0!"
	got := make(chan string, 1)
	address := telnet(script(t, stream, func(conn net.Conn) {
		all, _ := io.ReadAll(conn)
		got <- string(all)
	}))
	port := fixtures.Must(remote.Open(remote.Config{Address: address, LowDTR: true, LowRTS: true}))(t)
	const want = "before\xff\r!"
	read := make([]byte, len(want))
	if _, err := io.ReadFull(port, read); err != nil || string(read) != want {
		t.Errorf("read %q: %v, want %q", read, err, want)
	}
	if n, err := port.Write([]byte("a\xffb")); n != 3 || err != nil {
		t.Errorf("wrote %d: %v", n, err)
	}
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	const (
		settings = "\xff\xfa\x2c\x01\x00\x01\xc2\x00\xff\xf0\xff\xfa\x2c\x02\x08\xff\xf0\xff\xfa\x2c\x03\x01\xff\xf0\xff\xfa\x2c\x04\x01\xff\xf0" +
			"\xff\xfa\x2c\x05\x01\xff\xf0\xff\xfa\x2c\x05\x09\xff\xf0\xff\xfa\x2c\x05\x0c\xff\xf0"
		dontStatus = "\xff\xfe\x05"
	)
	if sent := <-got; !strings.Contains(sent, settings) || !strings.Contains(sent, dontStatus) || !strings.HasSuffix(sent, "a\xff\xffb") {
		t.Errorf("sent % x", sent)
	}
}

// The server is Debian's ser2net.
func TestSer2netServesAPort(t *testing.T) {
	for how, scheme := range map[string]string{"tcp": "tcp://", "telnet(rfc2217),tcp": "rfc2217://"} {
		t.Run(scheme, func(t *testing.T) {
			echo := func(line io.ReadWriter) {
				buffer := make([]byte, 256)
				for {
					n, err := line.Read(buffer)
					if err != nil {
						return
					}
					if _, err := line.Write(buffer[:n]); err != nil {
						return
					}
				}
			}
			address := fixtures.Must(remote.Parse(scheme + fixtures.ServePort(t, fixtures.TalkerOnPort(t, echo), how)))(t)
			port := fixtures.Must(remote.Open(remote.Config{Address: address}))(t)
			all := make([]byte, 256)
			for i := range all {
				all[i] = byte(i)
			}
			if _, err := port.Write(all); err != nil {
				t.Fatal(err)
			}
			back := make([]byte, len(all))
			if err := port.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(port, back); err != nil || string(back) != string(all) {
				t.Errorf("% x came back: %v", back, err)
			}
			second, err := remote.Open(remote.Config{Address: address})
			if err == nil {
				_, err = io.ReadAll(second)
				_ = second.Close()
			}
			if !errors.Is(err, serial.ErrBusy) {
				t.Errorf("a second client: %v, want %v", err, serial.ErrBusy)
			}
			if err := port.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The server closes the connection when the port goes away with its board. The station connects again, as it opens a local port again.
func TestAPortThatGoesAwayInARestartIsOpenedAgain(t *testing.T) {
	listener := fixtures.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	done := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-done })
	go func() {
		defer close(done)
		for _, say := range []string{"", "back"} {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, _ = io.WriteString(conn, say); say != "" {
				untilClosed(conn)
			}
			_ = conn.Close()
		}
	}()
	stable := fixtures.Must(serial.OpenStable(serial.StableConfig{
		Config: serial.Config{Name: "tcp://" + listener.Addr().String()},
		Open: func(c serial.Config) (serial.AnyPort, error) {
			port, err := remote.Open(remote.Config{Address: fixtures.Must(remote.Parse(c.Name))(t)})
			if err != nil {
				return nil, err
			}
			return port, nil
		},
	}))(t)
	stable.ExpectRestart(time.Minute)
	read := make([]byte, 4)
	if _, err := io.ReadFull(stable, read); err != nil || string(read) != "back" {
		t.Errorf("%q: %v", read, err)
	}
	if err := stable.Close(); err != nil {
		t.Error(err)
	}
}
