package hsm_test

import (
	"crypto"
	"slices"
	"testing"

	"hallmark/fixtures"
	"hallmark/hsm"
)

// The same tests for each kind of token that nobody of this project wrote.
func TestEachKindOfToken(t *testing.T) {
	for _, kind := range fixtures.TokenKinds() {
		t.Run(kind.Name, func(t *testing.T) {
			token := kind.New(t)
			t.Run("is software", func(t *testing.T) { isSoftware(t, token) })
			t.Run("refuses a wrong PIN once", func(t *testing.T) { refused(t, token.Config, pinOf("wrong-pin"), hsm.ErrPINWrong) })
			t.Run("makes keys that are never overwritten", func(t *testing.T) { makesKeys(t, token) })
			t.Run("finds keys by the public key", func(t *testing.T) { findsKeys(t, token) })
			t.Run("stores a checkpoint", func(t *testing.T) { storesData(t, token) })
			t.Run("comes back after a restart", func(t *testing.T) { comesBack(t, token) })
		})
	}
}

func isSoftware(t *testing.T, token *fixtures.RealToken) {
	cfg := token.Config
	cfg.AllowSoftwareToken = false
	refused(t, cfg, pinOf(fixtures.TestPIN), hsm.ErrSoftwareToken)
	cfg.Exceptions = hsm.KnownExceptions() // none of them is about this
	refused(t, cfg, pinOf(fixtures.TestPIN), hsm.ErrSoftwareToken)
}

func makesKeys(t *testing.T, token *fixtures.RealToken) {
	opened := open(t, token.Config)
	for i, label := range []string{"root", "issuing", "audit"} {
		signer, _ := fixtures.NewKey(t, opened, label, 0x40, byte(i+1))
		must(t, sign(t, signer))
		_, err := opened.Generate(t.Context(), hsm.KeyRef{ID: []byte{0x50, byte(i)}, Label: label})
		want(t, err, hsm.ErrKeyExists)
	}
	reports, err := opened.Keys(t.Context())
	must(t, err)
	if len(reports) != 3 {
		t.Errorf("%d keys", len(reports))
	}
	for _, r := range reports {
		must(t, r.Refused(nil))
		must(t, r.Problem)
	}
}

func findsKeys(t *testing.T, token *fixtures.RealToken) {
	opened := open(t, token.Config)
	public := publicOf(t, opened, "issuing")
	for _, ref := range []hsm.KeyRef{{}, {Label: "issuing"}, {ID: []byte{0x40, 2}}, {ID: []byte{0x40, 2}, Label: "issuing"}} {
		signer, err := opened.Signer(t.Context(), ref, public)
		must(t, err)
		must(t, sign(t, signer))
	}
	_, err := opened.Signer(t.Context(), hsm.KeyRef{Label: "issuing"}, certificateKey(t))
	want(t, err, hsm.ErrKeyDiffers)
	_, err = opened.Signer(t.Context(), hsm.KeyRef{Label: "audit"}, public)
	want(t, err, hsm.ErrKeyDiffers)
	_, err = opened.Signer(t.Context(), hsm.KeyRef{Label: "other"}, public)
	want(t, err, hsm.ErrKeyMissing)
}

func storesData(t *testing.T, token *fixtures.RealToken) {
	opened := open(t, token.Config)
	for _, text := range []string{"first checkpoint", "second checkpoint"} {
		must(t, opened.StoreData(t.Context(), "checkpoint", []byte(text)))
		values, err := opened.Data(t.Context(), "checkpoint")
		must(t, err)
		if len(values) != 1 || string(values[0]) != text {
			t.Errorf("got %q", values)
		}
	}
}

func comesBack(t *testing.T, token *fixtures.RealToken) {
	opened := open(t, token.Config)
	var signers []crypto.Signer
	for _, label := range []string{"issuing", "audit"} {
		signer, err := opened.Signer(t.Context(), hsm.KeyRef{Label: label}, publicOf(t, opened, label))
		must(t, err)
		signers = append(signers, signer)
	}
	if token.Stop == nil { // no daemon: something else in the process ends all sessions
		closeSessions(t, withModule(token.Config, fixtures.SoftHSM(t)))
	} else {
		token.Stop(t)
		if err := sign(t, signers[0]); !away(err) {
			t.Errorf("without its daemon: %v", err)
		}
		token.Start(t)
	}
	for _, signer := range slices.Concat(signers, signers) {
		eventually(t, signer, lostAndFound...)
	}
}

func withModule(cfg hsm.Config, module string) hsm.Config {
	cfg.Module = module
	return cfg
}
