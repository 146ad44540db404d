package workdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

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
	if info.Mode().Perm()&0o002 != 0 {
		return writable(path, info)
	}
	return nil
}

func writable(path string, info fs.FileInfo) error {
	return fmt.Errorf("%s has mode %04o: %w; look whether somebody changed it, then `chmod o-w %s`", path, info.Mode().Perm(), ErrWritable, path)
}

// ReadCode reads a small regular file whose commands or programs the station runs: a board definition, or a recipe for
// a programmer. It refuses what CheckCode refuses.
func ReadCode(path string) ([]byte, error) {
	if err := CheckCode(path); err != nil {
		return nil, err
	}
	return ReadFile(path)
}
