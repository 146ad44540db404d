package backup

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"hallmark/station/evidence"
)

// format is the version of what a backup holds.
const format = "hallmark-backup-1"

// A description is backup.json.
type description struct {
	Format  string            `json:"format"`
	Station string            `json:"station"`
	Version string            `json:"version"` // of the program
	Made    time.Time         `json:"made"`
	Entries int64             `json:"entries"` // of the audit log
	Root    string            `json:"root"`    // of the audit log, base64
	Modes   map[string]string `json:"modes"`   // of configuration and pki, octal; all other files have 0600
}

func (c *copier) describe(ctx context.Context, d description) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	return c.put(ctx, descriptionFile, bytes.NewReader(text), int64(len(text)))
}

// writeSums writes SHA256SUMS as sha256sum of coreutils reads it, and gives its SHA-256.
func (c *copier) writeSums(ctx context.Context) (string, error) {
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(c.sums)) {
		text.WriteString(sumLine(c.sums[name], name))
	}
	sum := sha256.Sum256(text.Bytes())
	return fmt.Sprintf("%x", sum), c.put(ctx, sumsFile, &text, int64(text.Len()))
}

func sumLine(sum, name string) string { return sum + "  " + name + "\n" }

// readSums reads SHA256SUMS, which must be as writeSums writes it, and gives its SHA-256.
func readSums(files *evidence.Files) (sums map[string]string, own string, err error) {
	in, err := files.Open(sumsFile)
	if err != nil {
		return nil, "", fmt.Errorf("%w: it has no %s", ErrNoBackup, sumsFile)
	}
	defer in.Close()
	whole, last := sha256.New(), ""
	sums = map[string]string{}
	lines := bufio.NewScanner(io.TeeReader(in, whole))
	lines.Split(keepNewline)
	for lines.Scan() {
		sum, name, _ := strings.Cut(strings.TrimSuffix(lines.Text(), "\n"), "  ")
		if len(sum) != 2*sha256.Size || name <= last || lines.Text() != sumLine(sum, name) {
			return nil, "", fmt.Errorf("%w: line %d of %s is not a digest and a path", ErrDamaged, len(sums)+1, sumsFile)
		}
		sums[name], last = sum, name
	}
	if lines.Err() != nil {
		return nil, "", fmt.Errorf("%w: %s: %w", ErrDamaged, sumsFile, lines.Err())
	}
	return sums, fmt.Sprintf("%x", whole.Sum(nil)), nil
}

// keepNewline is bufio.ScanLines, and leaves the end of each line as it is.
func keepNewline(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
