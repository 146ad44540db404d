package workdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// temporaryPrefix begins the names that files have while they are written.
const temporaryPrefix = ".new-"

// RemoveTemporary removes the files that a killed process had begun to write in a directory.
// Nobody else may write there meanwhile.
func RemoveTemporary(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), temporaryPrefix) {
			err = errors.Join(err, os.Remove(filepath.Join(folder, entry.Name())))
		}
	}
	return err
}

// A File is a file that WriteFiles writes.
type File struct {
	Path    string
	Content []byte
	Mode    fs.FileMode // 0: 0600
}

// WriteFile writes one file as WriteFiles does.
func WriteFile(path string, content []byte) error {
	return WriteFiles(File{Path: path, Content: content})
}

// WriteFiles writes files with mode 0600 unless they name another, and makes missing directories with mode 0700. After
// a crash or a power cut each file has its old content or its whole new content: the content
// is on the disk before the file gets its name, and the name is on the disk before WriteFiles
// returns. Many files in one call share the sync of their directory.
func WriteFiles(files ...File) (err error) {
	var made []string // temporary names, in the order of files
	defer func() {
		if err != nil {
			for _, name := range made {
				os.Remove(name) // fails for a file that has its name already
			}
		}
	}()
	for _, file := range files {
		name, err := writeTemporary(file)
		if err != nil {
			return fmt.Errorf("writing %s: %w", file.Path, err)
		}
		made = append(made, name)
	}
	var folders []string
	for i, file := range files {
		if err := os.Rename(made[i], file.Path); err != nil {
			return err
		}
		folders = append(folders, filepath.Dir(file.Path))
	}
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		if err := SyncFolder(folder); err != nil {
			return err
		}
	}
	return nil
}

// writeTemporary brings the content to the disk under a temporary name beside the file.
func writeTemporary(file File) (name string, err error) {
	folder := filepath.Dir(file.Path)
	if err := makeFolder(folder); err != nil {
		return "", err
	}
	temporary, err := os.CreateTemp(folder, temporaryPrefix+"*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = temporary.Write(file.Content)
	if err == nil && file.Mode != 0 {
		err = temporary.Chmod(file.Mode)
	}
	if err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err != nil {
		return "", errors.Join(err, os.Remove(temporary.Name()))
	}
	return temporary.Name(), nil
}

// makeFolder makes a directory with its parents, and brings each new name to the disk.
func makeFolder(folder string) error {
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeFolder(filepath.Dir(folder)); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncFolder(filepath.Dir(folder))
}

// SyncFolder brings the names in a directory to the disk.
func SyncFolder(path string) error {
	if err := syncPath(path); err != nil {
		return fmt.Errorf("bringing the names in %s to the disk: %w", path, err)
	}
	return nil
}

// Rename gives a finished file its name, and replaces a file that has the name. The content is
// on the disk before the file gets its name, and the name is on the disk before Rename returns.
func Rename(from, to string) error {
	if err := syncPath(from); err != nil {
		return fmt.Errorf("bringing %s to the disk: %w", from, err)
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(to))
}

func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// SyncOutput brings an output to the disk if the output is a file. Pipes and terminals have no disk.
func SyncOutput(w io.Writer) error {
	file, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return file.Sync()
}
