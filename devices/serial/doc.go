// Package serial opens UART ports and finds them by the place where they are plugged in.
//
// Only this package imports go.bug.st/serial. A [Port] follows the rules of a net.Conn,
// which the library does not: a Read returns octets or an error and never (0, nil); a
// deadline is os.ErrDeadlineExceeded; after Close no call reaches a descriptor, even
// if its number belongs to another file by then; a write to a port that takes no
// octets ends; child processes inherit no port. Each rule has a test on a pty.
package serial
