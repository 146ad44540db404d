package hsm

import (
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/miekg/pkcs11"
)

// loaded holds one value while a module is in use. It is the only package variable
// that changes, because PKCS#11 keeps its state for the whole process.
var loaded = make(chan struct{}, 1)

func claim() error {
	select {
	case loaded <- struct{}{}:
		return nil
	default:
		return refuse(ErrInUse, "one token is open at a time")
	}
}

func release() { <-loaded }

// setEnvironment sets the variables that the module reads when it is loaded. Go also
// sets them in the C library's environment.
func setEnvironment(vars map[string]string) error {
	for name, value := range vars {
		if err := os.Setenv(name, value); err != nil {
			return refuse(ErrConfig, "setting environment variable %q: %w", name, err)
		}
	}
	return nil
}

// load opens the shared object. PKCS#11 gives no reason when the loading fails, so
// load checks for the usual reasons first.
func load(path string) (*pkcs11.Ctx, error) {
	if err := inspectModule(path); err != nil {
		return nil, err
	}
	module := pkcs11.New(path)
	if module == nil {
		return nil, refuse(ErrModuleUnloadable, "%s: the loader refused it, or it has no C_GetFunctionList", path)
	}
	return module, nil
}

func inspectModule(path string) error {
	if !filepath.IsAbs(path) {
		return refuse(ErrConfig, "module path %q is not absolute", path)
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(ErrModuleMissing, "%w", err)
	}
	if err != nil {
		return refuse(ErrModuleUnloadable, "%w", err)
	}
	if !info.Mode().IsRegular() {
		return refuse(ErrModuleUnloadable, "%s is not a file", path)
	}
	if runtime.GOOS != "linux" {
		return nil
	}
	return inspectELF(path)
}

// machines maps GOARCH to the machine number of an ELF header.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "386": elf.EM_386, "arm64": elf.EM_AARCH64,
	"arm": elf.EM_ARM, "riscv64": elf.EM_RISCV,
}

func inspectELF(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return refuse(ErrModuleUnloadable, "%s is not a shared object: %w", path, err)
	}
	defer file.Close()
	if want, known := machines[runtime.GOARCH]; known && file.Machine != want {
		return refuse(ErrModuleUnloadable, "%s is for %v, this program for %v", path, file.Machine, want)
	}
	if file.Type != elf.ET_DYN {
		return refuse(ErrModuleUnloadable, "%s is %v, not a shared object", path, file.Type)
	}
	return nil
}
