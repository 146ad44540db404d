package instance

import (
	"context"

	"hallmark/configs"
	"hallmark/hsm"
	"hallmark/station/workdir"
)

// DefaultModule says which PKCS#11 module a station uses unless its configuration names another
// one, and how to see the module of a station. It loads no library: without a station, SoftHSM
// has no configuration that every user may read.
func DefaultModule() string {
	return defaultModule() + " is the default of a new station; with --dir D, the module of station D and its version"
}

func defaultModule() string {
	config := configs.Default()
	config.HSM.Module = "softhsm2"
	token, err := config.Token("", workdir.Exists)
	if err != nil {
		return "SoftHSM (not installed)"
	}
	return token.Module
}

// ModuleOf returns the PKCS#11 module of a station and the version of its library. It needs no
// PIN and does not log in. An error is part of the text, because people often ask for the
// version of a station that does not work.
func ModuleOf(ctx context.Context, dir string) string {
	token, err := tokenConfig(dir)
	if err != nil {
		return "unknown, " + err.Error()
	}
	library, err := hsm.Library(ctx, token)
	if err != nil {
		return token.Module + ", not usable: " + err.Error()
	}
	return token.Module + ", " + library
}

func tokenConfig(path string) (hsm.Config, error) {
	dir, err := workdir.Existing(path)
	if err != nil {
		return hsm.Config{}, err
	}
	config, err := configs.Load(dir.Config())
	if err != nil {
		return hsm.Config{}, err
	}
	return config.Token(string(dir), workdir.Exists)
}
