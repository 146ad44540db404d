package instance

import (
	"bytes"
	"crypto/x509"
	"testing"
)

func TestBoardsGetAChainOnlyWhereTheRootDoesNotIssueDirectly(t *testing.T) {
	root, issuing := &x509.Certificate{Raw: []byte("root")}, &x509.Certificate{Raw: []byte("issuing")}
	if got := chain(root, issuing); !bytes.Equal(got, issuing.Raw) {
		t.Errorf("below a root: %q", got)
	}
	if got := chain(root, &x509.Certificate{Raw: []byte("root")}); got != nil {
		t.Errorf("the root itself: %q, want none", got)
	}
}
