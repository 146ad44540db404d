package instance

import "hallmark/station/control"

// ServeControl lets other processes ask for actions until the Files are closed. The registry is open,
// so no other process serves the socket. A second call does nothing.
func (r *Record) ServeControl(acts control.Acts) error {
	if r.served {
		return nil
	}
	server, err := control.Serve(string(r.Dir), acts)
	if err != nil {
		return err
	}
	r.served = true
	r.OnClose(server.Close)
	return nil
}
