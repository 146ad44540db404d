package workdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// ErrWritable: everybody on this machine could change what the station reads, and station.yaml names a PKCS#11
// module, which runs as code of the station.
var ErrWritable = reason.New("writable-by-others", "everybody may write here, and so decide what the station signs and which code it runs")

// CheckModes refuses a station directory that everybody may write, or that has such a file or directory. A group may
// write: an administrator who shares a directory among the engineers of a group has chosen so.
func (d Dir) CheckModes() error {
	for _, path := range []string{
		string(d), d.Config(), d.Profile(), d.COSEProfile(), d.Badges(), d.Registry(), d.Registry() + "-wal", d.Mark(), d.Notices(),
		d.HSM(), d.In("hsm", "softhsm2.conf"), d.In("pki"), d.Root(), d.Issuing(), d.Server(), d.ServerKey(), d.AuditKey(), d.AuditPublic(), d.AuditCertificate(), d.OCSP(), d.OCSPKey(),
	} {
		if err := checkMode(path); err != nil {
			return err
		}
	}
	return nil
}

func checkMode(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // whoever needs the file says that it is missing
	} else if err != nil {
		return fmt.Errorf("looking at the modes of the station directory: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o002 != 0 {
		return fmt.Errorf("%s has mode %04o: %w; look whether somebody changed it, then `chmod o-w %s`", path, mode, ErrWritable, path)
	}
	return nil
}

// ErrOthersCode: the owner of a file is anybody who may write into its directory.
var ErrOthersCode = errors.New("everybody may make files in this directory, and another user made this one; install it where only root or the user of the station may write")

// CheckCode refuses a file whose content runs as code of the station if everybody may write it, or replace it, or may have made it.
func CheckCode(path string) error {
	if err := checkMode(path); err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if info, err := os.Stat(folder); err == nil && info.Mode()&os.ModeSticky != 0 {
		return checkMaker(path, info) // nobody replaces the file of another user there, but anybody may have made it
	}
	return checkMode(folder)
}

// checkMaker refuses a file of another user in a folder with the sticky bit that everybody may write.
func checkMaker(path string, folder fs.FileInfo) error {
	var status unix.Stat_t
	err := unix.Stat(path, &status)
	switch {
	case folder.Mode().Perm()&0o002 == 0 || errors.Is(err, fs.ErrNotExist): // whoever needs the file says that it is missing
		return nil
	case err != nil:
		return fmt.Errorf("looking at the owner of %s: %w", path, err)
	case status.Uid != 0 && int(status.Uid) != os.Geteuid():
		return reason.Usage(fmt.Errorf("%s: %w", path, ErrOthersCode))
	}
	return nil
}

// ReadCode reads a small regular file whose commands or programs the station runs: a board definition, or a recipe for
// a programmer. It refuses what CheckCode refuses.
func ReadCode(path string) ([]byte, error) {
	if err := CheckCode(path); err != nil {
		return nil, err
	}
	return ReadFile(path)
}
