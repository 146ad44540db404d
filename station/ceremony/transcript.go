package ceremony

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// The transcript says what happened in a ceremony, as JSON lines. Each line names the SHA-256 of the line before
// it, so that no line can be changed or taken out alone. The key of the ceremony signs the whole file, and the text for people:
// `openssl dgst -sha256 -verify key.pub -signature transcript.sig transcript.jsonl`.

// transcriptFiles are the files that each ceremony writes.
var transcriptFiles = []string{"key.pub", "transcript.jsonl", "transcript.txt", "transcript.txt.sig", "transcript.sig"}

// unfinished is the transcript of a ceremony that has not ended.
const unfinished = "transcript.unfinished"

// inputSum ends the name of the fact that has the hash of an input.
const inputSum = "_sha256"

// ErrTranscript: the transcript of a ceremony that was stopped is not the one that the ceremony wrote.
var ErrTranscript = reason.New("transcript-damaged", "the transcript in the directory is not that of a ceremony that was stopped")

// damaged refuses a transcript. Another version, too, may have written it, so the text says the way out.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s; it was changed, or another version of this program wrote it: keep the directory with the papers, and begin again with another directory in out and, for a ceremony that makes a key, another label",
		ErrTranscript, fmt.Sprintf(format, args...))
}

// An entry of a transcript.
type entry struct {
	Seq      int               `json:"seq"`
	Previous string            `json:"previous"` // SHA-256 of the line before; empty in the first line
	At       string            `json:"at"`
	What     string            `json:"what"`
	Facts    map[string]string `json:"facts"`
}

type transcript struct {
	folder  string
	file    *os.File
	now     func() time.Time
	show    io.Writer
	text    []byte
	lines   []entry
	resumed bool // a ceremony with the same file was stopped
	ended   bool // that ceremony has written all its results, and was stopped after the last one
}

// openTranscript makes the directory for the results and begins the transcript, or goes on with the transcript
// of a ceremony that was stopped.
func openTranscript(folder string, a *Act) (*transcript, error) {
	t := &transcript{folder: folder, now: a.now, show: a.Show}
	begin := a.begin()
	err := os.Mkdir(folder, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return t, t.resume(begin, a.named)
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOutput, err)
	}
	if t.file, err = workdir.OpenJournal(filepath.Join(folder, unfinished), os.O_CREATE|os.O_EXCL); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOutput, err)
	}
	if err := t.add("begin", begin); err != nil { // nothing has happened, so nothing stays
		return nil, errors.Join(err, t.file.Close(), os.Remove(t.file.Name()), os.Remove(folder))
	}
	return t, workdir.SyncFolder(folder)
}

// begin are the facts of the first line.
func (a *Act) begin() map[string]string {
	begin := map[string]string{
		"ceremony": a.File.Ceremony, "file_sha256": hexSum(a.Text), "file": string(a.Text), "program": a.Program, "program_sha256": a.running, "operator": instance.LocalUser(),
	}
	for _, file := range a.named {
		begin[file.key+inputSum] = file.sum
	}
	return begin
}

// checkStopped reads the transcript of a ceremony that was stopped, and refuses that of another ceremony, so that a dry run says it, too.
func (a *Act) checkStopped() error {
	path := filepath.Join(a.out(), unfinished)
	text, err := workdir.ReadInput(path, workdir.MaxFile)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOutput, err)
	}
	lines, err := parseTranscript(text[:bytes.LastIndexByte(text, '\n')+1])
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(lines) == 0 {
		return nil
	}
	return sameCeremony(a.out(), lines[0], a.begin(), a.named)
}

// sameCeremony refuses a transcript whose first line is of another file, or of other inputs.
func sameCeremony(folder string, first entry, begin map[string]string, named []inputFile) error {
	if first.What != "begin" || first.Facts["ceremony"] != begin["ceremony"] || first.Facts["file"] != begin["file"] || first.Facts["file_sha256"] != begin["file_sha256"] {
		return fmt.Errorf("%w: %s holds a stopped ceremony of another file; give the file that it has in its first line, or name another directory in out", ErrOutput, folder)
	}
	for _, file := range named {
		if first.Facts[file.key+inputSum] != file.sum {
			return fmt.Errorf("%w: %s is not the file that it was when the ceremony began; put that file back, or name another directory in out", ErrOutput, file.path)
		}
	}
	return nil
}

// stoppedIn reports whether the directory holds a ceremony that was stopped. It refuses any other directory that exists.
func stoppedIn(folder string) (bool, error) {
	if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		return false, canMake(folder)
	}
	_, err := os.Lstat(filepath.Join(folder, unfinished))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return false, notStopped(folder)
	} else if err != nil {
		return false, fmt.Errorf("%w: %w", ErrOutput, err)
	}
	return true, nil
}

