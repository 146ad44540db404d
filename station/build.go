package station

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the linker's to set: `make build` gives it what `git describe` says.
var version string

// A Build says which build of the product a program is.
type Build struct {
	Version string // what `git describe` said, else what Go knows
	Commit  string // of the tree, in full
	Changed bool   // the tree had changes that were not committed
	Go      string // version and system
}

// ThisBuild describes the running program. What nobody knew at build time is "unknown": a tarball has no commit.
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

// Text is what the program of that name answers to --version; module says which PKCS#11 module it uses.
func (b Build) Text(program, module string) string {
	commit := b.Commit
	if b.Changed {
		commit += ", with changes"
	}
	return fmt.Sprintf("%s %s\ncommit:  %s\nGo:      %s\nPKCS#11: %s\n", program, b.Version, commit, b.Go, module)
}
