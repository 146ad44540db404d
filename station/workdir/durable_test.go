package workdir

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestFilesAreWrittenWholeAndLeaveNothingElse(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b")
	if err := WriteFiles(File{Path: filepath.Join(deep, "x"), Content: []byte("new x")}, File{Path: filepath.Join(root, "y"), Content: nil}, File{Path: filepath.Join(deep, "z"), Content: []byte("z")}); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(deep, "x"), []byte("newer")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"a/b/x": "newer", "y": "", "a/b/z": "z"} {
		path = filepath.Join(root, path)
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", path, got, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if info, err := os.Stat(deep); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info.Mode(), err)
	}
	holds(t, deep, "x", "z")
}

func TestAFileThatCannotBeWrittenLeavesTheOthersAsTheyWere(t *testing.T) {
	root := t.TempDir()
	x := filepath.Join(root, "x")
	if err := WriteFile(x, []byte("old")); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"a file stands in the way of a directory": filepath.Join(x, "y"), "no device has such a directory": "/proc/none/y"} {
		t.Run(name, func(t *testing.T) {
			if err := WriteFiles(File{Path: x, Content: []byte("new")}, File{Path: path, Content: []byte("y")}); err == nil {
				t.Error("no error")
			}
			if got, err := os.ReadFile(x); err != nil || string(got) != "old" {
				t.Errorf("x holds %q, %v", got, err)
			}
			holds(t, root, "x")
		})
	}
	if err := WriteFile(root, nil); !errors.Is(err, syscall.EEXIST) && !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a directory as file: %v", err)
	}
}

// holds checks that a directory holds exactly these names.
func holds(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if len(got) != len(want) {
		t.Errorf("%s holds %q, want %q", folder, got, want)
	}
}
