package workdir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/station/reason"
)

// Whoever may change something on the way to the file may put other code in its place.
func TestCodeThatSomebodyElseMayChangeIsRefused(t *testing.T) {
	const somebody = 4711
	for name, test := range map[string]struct {
		prepare func(root string) (path string, err error) // root has open/in/x.yaml and safe/x.yaml
		want    error
	}{
		"a file of this user": {func(root string) (string, error) { return root + "/safe/x.yaml", nil }, nil},
		"a file in a folder that everybody writes": {func(root string) (string, error) {
			return root + "/open/x.yaml", os.Chmod(root+"/open", 0o777)
		}, ErrWritable},
		"a file below a folder that everybody writes": {func(root string) (string, error) {
			return root + "/open/in/x.yaml", os.Chmod(root+"/open", 0o777)
		}, ErrWritable},
		"a file in a sticky folder": {func(root string) (string, error) {
			return root + "/open/in/x.yaml", os.Chmod(root+"/open", 0o777|os.ModeSticky)
		}, nil},
		"a link to a file in a folder that everybody writes": {func(root string) (string, error) {
			return root + "/safe/link.yaml", errors.Join(os.Symlink("../open/in/x.yaml", root+"/safe/link.yaml"), os.Chmod(root+"/open/in", 0o777))
		}, ErrWritable},
		"a link in a folder that everybody writes": {func(root string) (string, error) {
			return root + "/open/link.yaml", errors.Join(os.Symlink(root+"/safe/x.yaml", root+"/open/link.yaml"), os.Chmod(root+"/open", 0o777))
		}, ErrWritable},
		"a link to a link in a folder that everybody writes": {func(root string) (string, error) {
			return root + "/first", errors.Join(os.Symlink("open/in/second", root+"/first"), os.Symlink(root+"/safe/x.yaml", root+"/open/in/second"), os.Chmod(root+"/open/in", 0o777))
		}, ErrWritable},
		"a file of somebody else": {func(root string) (string, error) {
			return root + "/safe/x.yaml", os.Chown(root+"/safe/x.yaml", somebody, -1)
		}, ErrForeign},
		"a file in a folder of somebody else": {func(root string) (string, error) {
			return root + "/open/in/x.yaml", os.Chown(root+"/open", somebody, -1)
		}, ErrForeign},
		"a link of somebody else": {func(root string) (string, error) {
			return root + "/safe/link.yaml", errors.Join(os.Symlink("x.yaml", root+"/safe/link.yaml"), os.Lchown(root+"/safe/link.yaml", somebody, -1))
		}, ErrForeign},
		"a file that is missing": {func(root string) (string, error) { return root + "/safe/y.yaml", nil }, nil},
		"a file below a file":    {func(root string) (string, error) { return root + "/safe/x.yaml/y", nil }, nil},
		"a link to itself":       {func(root string) (string, error) { return root + "/loop", os.Symlink("loop", root+"/loop") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, path := range []string{"open/in/x.yaml", "open/x.yaml", "safe/x.yaml"} {
				if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o700), os.WriteFile(filepath.Join(root, path), nil, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			path, err := test.prepare(root)
			if errors.Is(test.want, ErrForeign) && os.Geteuid() != 0 && errors.Is(err, os.ErrPermission) {
				path, test.want = "/", nil // only root gives a file to somebody else
			} else if err != nil {
				t.Fatal(err)
			}
			err = CheckCode(path)
			if !errors.Is(err, test.want) || err != nil && (reason.ExitOf(err) != reason.ExitUsage || !strings.Contains(err.Error(), "look whether somebody changed it")) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if strings.Contains(name, "folder of somebody else") && err != nil && strings.Contains(err.Error(), "chown") {
				t.Errorf("the folder may be the home of a person: %v", err)
			}
			if errors.Is(test.want, ErrForeign) {
				test.want = nil // the owner does not count
			}
			if err := CheckWriters(path); !errors.Is(err, test.want) {
				t.Errorf("who may write: got %v, want %v", err, test.want)
			}
		})
	}
}
