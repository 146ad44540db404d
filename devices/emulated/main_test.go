package emulated

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The test binary is also the process of a posix board that echoes its input, and a
// station that a test kills.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 2 && os.Args[1] == "-fuses":
		echoBoard()
	case len(os.Args) > 2 && os.Args[1] == "station":
		doomedStation(os.Args[2])
	default:
		os.Exit(m.Run())
	}
}

// echoBoard sends "up", answers each line with the same line, and ends at "die".
func echoBoard() {
	line := os.NewFile(3, "line")
	fmt.Fprintln(os.Stderr, "echo board is up")
	fmt.Fprintln(line, "up")
	in := bufio.NewScanner(line)
	for in.Scan() {
		if in.Text() == "die" {
			fmt.Fprintln(os.Stderr, "last words")
			os.Exit(7)
		}
		fmt.Fprintln(line, in.Text())
	}
}

// doomedStation starts a board, prints its process id, and waits until it is killed.
func doomedStation(dir string) {
	b, err := Start(context.Background(), echoConfig(dir))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(b.PID())
	select {}
}

func echoConfig(dir string) Config {
	return Config{Kind: Posix, Image: os.Args[0], Dir: dir}
}

// start returns a running board and closes it when the test ends.
func start(t *testing.T, cfg Config) *Board {
	t.Helper()
	b, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// expect reads one line of text from the board.
func expect(t *testing.T, r *bufio.Reader, b *Board, want string) {
	t.Helper()
	if err := b.Transport().SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got, err := r.ReadString('\n')
	if err != nil || got != want {
		t.Fatalf("the board said %q, %v; want %q (stderr: %s)", got, err, want, b.Stderr())
	}
}

func send(t *testing.T, b *Board, text string) {
	t.Helper()
	if _, err := io.WriteString(b.Transport(), text); err != nil {
		t.Fatal(err)
	}
}

// image returns the path of a built firmware. Without it the test is skipped.
func image(t *testing.T, kind Kind, machine string) string {
	t.Helper()
	path := filepath.Join("..", "firmware", "build", ImageName(kind, machine))
	if _, err := os.Stat(path); err != nil {
		missing(t, "no firmware: run `make firmware` (%v)", err)
	}
	return path
}

// missing skips the test; with CI=true the test fails instead.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
