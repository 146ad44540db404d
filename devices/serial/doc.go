// Package serial opens UART ports and finds them by where they are plugged in.
//
// It is the only importer of go.bug.st/serial. A [Port] obeys the rules of a
// net.Conn, which the library's does not: a Read gives octets or an error and
// never (0, nil); a deadline is os.ErrDeadlineExceeded; after Close nothing
// reaches any descriptor, also not one that has got the same number; a write to
// a stuck peer ends; children inherit no port. Each of these has a test on a pty.
package serial
