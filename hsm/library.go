package hsm

import (
	"context"
	"fmt"
	"time"

	"github.com/miekg/pkcs11"
)

// Library names manufacturer and version of the module itself (CK_INFO, PKCS#11 v2.40 section 3.1). Library asks for no
// PIN and looks at no token. It is not for use beside an open Token.
func Library(ctx context.Context, cfg Config) (string, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if err := claim(); err != nil {
		return "", err
	}
	type answer struct {
		name string
		err  error
	}
	answered := make(chan answer, 1)
	go func() { // a call into a module cannot be cancelled
		name, err := library(cfg)
		release()
		answered <- answer{name, err}
	}()
	timer := time.NewTimer(cfg.Timeout)
	defer timer.Stop()
	select {
	case a := <-answered:
		return a.name, a.err
	case <-ctx.Done():
		return "", refuse(ErrHung, "asking %s for its version: %w", cfg.Module, ctx.Err())
	case <-timer.C:
		return "", refuse(ErrHung, "asking %s for its version: no answer within %v", cfg.Module, cfg.Timeout)
	}
}

func library(cfg Config) (string, error) {
	if err := setEnvironment(cfg.Environment); err != nil {
		return "", err
	}
	module, err := load(cfg.Module)
	if err != nil {
		return "", err
	}
	defer module.Destroy()
	if err := module.Initialize(); err != nil {
		return "", notStarted(cfg, err)
	}
	info, err := module.GetInfo()
	if err := module.Finalize(); err != nil {
		return "", explain("finalising "+cfg.Module, err)
	}
	return nameOf(info), explain("asking "+cfg.Module+" for its version", err)
}

func nameOf(info pkcs11.Info) string {
	return fmt.Sprintf("%+q %d.%d", info.ManufacturerID, info.LibraryVersion.Major, info.LibraryVersion.Minor)
}