// canMake refuses a path at which no directory can be made.
func canMake(folder string) error {
	above := filepath.Dir(folder)
	what, next := "", "make it first, or name another directory in out"
	switch info, err := os.Stat(above); {
	case errors.Is(err, fs.ErrNotExist):
		what = "does not exist"
	case err != nil:
		what = fmt.Sprintf("cannot be read (%v)", err)
	case !info.IsDir():
		what, next = "is no directory", "name another directory in out"
	case errors.Is(unix.Access(above, unix.W_OK|unix.X_OK), unix.EROFS):
		what, next = "is on a file system that cannot be written", "name a directory elsewhere in out"
	case unix.Access(above, unix.W_OK|unix.X_OK) != nil:
		what, next = "cannot be written by the user "+instance.LocalUser(), "change its mode or the user, or name another directory in out"
	default:
		return nil
	}
	return fmt.Errorf("%w: the directory %s, in which out is to be made, %s; %s", ErrOutput, above, what, next)
}

// notStopped says what a path for the results is, in which no ceremony was stopped.
func notStopped(folder string) error {
	what, next := "exists and holds no ceremony that was stopped", "name a new directory in out"
	entries, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		what = "is a link that leads nowhere"
	case err != nil:
		what = "exists and is no directory that can be read"
	case len(entries) == 0:
		what, next = "is an empty directory, and the ceremony makes its own", "remove the directory, or name a new one in out"
	case slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "transcript.sig" }):
		what, next = "holds a ceremony that is finished", "use its results; for another ceremony name a new directory in out"
	}
	return fmt.Errorf("%w: %s %s; %s", ErrOutput, folder, what, next)
}

// resume reads the transcript of a ceremony that was stopped.
func (t *transcript) resume(begin map[string]string, named []inputFile) (err error) {
	path := filepath.Join(t.folder, unfinished)
	t.file, err = workdir.OpenJournal(path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return notStopped(t.folder)
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrOutput, err)
	}
	if err := t.goOn(path, begin, named); err != nil {
		return errors.Join(err, t.file.Close())
	}
	return nil
}

// goOn continues the transcript in t.file, if it is that of a ceremony with the same file and the same inputs.
func (t *transcript) goOn(path string, begin map[string]string, named []inputFile) error {
	text, err := io.ReadAll(io.LimitReader(t.file, workdir.MaxFile+1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOutput, err)
	}
	if len(text) > workdir.MaxFile {
		return fmt.Errorf("%s: %w", path, damaged("it has more than %d octets", workdir.MaxFile))
	}
	// A power cut can tear the line that was written last. The ceremony goes on only when a line is on the disk, so a torn
	// line says nothing that happened.
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	if t.lines, err = parseTranscript(whole); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(whole) == 0 {
		if err := t.cut(0); err != nil {
			return err
		}
		return t.add("begin", begin)
	}
	if err := sameCeremony(t.folder, t.lines[0], begin, named); err != nil {
		return err
	}
	if err := t.cut(len(whole)); err != nil {
		return err
	}
	t.text, t.resumed = whole, true
	if t.ended, err = t.complete(); t.ended || err != nil {
		return err
	}
	resumed := map[string]string{"operator": begin["operator"], "program": begin["program"], "program_sha256": begin["program_sha256"]}
	if torn := len(text) - len(whole); torn > 0 {
		resumed["torn_octets"] = strconv.Itoa(torn)
	}
	return t.add("resumed", resumed)
}

// cut shortens the file to its whole lines.
func (t *transcript) cut(octets int) error {
	if err := t.file.Truncate(int64(octets)); err != nil {
		return fmt.Errorf("%w: %w", ErrOutput, err)
	}
	return nil
}

// parseTranscript reads the lines and checks that each names the one before it.
func parseTranscript(text []byte) (lines []entry, err error) {
	previous := ""
	for row := range bytes.Lines(text) {
		var one entry
		decoder := json.NewDecoder(bytes.NewReader(row))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&one); err != nil || len(bytes.TrimSpace(row[decoder.InputOffset():])) > 0 || one.Seq != len(lines) || one.Previous != previous {
			return nil, damaged("line %d does not follow the line before it", len(lines)+1)
		}
		lines, previous = append(lines, one), hexSum(row)
	}
	return lines, nil
}

func hexSum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// add appends a line. The line is on the disk before the ceremony goes on. Texts of a token that cannot be read are escaped.
func (t *transcript) add(what string, facts map[string]string) error {
	facts = maps.Clone(facts)
	for key, value := range facts {
		if !slices.Contains(severalLines, key) {
			facts[key] = shown(value)
		}
	}
	one := entry{Seq: len(t.lines), At: t.now().UTC().Format(time.RFC3339), What: what, Facts: facts}
	if len(t.text) > 0 {
		_, last := cutLast(t.text)
		one.Previous = hexSum(last)
	}
	row, err := json.Marshal(one)
	if err != nil {
		return err
	}
	row = append(row, '\n')
	if _, err := t.file.Write(row); err != nil { // without a part of a line, the same ceremony can go on
		return errors.Join(fmt.Errorf("%w: %w", ErrOutput, err), t.file.Truncate(int64(len(t.text))))
	}
	if err := t.file.Sync(); err != nil {
		return fmt.Errorf("%w: %w", ErrOutput, err)
	}
	t.text, t.lines = append(t.text, row...), append(t.lines, one)
	_, err = io.WriteString(t.show, one.readable(false))
	return err
}

// cutLast splits off the last line, with its line feed.
func cutLast(text []byte) (before, last []byte) {
	at := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	return text[:at], text[at:]
}

func (t *transcript) close() error { return t.file.Close() }
