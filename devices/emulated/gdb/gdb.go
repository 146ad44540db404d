// Package gdb speaks the GDB Remote Serial Protocol with the gdbstub of QEMU: what an emulated board and an emulated
// debug probe need of it.
package gdb

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// Bound is the time for one answer of QEMU. It is long, because the emulated boards have the lowest priority.
const Bound = 30 * time.Second

// interrupt stops a running machine.
const interrupt = 0x03

// A Client is the debugger's end of a connection with a gdbstub. QEMU stops at any octet that it receives
// while the machine runs, and loses it; so each request needs a stopped machine.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
}

// New returns a client for a connection on which nobody waits for an answer.
func New(conn net.Conn) *Client { return &Client{conn, bufio.NewReader(conn)} }

// Attach stops the machine, whether it runs or not, and leaves no answer on the connection. QEMU itself stops a running
// machine when a debugger connects, and says so unasked; before the acknowledgement of the question there may be such a packet.
func (g *Client) Attach() error {
	const question = "?"
	if err := g.write(fmt.Appendf([]byte{interrupt}, "$%s#%02x", question, sum(question))); err != nil {
		return err
	}
	if _, err := g.in.ReadString('+'); err != nil {
		return err
	}
	if _, err := g.packet(); err != nil {
		return err
	}
	// Only after this question QEMU answers questions about single registers.
	_, err := g.Ask("qXfer:features:read:target.xml:0,ffb")
	return err
}

// Stop stops the running machine.
func (g *Client) Stop() error {
	if err := g.write([]byte{interrupt}); err != nil {
		return err
	}
	_, err := g.packet()
	return err
}

// Run lets the machine run. There is no answer until it stops.
func (g *Client) Run() error { return g.send("c") }

// Ask sends a request and returns the answer.
func (g *Client) Ask(request string) (string, error) {
	if err := g.send(request); err != nil {
		return "", err
	}
	return g.packet()
}

// send sends a packet, and waits for the acknowledgement.
func (g *Client) send(request string) error {
	if err := g.write(fmt.Appendf(nil, "$%s#%02x", request, sum(request))); err != nil {
		return err
	}
	octet, err := g.in.ReadByte()
	if err == nil && octet != '+' {
		err = fmt.Errorf("QEMU answers %q instead of an acknowledgement", octet)
	}
	return err
}

func (g *Client) write(octets []byte) error {
	if err := g.conn.SetDeadline(time.Now().Add(Bound)); err != nil {
		return err
	}
	_, err := g.conn.Write(octets)
	return err
}

// packet reads one packet and acknowledges it.
func (g *Client) packet() (string, error) {
	if _, err := g.in.ReadString('$'); err != nil {
		return "", err
	}
	text, err := g.in.ReadString('#')
	if err != nil {
		return "", err
	}
	var check [2]byte
	if _, err := io.ReadFull(g.in, check[:]); err != nil {
		return "", err
	}
	text = strings.TrimSuffix(text, "#")
	if want := fmt.Sprintf("%02x", sum(text)); want != string(check[:]) {
		return "", fmt.Errorf("packet with checksum %s, want %s", check, want)
	}
	return text, g.write([]byte{'+'})
}

// sum is the checksum of a packet.
func sum(text string) (check byte) {
	for i := range len(text) {
		check += text[i]
	}
	return check
}

// ErrRefused: QEMU refuses a request.
var ErrRefused = errors.New("QEMU refuses")

// Octets asks for octets in hexadecimal.
func (g *Client) Octets(request string, into []byte) error {
	answer, err := g.Ask(request)
	if err != nil {
		return err
	}
	if len(answer) != 2*len(into) {
		return fmt.Errorf("%w %.20s: %.20q", ErrRefused, request, answer)
	}
	_, err = hex.Decode(into, []byte(answer))
	return err
}

// Order sends a request whose answer is OK.
func (g *Client) Order(request string) error {
	answer, err := g.Ask(request)
	if err == nil && answer != "OK" {
		err = fmt.Errorf("%w %.20s: %.20q", ErrRefused, request, answer)
	}
	return err
}

// most is the number of octets of one request; QEMU takes packets of 4096 characters.
const most = 1024

// ReadMemory fills the buffer with the octets at an address.
func (g *Client) ReadMemory(address uint32, buffer []byte) error {
	for piece := range slices.Chunk(buffer, most) {
		if err := g.Octets(fmt.Sprintf("m%x,%x", address, len(piece)), piece); err != nil {
			return err
		}
		address += uint32(len(piece))
	}
	return nil
}

// WriteMemory writes octets to an address.
func (g *Client) WriteMemory(address uint32, data []byte) error {
	for piece := range slices.Chunk(data, most) {
		if err := g.Order(fmt.Sprintf("M%x,%x:%s", address, len(piece), hex.EncodeToString(piece))); err != nil {
			return err
		}
		address += uint32(len(piece))
	}
	return nil
}

// Monitor gives QEMU a command of its monitor (qRcmd). Packets that begin with "O" are text for people.
func (g *Client) Monitor(command string) error {
	answer, err := g.Ask("qRcmd," + hex.EncodeToString([]byte(command)))
	for err == nil && answer != "OK" && strings.HasPrefix(answer, "O") {
		answer, err = g.packet()
	}
	if err == nil && answer != "OK" {
		err = fmt.Errorf("%w %s: %.20q", ErrRefused, command, answer)
	}
	return err
}
