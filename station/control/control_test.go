package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hallmark/station"
	"hallmark/station/control"
	"hallmark/station/reason"
)

// greet is an action for tests.
func greet(_ context.Context, arguments json.RawMessage) (string, error) {
	name, err := control.Argument[string](arguments)
	switch name {
	case "quota":
		return "", fmt.Errorf("greeting: %w", station.ErrQuota)
	case "usage":
		return "", reason.Usage(errors.New("give another name"))
	}
	return "hello " + name, err
}

func serve(t *testing.T, dir string, acts control.Acts) *control.Server {
	t.Helper()
	server, err := control.Serve(dir, acts)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnActionIsDoneInTheOtherProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 200)) // longer than the address of a socket
	must(t, os.Mkdir(dir, 0o700))
	if _, err := control.Ask(dir, "greet", "ann"); !errors.Is(err, control.ErrAbsent) {
		t.Errorf("without a server: %v", err)
	}
	for range 2 { // the second server finds the socket that a killed one left
		server := serve(t, dir, control.Acts{"greet": greet})
		if info, err := os.Stat(filepath.Join(dir, control.Socket)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		if text, err := control.Ask(dir, "greet", "ann"); text != "hello ann" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		if _, err := control.Ask(dir, "greet", "quota"); err == nil || reason.Of(err).Word != "quota" || err.Error() != "greeting: "+station.ErrQuota.Error() {
			t.Errorf("%v", err)
		}
		if _, err := control.Ask(dir, "greet", "usage"); reason.ExitOf(err) != reason.ExitUsage {
			t.Errorf("%v", err)
		}
		if _, err := control.Ask(dir, "sing", "ann"); reason.ExitOf(err) != reason.ExitUsage || !strings.Contains(err.Error(), `does not know the action "sing"`) {
			t.Errorf("%v", err)
		}
		if _, err := control.Ask(dir, "greet", 7); reason.ExitOf(err) != reason.ExitUsage {
			t.Errorf("%v", err)
		}
		must(t, server.Close())
		if _, err := os.Lstat(filepath.Join(dir, control.Socket)); !os.IsNotExist(err) {
			t.Errorf("the socket is left: %v", err)
		}
		stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(shortcut(t, dir), control.Socket), Net: "unix"})
		must(t, err)
		stale.SetUnlinkOnClose(false)
		must(t, stale.Close())
		if _, err := control.Ask(dir, "greet", "ann"); !errors.Is(err, control.ErrAbsent) {
			t.Errorf("with a socket that nobody serves: %v", err)
		}
	}
}

// shortcut gives a short path of a directory.
func shortcut(t *testing.T, dir string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "l")
	must(t, os.Symlink(dir, link))
	return link
}

func TestARequestThatIsNoneIsRefused(t *testing.T) {
	dir := t.TempDir()
	server := serve(t, dir, control.Acts{"greet": greet})
	defer func() { must(t, server.Close()) }()
	for name, line := range map[string]string{
		"no JSON":        "hello\n",
		"two values":     `{"act":"greet","arguments":"ann"} {}` + "\n",
		"an unknown key": `{"act":"greet","arguments":"ann","as":"root"}` + "\n",
		"too long":       `{"act":"greet","arguments":"` + strings.Repeat("a", 70_000) + `"}` + "\n",
		"nothing":        "\n",
	} {
		conn, err := net.Dial("unix", filepath.Join(dir, control.Socket))
		must(t, err)
		must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		_, _ = conn.Write([]byte(line)) // the server stops reading a line that is too long
		var answer control.Answer
		err = json.NewDecoder(conn).Decode(&answer)
		if name == "too long" && err != nil { // the refusal is lost when the rest of the line was not read
			err, answer.Refusal = nil, &control.Refusal{Exit: reason.ExitUsage}
		}
		if err != nil || answer.Refusal == nil || answer.Refusal.Exit != reason.ExitUsage {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
		must(t, conn.Close())
	}
	if text, err := control.Ask(dir, "greet", "ann"); text != "hello ann" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// Clients that say nothing hold neither other clients nor the end of the server.
func TestSilentClientsHoldNothing(t *testing.T) {
	dir := t.TempDir()
	server := serve(t, dir, control.Acts{"greet": greet})
	for range 7 { // one place of eight stays free
		conn, err := net.Dial("unix", filepath.Join(dir, control.Socket))
		must(t, err)
		defer conn.Close()
	}
	var asked sync.WaitGroup
	for range 20 {
		asked.Go(func() {
			if text, err := control.Ask(dir, "greet", "ann"); text != "hello ann" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	asked.Wait()
	must(t, server.Close())
}

// The end of the server cancels an action and waits for it.
func TestTheEndCancelsAnAction(t *testing.T) {
	dir := t.TempDir()
	begun, ended := make(chan bool), false
	server := serve(t, dir, control.Acts{"wait": func(ctx context.Context, _ json.RawMessage) (string, error) {
		close(begun)
		<-ctx.Done()
		ended = true
		return "", ctx.Err()
	}})
	var asked sync.WaitGroup
	asked.Go(func() {
		if _, err := control.Ask(dir, "wait", nil); err == nil {
			t.Error("a cancelled action succeeds")
		}
	})
	<-begun
	must(t, server.Close())
	asked.Wait()
	if !ended {
		t.Error("Close did not wait for the action")
	}
}
