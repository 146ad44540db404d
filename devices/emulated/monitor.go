package emulated

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
)

// errMonitorGone: QEMU closed its monitor, which happens when QEMU ends.
var errMonitorGone = errors.New("QEMU's monitor is gone")

// A monitor speaks QMP, QEMU's machine protocol (docs/interop/qmp-spec): JSON objects, one
// greeting, then one answer for each command, with events in between.
type monitor struct {
	conn    net.Conn
	mu      sync.Mutex // one command at a time; guards id
	id      uint64     // of the last command
	answers chan message
	resets  chan struct{}
	done    chan struct{} // closed when the reader has ended
}

// A message is any object that QEMU sends, with the keys that this package uses.
type message struct {
	QMP    json.RawMessage `json:"QMP"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
	ID    uint64 `json:"id"` // of the command; 0 in a greeting
}

func newMonitor(conn net.Conn) *monitor {
	m := &monitor{conn: conn, answers: make(chan message, 16), resets: make(chan struct{}, 1), done: make(chan struct{})}
	go m.read()
	return m
}

// read distributes messages until the connection ends.
func (m *monitor) read() {
	defer close(m.done)
	in := json.NewDecoder(m.conn)
	for {
		var msg message
		if err := in.Decode(&msg); err != nil {
			return
		}
		switch {
		case msg.Event == "RESET":
			offer(m.resets, struct{}{})
		case msg.Event == "":
			offer(m.answers, msg)
		}
	}
}

// offer puts v into c if c has room; otherwise v is dropped.
func offer[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

// greet waits for QEMU's greeting and ends the negotiation of capabilities.
func (m *monitor) greet(ctx context.Context) error {
	msg, err := await(ctx, m, m.answers)
	if err != nil {
		return fmt.Errorf("waiting for QEMU: %w", err)
	}
	if msg.QMP == nil {
		return fmt.Errorf("waiting for QEMU: not a greeting")
	}
	_, err = m.execute(ctx, "qmp_capabilities", nil)
	return err
}

// reset resets the machine and returns when the reset has happened.
func (m *monitor) reset(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.resets: // from an earlier reset that the board did itself
	default:
	}
	if _, err := m.ask(ctx, "system_reset", nil); err != nil {
		return err
	}
	if _, err := await(ctx, m, m.resets); err != nil {
		return fmt.Errorf("waiting for the reset: %w", err)
	}
	return nil
}

// pty returns the path of the only pseudo-terminal that QEMU made.
func (m *monitor) pty(ctx context.Context) (string, error) {
	answer, err := m.execute(ctx, "query-chardev", nil)
	if err != nil {
		return "", err
	}
	var devices []struct{ Filename string }
	if err := json.Unmarshal(answer, &devices); err != nil {
		return "", fmt.Errorf("asking QEMU for its pty: %w", err)
	}
	for _, device := range devices {
		if path, ok := strings.CutPrefix(device.Filename, "pty:"); ok {
			return path, nil
		}
	}
	return "", fmt.Errorf("asking QEMU for its pty: there is none in %s", answer)
}

// execute runs a command and returns its result.
func (m *monitor) execute(ctx context.Context, command string, arguments map[string]any) (json.RawMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ask(ctx, command, arguments)
}

// request is a QMP command.
type request struct {
	Execute   string         `json:"execute"`
	Arguments map[string]any `json:"arguments,omitempty"`
	ID        uint64         `json:"id"`
}

func (m *monitor) ask(ctx context.Context, command string, arguments map[string]any) (json.RawMessage, error) {
	m.id++
	if err := json.NewEncoder(m.conn).Encode(request{command, arguments, m.id}); err != nil {
		return nil, fmt.Errorf("asking QEMU for %s: %w", command, errors.Join(errMonitorGone, err))
	}
	msg, err := m.answer(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking QEMU for %s: %w", command, err)
	}
	if msg.Error != nil {
		return nil, fmt.Errorf("asking QEMU for %s: %s: %s", command, msg.Error.Class, msg.Error.Desc)
	}
	return msg.Return, nil
}

// answer waits for the last command's answer and drops older answers.
func (m *monitor) answer(ctx context.Context) (message, error) {
	for {
		msg, err := await(ctx, m, m.answers)
		if err != nil || msg.ID == m.id {
			return msg, err
		}
	}
}

// await takes the next value, unless ctx or QEMU ends first.
func await[T any](ctx context.Context, m *monitor, c <-chan T) (T, error) {
	select {
	case v := <-c:
		return v, nil
	default:
	}
	var zero T
	select {
	case v := <-c:
		return v, nil
	case <-m.done:
		return zero, errMonitorGone
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// close ends the reader and waits for it.
func (m *monitor) close() error {
	err := m.conn.Close()
	<-m.done
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
