package web

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// dialTimeout is how long a client waits for a connection, and for the handshake of TLS.
const dialTimeout = 5 * time.Second

// NewClient makes a client for one server that is named in the configuration. It holds at most connections to it, takes
// at most 16 KiB of headers, and asks for no compression, so that an answer has the size that it has on the wire. An answer that names another
// address ends with the error redirect. The caller bounds each request by its context.
func NewClient(config *tls.Config, connections int, redirect error) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSHandshakeTimeout: dialTimeout, TLSClientConfig: config,
			MaxConnsPerHost: connections, MaxIdleConns: connections, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: 16 << 10, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return redirect },
	}
}
