package ceremony

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// runningProgram returns the SHA-256 of the program that runs, in hexadecimal, as `sha256sum` prints it. The link of Linux leads to
// the octets that run, also if somebody has put another program in their place since the start.
func runningProgram() (string, error) {
	file, err := os.Open("/proc/self/exe")
	if errors.Is(err, fs.ErrNotExist) {
		file, err = openProgram()
	}
	if err != nil {
		return "", fmt.Errorf("reading the running program: %w", err)
	}
	sum := sha256.New()
	_, err = io.Copy(sum, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("reading the running program: %w", err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

// openProgram opens the program by its name, for systems that have no such link.
func openProgram() (*os.File, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}
