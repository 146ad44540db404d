package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Names of files that this package looks into.
const (
	registryFile     = "registry.db"
	markFile         = "registry.mark"
	serverKeyFile    = "pki/verifier.key"
	auditKeyFile     = "pki/audit.vkey"
	certificateDir   = "certificates"
	sumsFile         = "SHA256SUMS"
	descriptionFile  = "backup.json"
	certificateFiles = certificateDir + "/*.pem"
)

// A backup has these files and no others: an unknown file of a station directory may hold a
// secret.
var (
	needed   = []string{"station.yaml", "profile.yaml", "pki/root.pem", "pki/issuing.pem", "pki/verifier.pem", serverKeyFile, auditKeyFile, "pki/audit.pub.pem"}
	optional = []string{"profile-cose.yaml", "badges.yaml", "pki/audit.pem"}
)

// belongs reports whether a backup may have a file of this name.
func belongs(name string) bool {
	certificate, _ := path.Match(certificateFiles, name)
	return certificate && !strings.HasPrefix(path.Base(name), ".") ||
		slices.Contains(slices.Concat(needed, optional, []string{registryFile, markFile, descriptionFile}), name)
}

// A copier copies files into a directory or into a tar file, and keeps their SHA-256. Files
// of a tar file are not copied into the directory before, except the registry: ext4 gives out
// inodes slowly for a while after many files were removed, and the line needs new files, too.
type copier struct {
	from, to string
	archive  *tar.Writer // nil for a directory
	pace     *pace
	sums     map[string]string // SHA-256 in hex, by the path in the backup
}

// settings copies configuration and pki, and gives the mode of each file.
func (c *copier) settings(ctx context.Context) (map[string]string, error) {
	modes := map[string]string{}
	for _, name := range slices.Concat(needed, optional) {
		mode, err := c.copy(ctx, name)
		if errors.Is(err, fs.ErrNotExist) && slices.Contains(optional, name) {
			continue
		} else if err != nil {
			return nil, err
		}
		modes[name] = fmt.Sprintf("%04o", mode)
	}
	return modes, nil
}

// certificates copies the files of the boards' certificates. Files that a station is just
// writing have another name.
func (c *copier) certificates(ctx context.Context) error {
	folder, err := os.ReadDir(filepath.Join(c.from, certificateDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no board has passed yet
	} else if err != nil {
		return err
	}
	for _, file := range folder {
		name := path.Join(certificateDir, file.Name())
		if !belongs(name) {
			continue
		}
		if _, err := c.copy(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// copy copies one regular file. A link is refused: it may lead to a file that no backup may have.
func (c *copier) copy(ctx context.Context, name string) (fs.FileMode, error) {
	in, err := os.OpenFile(filepath.Join(c.from, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0) // O_NONBLOCK: a FIFO must not hold up the backup
	if errors.Is(err, unix.ELOOP) {
		return 0, fmt.Errorf("%s is a link; put the file itself in its place", name)
	} else if err != nil {
		return 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		return 0, err
	}
	return info.Mode().Perm(), c.put(ctx, name, in, info.Size())
}

// put writes one file of the backup.
func (c *copier) put(ctx context.Context, name string, content io.Reader, size int64) error {
	sum := sha256.New()
	defer c.add(name, sum)
	content = io.TeeReader(content, sum)
	if c.archive == nil {
		return newFile(ctx, filepath.Join(c.to, name), content, c.pace)
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := c.archive.WriteHeader(header); err != nil {
		return err
	}
	return inPieces(ctx, c.archive, content, c.pace)
}

// staged adds a file that lies in the directory already.
func (c *copier) staged(ctx context.Context, name string) error {
	in, err := os.Open(filepath.Join(c.to, name))
	if err != nil {
		return err
	}
	defer in.Close()
	if c.archive == nil {
		sum := sha256.New()
		defer c.add(name, sum)
		return inPieces(ctx, sum, in, c.pace)
	}
	info, err := in.Stat()
	if err != nil {
		return err
	}
	return c.put(ctx, name, in, info.Size())
}

func (c *copier) add(name string, sum hash.Hash) {
	if c.sums == nil {
		c.sums = map[string]string{}
	}
	c.sums[name] = fmt.Sprintf("%x", sum.Sum(nil))
}

// newFile makes a file with mode 0600.
func newFile(ctx context.Context, path string, content io.Reader, p *pace) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(inPieces(ctx, out, content, p), out.Close())
}

// pieceSize is the most that is copied between two rests.
const pieceSize = 256 << 10

// inPieces copies, and rests after each piece.
func inPieces(ctx context.Context, to io.Writer, from io.Reader, p *pace) error {
	for {
		var n int64
		err := p.do(ctx, func() (err error) {
			n, err = io.CopyN(to, from, pieceSize)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		})
		if err != nil || n < pieceSize {
			return err
		}
	}
}
