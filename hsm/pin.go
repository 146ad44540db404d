package hsm

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
)

// A PINSource returns the user PIN. Open and each reopen call it, and wipe the Secret
// after the login. A PINSource must return soon after ctx ends, because Open waits
// for it, so that a terminal gets its echo back.
type PINSource func(ctx context.Context) (Secret, error)

// ask calls the source. It refuses an empty PIN, which the token would count as wrong.
func (p PINSource) ask(ctx context.Context) (Secret, error) {
	secret, err := p(ctx)
	switch {
	case errors.Is(err, ErrPINSource):
		return Secret{}, err
	case err != nil:
		return Secret{}, refuse(ErrPINSource, "%w", err)
	case secret.empty():
		return Secret{}, refuse(ErrPINSource, "the PIN is empty")
	}
	return secret, nil
}

// ParsePINSource reads the name of a PIN source:
//
//	credential:NAME   $CREDENTIALS_DIRECTORY/NAME (systemd LoadCredentialEncrypted=)
//	fd:N              an inherited descriptor, 3 or higher, read to its end, closed
//	file:/path        a file of this user or root that nobody else may read
//	prompt            /dev/tty, without echo
//	env:NAME          an environment variable, for CI only: it is unset once it is
//	                  read, and stays visible to this user in /proc
//
// credential and file are read again at each reopen. The others can be read only
// once, so the PIN stays in memory until the process ends. A PIN itself, and
// RFC 7512's |command, are refused. The error does not repeat the refused text,
// because the text may be the PIN.
func ParsePINSource(text string) (PINSource, error) {
	kind, name, _ := strings.Cut(text, ":")
	switch {
	case text == "prompt":
		return remember(func(ctx context.Context) (Secret, error) { return askTerminal(ctx, "/dev/tty") }), nil
	case kind == "credential":
		return credentialSource(name)
	case kind == "fd":
		n, err := strconv.ParseUint(name, 10, 16)
		if err != nil || n < 3 || strconv.FormatUint(n, 10) != name {
			return nil, refuse(ErrPINSource, "fd: wants the number of an inherited descriptor, 3 or higher")
		}
		return remember(func(ctx context.Context) (Secret, error) { return readDescriptor(ctx, int(n)) }), nil
	case kind == "file":
		return fileSource(name)
	case kind == "env":
		return environmentSource(name)
	}
	return nil, refuse(ErrPINSource, "the text names no known source")
}

// EnteredPIN makes a source from a PIN that an operator entered on the screen. The
// caller keeps octets and wipes them. The source's copy stays in memory, for reopens,
// until forget is called. The error does not repeat the octets of a refused PIN.
func EnteredPIN(octets []byte) (source PINSource, forget func(), err error) {
	kept, err := checkPIN(bytes.Clone(octets))
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	source = func(context.Context) (Secret, error) {
		mu.Lock()
		defer mu.Unlock()
		return kept.copied(), nil
	}
	return source, func() { mu.Lock(); defer mu.Unlock(); kept.Wipe() }, nil
}
