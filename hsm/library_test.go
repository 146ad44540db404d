package hsm_test

import (
	"path/filepath"
	"regexp"
	"testing"

	"hallmark/fixtures"
	"hallmark/hsm"
)

func TestAModuleNamesItsLibraryWithoutALogin(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	name, err := hsm.Library(t.Context(), shim.Config)
	must(t, err)
	if !regexp.MustCompile(`^"SoftHSM" 2\.\d+$`).MatchString(name) {
		t.Errorf("got %s", name)
	}
	if n := shim.Calls(t, "C_Login"); n != 0 {
		t.Errorf("%d logins", n)
	}
	opensAgain(t, shim.Config)
}

func TestAModuleThatCannotNameItsLibrary(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	missing := shim.Config
	missing.Module = filepath.Join(t.TempDir(), "none.so")
	_, err := hsm.Library(t.Context(), missing)
	want(t, err, hsm.ErrModuleMissing)

	shim.Fail(t, "C_Initialize 5") // CKR_GENERAL_ERROR
	_, err = hsm.Library(t.Context(), shim.Config)
	want(t, err, hsm.ErrModuleNotStarted)

	shim.Fail(t, "hang_C_Initialize 1")
	shim.Config.Timeout = short
	_, err = hsm.Library(t.Context(), shim.Config)
	want(t, err, hsm.ErrHung)
	shim.Fail(t)
	shim.Config.Timeout = 0
	opensAgain(t, shim.Config)
}

func TestNoModuleIsAskedBesideAnOpenToken(t *testing.T) {
	fixture := fixtures.NewToken(t)
	fixture.Open(t)
	_, err := hsm.Library(t.Context(), fixture.Config)
	want(t, err, hsm.ErrInUse)
}
