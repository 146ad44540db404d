// Package remote opens serial ports that another machine serves over TCP: raw octets, or
// Telnet with the options of RFC 2217, as Debian's ser2net serves both.
//
// Neither protocol knows who speaks. Whoever reaches the server's address can read and
// change every octet, as somebody can who holds the cable of a UART. So a port belongs on
// loopback or on a network of the bench alone.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// The schemes of an address.
const (
	rawScheme    = "tcp"
	telnetScheme = "rfc2217"
)

// ErrAddress: a text is no address of a remote port.
var ErrAddress = errors.New("want tcp://HOST:PORT, or rfc2217://HOST:PORT for a server that sets the baud rate")

// An Address names a remote port.
type Address struct {
	Telnet bool // rfc2217://
	Host   string
	Port   uint16 // 1 to 65535
}

// Is reports whether a text is meant as an address and not as a path.
func Is(text string) bool { return strings.Contains(text, "://") }

// Parse reads an address. The error wraps ErrAddress.
func Parse(text string) (Address, error) {
	read, err := url.Parse(text)
	if err != nil {
		return Address{}, fmt.Errorf("%q: %w", text, ErrAddress)
	}
	port, err := strconv.ParseUint(read.Port(), 10, 16)
	switch {
	case read.Scheme != rawScheme && read.Scheme != telnetScheme:
		return Address{}, fmt.Errorf("%q: %w", text, ErrAddress)
	case read.Hostname() == "" || err != nil || port == 0:
		return Address{}, fmt.Errorf("%q has no host, or no port from 1 to 65535: %w", text, ErrAddress)
	case read.User != nil, read.Path != "", read.RawQuery != "", read.ForceQuery, read.Fragment != "":
		return Address{}, fmt.Errorf("%q has more than host and port: %w", text, ErrAddress)
	}
	return Address{read.Scheme == telnetScheme, strings.ToLower(read.Hostname()), uint16(port)}, nil
}

// String returns the one spelling of the address.
func (a Address) String() string {
	scheme := rawScheme
	if a.Telnet {
		scheme = telnetScheme
	}
	return scheme + "://" + a.dial()
}

func (a Address) dial() string { return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) }

// SamePort reports whether two addresses name one port of one host, by whatever protocol. It asks no resolver.
func SamePort(a, b Address) bool { return a.dial() == b.dial() }

// Servers returns the addresses at which the server may listen. It asks the resolver until ctx ends. nil: nobody knows the host.
func (a Address) Servers(ctx context.Context) []netip.Addr {
	if ip, err := netip.ParseAddr(a.Host); err == nil {
		return []netip.Addr{ip.Unmap()}
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", a.Host)
	if err != nil {
		return nil
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found
}
