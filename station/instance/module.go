package instance

import (
	"context"

	"hallmark/configs"
	"hallmark/hsm"
	"hallmark/station/workdir"
)

// DefaultModule says where SoftHSM is, which a station has unless its configuration names another module.
func DefaultModule() string {
	config := configs.Default()
	config.HSM.Module = "softhsm2"
	token, err := config.Token("", workdir.Exists)
	if err != nil {
		return "SoftHSM is not installed"
	}
	return token.Module
}

// ModuleOf names the module of a station and its library's version. It asks for no PIN and logs in nowhere. What is
// wrong is part of the answer: whoever asks for a version often has a broken station.
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
