package station

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestABuildIsDescribed(t *testing.T) {
	stamped := &debug.BuildInfo{
		Main:     debug.Module{Version: "v0.0.0-20261123041115-8625807eeec4"},
		Settings: []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "8625807eeec4"}, {Key: "vcs.modified", Value: "true"}},
	}
	system := runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	for _, test := range []struct {
		name, version string
		info          *debug.BuildInfo
		want          Build
	}{
		{"by make, in a tree with changes", "v1.2-3-g8625807", stamped, Build{"v1.2-3-g8625807", "8625807eeec4", true, system}},
		{"by go build alone", "", stamped, Build{"v0.0.0-20261123041115-8625807eeec4", "8625807eeec4", true, system}},
		{"by go build where git does not answer", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, Build{"unknown", "unknown", false, system}},
		{"by make from a tarball that says its version", "1.2", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, Build{"1.2", "unknown", false, system}},
		{"without module information", "", nil, Build{"unknown", "unknown", false, system}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := describe(test.version, test.info); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestTheTextOfABuild(t *testing.T) {
	build := Build{Version: "v1.2", Commit: "8625807eeec4", Changed: true, Go: "go1.26.0 linux/amd64"}
	want := "station v1.2\ncommit:  8625807eeec4, with changes\nGo:      go1.26.0 linux/amd64\nPKCS#11: none\n"
	if got := build.Text("station", "none"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
