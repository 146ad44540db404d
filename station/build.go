package station

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker: `make build` passes the output of `git describe`.
var version string

// A Build says which build of the product a program is.
type Build struct {
	Version string // output of `git describe`, otherwise the module version that Go stamped
	Commit  string // full hash of the commit
	Changed bool   // the working tree had changes that were not committed
	Go      string // version and system
}

// ThisBuild describes the running program. Version and commit are "unknown" if they were
// not known at build time: a tarball has no commit.
func ThisBuild() Build {
	info, _ := debug.ReadBuildInfo()
	return describe(version, info)
}

func describe(version string, info *debug.BuildInfo) Build {
	b := Build{Version: version, Commit: "unknown", Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH}
	if info == nil {
		info = &debug.BuildInfo{}
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.modified":
			b.Changed = setting.Value == "true"
		}
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "unknown"
	}
	return b
}

// Text is the output of --version; module names the PKCS#11 module that the program uses.
func (b Build) Text(program, module string) string {
	commit := b.Commit
	if b.Changed {
		commit += ", with changes"
	}
	return fmt.Sprintf("%s %s\ncommit:  %s\nGo:      %s\nPKCS#11: %s\n", program, b.Version, commit, b.Go, module)
}
