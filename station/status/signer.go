package status

import (
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"hallmark/station/instance"
	"hallmark/station/ocsp"
	"hallmark/station/workdir"
)

// lookAgain is how often the file of the OCSP certificate is looked at.
const lookAgain = time.Second

// A newestSigner gives the signer of the newest OCSP certificate in the station directory, without a restart.
type newestSigner struct {
	dir workdir.Dir
	now func() time.Time
	log *slog.Logger

	mu     sync.Mutex
	looked time.Time
	file   fs.FileInfo // of the certificate
	signer *ocsp.Signer
	logged string // why the newest certificate is not used
}

// get gives the newest signer. If the newest certificate is wrong, the earlier one stays.
func (n *newestSigner) get() (*ocsp.Signer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if since := now.Sub(n.looked); n.signer != nil && since >= 0 && since < lookAgain {
		return n.signer, nil
	}
	n.looked = now
	file, err := os.Stat(n.dir.OCSP())
	if err == nil && n.file != nil && os.SameFile(file, n.file) && file.ModTime().Equal(n.file.ModTime()) {
		return n.signer, nil
	}
	signer, err := instance.OpenResponder(n.dir)
	switch {
	case err == nil:
		n.signer, n.file, n.logged = signer, file, ""
	case n.signer != nil:
		if err.Error() != n.logged {
			n.logged = err.Error()
			n.log.Error("the new OCSP certificate is not used", "error", err)
		}
		return n.signer, nil
	}
	return n.signer, err
}
