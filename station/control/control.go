// Package control lets a command act on a station that another process has open, for example a
// screen. The process that holds the registry serves a UNIX socket in the station directory. A
// request and its answer are one line of JSON each, and one connection carries one request.
//
// Only the user of the station can connect: the directory and the socket are for that user alone,
// and the server asks the kernel for the user of each connection.
package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// Socket is the name of the socket in the station directory.
const Socket = "control"

// Bounds of a connection.
const (
	maxLine     = 64 << 10        // octets of a request or an answer
	maxAtOnce   = 8               // connections that are served at the same time
	requestTime = 5 * time.Second // from the connection to the whole request
	actTime     = time.Minute     // from the whole request to the answer
)

// A Request asks for one action.
type Request struct {
	Act       string          `json:"act"` // for example "order.open"
	Arguments json.RawMessage `json:"arguments"`
}

// An Answer is the result of an action, or the refusal of one.
type Answer struct {
	Text    string   `json:"text,omitempty"` // for people
	Refusal *Refusal `json:"refusal,omitempty"`
}

// A Refusal is an error that crossed the socket. It keeps its text, its reason and its exit code.
type Refusal struct {
	Text string      `json:"text"`
	Word string      `json:"word,omitempty"` // of the row of package reason; empty: none
	Exit reason.Exit `json:"exit"`
}

func refusalOf(err error) *Refusal {
	r := &Refusal{Text: err.Error(), Exit: reason.ExitOf(err)}
	if row, found := reason.Find(err); found {
		r.Word = row.Word
	}
	return r
}

// err gives the error back. The error has the row that it had in the other process.
func (r *Refusal) err() error {
	if r == nil {
		return nil
	}
	err := reason.Remote(r.Word, r.Text)
	if r.Exit == reason.ExitUsage && reason.ExitOf(err) != reason.ExitUsage {
		return reason.Usage(err)
	}
	return err
}

// ErrAbsent: no process serves the socket.
var ErrAbsent = errors.New("no process serves the control socket of this station directory")

// socketPath opens the station directory and gives a path of the socket that is short enough for the
// address of a UNIX socket (108 octets, unix(7)), however long the path of the directory is.
func socketPath(dir string) (path string, done func() error, err error) {
	file, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(file.Fd())), Socket), file.Close, nil
}

// Ask sends one request to the process that has the station open. The error is ErrAbsent if there
// is none; the refusal of the other process keeps its reason.
func Ask(dir, act string, arguments any) (text string, err error) {
	path, done, err := socketPath(dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, done()) }()
	conn, err := net.DialTimeout("unix", path, requestTime)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return "", ErrAbsent
	} else if err != nil {
		return "", fmt.Errorf("connecting to the station's control socket: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return exchange(conn, act, arguments)
}

func exchange(conn net.Conn, act string, arguments any) (string, error) {
	octets, err := json.Marshal(arguments)
	if err != nil {
		return "", err
	}
	line, err := json.Marshal(Request{act, octets})
	if err != nil {
		return "", err
	}
	if err := conn.SetDeadline(time.Now().Add(requestTime + actTime)); err != nil {
		return "", err
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return "", fmt.Errorf("asking the station through its control socket: %w", err)
	}
	var answer Answer
	if err := readLine(conn, &answer); err != nil {
		return "", fmt.Errorf("the station gave no answer on its control socket, so look with `station audit show` whether it acted: %w", err)
	}
	return answer.Text, answer.Refusal.err()
}

// readLine reads one line of JSON and refuses octets after the value.
func readLine(from io.Reader, into any) error {
	line, err := bufio.NewReaderSize(io.LimitReader(from, maxLine), maxLine).ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) == maxLine, errors.Is(err, bufio.ErrBufferFull):
		return fmt.Errorf("the line is too long, want at most %d octets", maxLine)
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	}
	return decode(line, into)
}

// decode reads one JSON value. It refuses unknown keys, and octets after the value.
func decode(octets []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(octets))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("want one line of JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("want one line of JSON and nothing after it")
	}
	return nil
}
