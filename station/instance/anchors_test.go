package instance_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/instance"
)

// A link in the directory of anchors is an anchor, as the file that it names. A link that names nothing is
// refused: the start would otherwise not compare what somebody put there.
func TestALinkInTheDirectoryOfAnchorsIsRead(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	config := append(read(t, dir.Config()), "anchors: anchors\n"...)
	outside := t.TempDir()
	if err := errors.Join(os.WriteFile(dir.Config(), config, 0o600), os.Mkdir(dir.In("anchors"), 0o700),
		os.WriteFile(filepath.Join(outside, "text"), []byte("hello\n"), 0o600), os.Mkdir(filepath.Join(outside, "folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for name, refused := range map[string]bool{"text": true, "nothing": true, "folder": false} {
		t.Run(name, func(t *testing.T) {
			link := filepath.Join(dir.In("anchors"), name)
			if err := os.Symlink(filepath.Join(outside, name), link); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(link)
			files := fixtures.Must(instance.OpenFiles(dir, instance.Options{}))(t)
			_, err := files.OpenRecord(t.Context())
			if errors.Is(err, instance.ErrAnchorFile) != refused || !refused && err != nil {
				t.Errorf("got %v", err)
			}
			if err := files.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
