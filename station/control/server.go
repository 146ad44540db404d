package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// Acts are the actions that a server can do, by name. An action returns a text for people.
type Acts map[string]func(ctx context.Context, arguments json.RawMessage) (text string, err error)

// Server serves the socket of one station directory until Close.
type Server struct {
	acts     Acts
	listener *net.UnixListener
	done     func() error // closes the directory
	ctx      context.Context
	stop     context.CancelFunc
	work     sync.WaitGroup
	free     chan struct{}

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// Serve makes the socket and serves it. The caller holds the lock of the station's registry, so a
// socket that is there already was left by a process that has ended, and is removed.
func Serve(dir string, acts Acts) (_ *Server, err error) {
	path, done, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("making the control socket of %s: %w", dir, err), done())
		}
	}()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{acts: acts, listener: listener, done: done, ctx: ctx, stop: stop, free: make(chan struct{}, maxAtOnce), conns: map[net.Conn]bool{}}
	s.work.Go(s.accept)
	return s, nil
}

// Close removes the socket, ends all connections and waits for their actions. An action that has
// begun gets a cancelled context.
func (s *Server) Close() error {
	s.stop()
	err := s.listener.Close()
	s.mu.Lock()
	for conn := range s.conns {
		_ = conn.SetReadDeadline(time.Now()) // a request that is not whole never will be; an answer may still be written
	}
	s.mu.Unlock()
	s.work.Wait()
	return errors.Join(err, s.done())
}

func (s *Server) accept() {
	for {
		select {
		case s.free <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		conn, err := s.listener.AcceptUnix()
		if err != nil {
			<-s.free
			if s.ctx.Err() != nil {
				return
			}
			select { // for example: no descriptor is free
			case <-time.After(100 * time.Millisecond):
			case <-s.ctx.Done():
			}
			continue
		}
		s.work.Go(func() {
			defer func() { <-s.free }()
			s.serve(conn)
		})
	}
}

func (s *Server) serve(conn *net.UnixConn) {
	defer conn.Close()
	now := time.Now()
	if err := errors.Join(conn.SetReadDeadline(now.Add(requestTime)), conn.SetWriteDeadline(now.Add(requestTime+actTime))); err != nil {
		return
	}
	s.mu.Lock()
	s.conns[conn] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	if s.ctx.Err() != nil {
		return
	}
	answer := s.answer(conn)
	line, err := json.Marshal(answer)
	if err != nil || len(line) >= maxLine {
		line, _ = json.Marshal(Answer{Refusal: refusalOf(errors.New("the answer is too long for the control socket"))})
	}
	_, _ = conn.Write(append(line, '\n')) // who asked may have gone; what was done is on record
}

func (s *Server) answer(conn *net.UnixConn) Answer {
	text, err := s.do(conn)
	if err != nil {
		return Answer{Refusal: refusalOf(err)}
	}
	return Answer{Text: text}
}

func (s *Server) do(conn *net.UnixConn) (string, error) {
	uid, err := peerOf(conn)
	if err != nil {
		return "", err
	}
	var request Request
	if err := readLine(conn, &request); err != nil {
		return "", reason.Usage(fmt.Errorf("reading a request on the control socket: %w", err))
	}
	act, known := s.acts[request.Act]
	if !known {
		return "", reason.Usage(fmt.Errorf("the process that has the station open does not know the action %q; it is of another version", request.Act))
	}
	ctx, cancel := context.WithTimeout(context.WithValue(s.ctx, peerKey{}, uid), actTime)
	defer cancel()
	return act(ctx, request.Arguments)
}

type peerKey struct{}

// Peer gives the user id of the process that asked for an action, as the kernel says; without a connection, that of this process.
func Peer(ctx context.Context) int {
	if uid, asked := ctx.Value(peerKey{}).(int); asked {
		return uid
	}
	return os.Getuid()
}

// peerOf gives the user of a connection. It refuses another user than the station's own user and root.
func peerOf(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) { peer, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if asked != nil {
		return 0, fmt.Errorf("asking for the user of a connection: %w", asked)
	}
	if peer.Uid != 0 && int(peer.Uid) != os.Geteuid() {
		return 0, fmt.Errorf("user %d may not act on a station of user %d", peer.Uid, os.Geteuid())
	}
	return int(peer.Uid), nil
}

// Argument reads the arguments of a request.
func Argument[T any](arguments json.RawMessage) (value T, err error) {
	if err = decode(arguments, &value); err != nil {
		err = reason.Usage(fmt.Errorf("the arguments of the request: %w", err))
	}
	return value, err
}
