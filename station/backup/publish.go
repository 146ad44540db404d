package backup

import (
	"path/filepath"

	"hallmark/station/workdir"
)

// publish gives a finished directory or tar file its name. The content is on the disk before
// the name is. An existing file or directory is not replaced.
func publish(source, name string) error {
	if err := workdir.Sync(source); err != nil {
		return err
	}
	if err := workdir.RenameNew(source, name); err != nil {
		return err
	}
	return workdir.Sync(filepath.Dir(name))
}
