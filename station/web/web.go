// Package web has what the HTTP servers of the product share: bounds for the connections and requests of
// strangers, and an end in order.
package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// Serve answers requests until ctx ends, and then waits at most grace for the requests under way. It serves TLS if the
// server has settings for it.
func Serve(ctx context.Context, server *http.Server, listener net.Listener, grace time.Duration) error {
	ended := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			ended <- server.ServeTLS(listener, "", "")
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(waiting)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if ended := <-ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
