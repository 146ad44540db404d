package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/evidence"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// newStation makes a station directory with one file of each kind, and files that no backup may have.
func newStation(t *testing.T) workdir.Dir {
	t.Helper()
	dir := fixtures.NewDirectory(t)
	must(t, workdir.WriteFiles(
		workdir.File{Path: dir.Badges(), Content: []byte("OP-1: {id: anna, name: Anna}\n")},
		workdir.File{Path: dir.COSEProfile(), Content: []byte("profile:\n")},
		workdir.File{Path: dir.In("certificates", "board.pem"), Content: []byte("certificate\n")},
		workdir.File{Path: dir.In("certificates", ".new-1.pem"), Content: []byte("half\n")},
		workdir.File{Path: dir.In("bays", "posix-1", "1", "fuses"), Content: []byte("fuses\n")},
		workdir.File{Path: dir.In("pki", "pin"), Content: []byte(fixtures.PINOf(t, dir))},
	))
	must(t, os.Chmod(dir.Root(), 0o644))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func makes(t *testing.T, dir workdir.Dir, to string) Made {
	t.Helper()
	return fixtures.Must((&Backup{Dir: dir, To: to, Operator: "anna", Now: time.Now}).Make(t.Context()))(t)
}

func restores(t *testing.T, from string, dir workdir.Dir) (Restored, error) {
	t.Helper()
	return (&Restore{From: from, Dir: dir, Operator: "berta", Now: time.Now}).Do(t.Context())
}

func TestABackupIsRestoredWithItsModesAndBothAreOnRecord(t *testing.T) {
	dir := newStation(t)
	for _, name := range []string{"B", "B.tar"} {
		t.Run(name, func(t *testing.T) {
			from := filepath.Join(t.TempDir(), name)
			made := makes(t, dir, from)
			to := workdir.Dir(filepath.Join(t.TempDir(), "new"))
			restored := fixtures.Must(restores(t, from, to))(t)
			if restored.Head != made.Head || restored.Files != made.Files || !restored.Demo || restored.Station != "demo" {
				t.Errorf("restored %+v of %+v", restored, made)
			}
			for _, path := range append(slices.Concat(needed, optional), "certificates/board.pem") {
				same(t, dir.In(path), to.In(path))
			}
			holdsOnly(t, filepath.Dir(from), name)
			holdsOnly(t, filepath.Dir(string(to)), "new")
			starts(t, to)
			if !fixtures.HasEntry(t, to, instance.RestoreDone, "berta", map[string]string{"sums_sha256": made.Sums, "from": name}) {
				t.Error("the restore is not on record")
			}
			starts(t, dir)
			if !fixtures.HasEntry(t, dir, instance.BackupDone, "anna", map[string]string{"registry_sha256": made.Registry, "root": made.Root.String(), "to": name}) {
				t.Error("the backup is not on record")
			}
			holdsOnly(t, dir.Notices())
		})
	}
}

// starts opens the registry as a start does, and verifies the log.
func starts(t *testing.T, dir workdir.Dir) {
	t.Helper()
	files := fixtures.Must(instance.OpenFiles(dir, instance.Options{}))(t)
	defer func() { must(t, files.Close()) }()
	record := fixtures.Must(files.OpenRecord(t.Context()))(t)
	key := fixtures.Must(os.ReadFile(dir.AuditKey()))(t)
	fixtures.Must(record.Registry.VerifyAudit(t.Context(), strings.TrimSpace(string(key))))(t)
}

// same checks that two files have the same content and mode.
func same(t *testing.T, a, b string) {
	t.Helper()
	if x, y := fixtures.Must(os.ReadFile(a))(t), fixtures.Must(os.ReadFile(b))(t); !bytes.Equal(x, y) {
		t.Errorf("%s and %s differ", a, b)
	}
	if x, y := fixtures.Must(os.Stat(a))(t), fixtures.Must(os.Stat(b))(t); x.Mode() != y.Mode() {
		t.Errorf("%s has mode %v, %s has %v", a, x.Mode(), b, y.Mode())
	}
}

func holdsOnly(t *testing.T, folder string, want ...string) {
	t.Helper()
	var got []string
	for _, entry := range fixtures.Must(os.ReadDir(folder))(t) {
		got = append(got, entry.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", folder, got, want)
	}
}

func TestNoFileOfABackupHoldsASecretOfTheToken(t *testing.T) {
	dir := newStation(t)
	to := filepath.Join(t.TempDir(), "B")
	makes(t, dir, to)
	fixtures.Nowhere(t, workdir.Dir(to), fixtures.PINOf(t, dir))
	files := fixtures.Must(evidence.OpenTree(to))(t)
	for _, name := range files.Names() {
		if name != sumsFile && !belongs(name) {
			t.Errorf("the backup has %s", name)
		}
	}
}

func TestAFlippedOctetInAnyFileIsRefused(t *testing.T) {
	dir := newStation(t)
	whole := filepath.Join(t.TempDir(), "B")
	makes(t, dir, whole)
	files := fixtures.Must(evidence.OpenTree(whole))(t)
	if len(files.Names()) < 15 {
		t.Fatalf("the backup has only %q", files.Names())
	}
	for _, name := range files.Names() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(whole, name)
			content := fixtures.Must(os.ReadFile(path))(t)
			defer func() { must(t, os.WriteFile(path, content, 0o600)) }()
			for _, at := range []int{0, len(content) / 2, len(content) - 1} {
				flipped := bytes.Clone(content)
				flipped[at] ^= 0x20
				must(t, os.WriteFile(path, flipped, 0o600))
				refuses(t, whole, ErrDamaged)
			}
		})
	}
}

// refuses checks that a backup is not restored, and that nothing is left of it.
func refuses(t *testing.T, from string, want error) {
	t.Helper()
	parent := t.TempDir()
	if _, err := restores(t, from, workdir.Dir(filepath.Join(parent, "new"))); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	holdsOnly(t, parent)
}

func TestABackupWithOtherFilesIsRefused(t *testing.T) {
	dir := newStation(t)
	for name, c := range map[string]struct {
		harm func(t *testing.T, backup string)
		want error
	}{
		"a file is missing": {func(t *testing.T, b string) { must(t, os.Remove(filepath.Join(b, "pki/root.pem"))) }, ErrDamaged},
		"a file is cut off": {func(t *testing.T, b string) { must(t, os.Truncate(filepath.Join(b, registryFile), 4096)) }, ErrDamaged},
		"a file was added": {func(t *testing.T, b string) {
			must(t, os.WriteFile(filepath.Join(b, "certificates/x.pem"), nil, 0o600))
		}, ErrDamaged},
		"the digests are missing": {func(t *testing.T, b string) { must(t, os.Remove(filepath.Join(b, sumsFile))) }, ErrNoBackup},
		"a file is a link": {func(t *testing.T, b string) {
			must(t, os.Symlink("/etc/passwd", filepath.Join(b, "certificates/x.pem")))
		}, ErrNoBackup},
		"a foreign file has a sum":       {addWithSum("bays/fuses"), ErrDamaged},
		"octets follow the description":  {describedWith("{}"), ErrDamaged},
		"a line follows the description": {describedWith("\nmore"), ErrDamaged},
		"the description never ends":     {describedWith(strings.Repeat(" ", workdir.MaxFile)), ErrDamaged},
		"the mark is missing, and no digest names it": {func(t *testing.T, b string) {
			must(t, os.Remove(filepath.Join(b, markFile)))
			sums := fixtures.Must(os.ReadFile(filepath.Join(b, sumsFile)))(t)
			lines := slices.DeleteFunc(strings.SplitAfter(string(sums), "\n"), func(line string) bool { return strings.Contains(line, markFile) })
			must(t, os.WriteFile(filepath.Join(b, sumsFile), []byte(strings.Join(lines, "")), 0o600))
		}, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), "B")
			makes(t, dir, to)
			c.harm(t, to)
			refuses(t, to, c.want)
		})
	}
}

// describedWith adds octets to the description, and corrects its digest.
func describedWith(more string) func(t *testing.T, backup string) {
	return func(t *testing.T, backup string) {
		path, sums := filepath.Join(backup, descriptionFile), filepath.Join(backup, sumsFile)
		text := fixtures.Must(os.ReadFile(path))(t)
		changed := append(slices.Clone(text), more...)
		must(t, os.WriteFile(path, changed, 0o600))
		all := fixtures.Must(os.ReadFile(sums))(t)
		before, after := fmt.Sprintf("%x", sha256.Sum256(text)), fmt.Sprintf("%x", sha256.Sum256(changed))
		must(t, os.WriteFile(sums, bytes.Replace(all, []byte(before), []byte(after), 1), 0o600))
	}
}

// addWithSum adds a file together with its digest.
func addWithSum(name string) func(t *testing.T, backup string) {
	return func(t *testing.T, backup string) {
		must(t, workdir.WriteFile(filepath.Join(backup, name), nil))
		const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		sums := fixtures.Must(os.ReadFile(filepath.Join(backup, sumsFile)))(t)
		lines := append(strings.SplitAfter(strings.TrimSuffix(string(sums), "\n"), "\n"), sumLine(empty, name))
		lines[len(lines)-2] += "\n"
		slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
		must(t, os.WriteFile(filepath.Join(backup, sumsFile), []byte(strings.Join(lines, "")), 0o600))
	}
}

func TestATarFileThatNoBackupIsIsRefused(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "B.tar")
	makes(t, newStation(t), whole)
	for name, c := range map[string]struct {
		add  tar.Header
		want error
	}{
		"a path that leaves the directory": {tar.Header{Name: "../evil", Typeflag: tar.TypeReg}, ErrNoBackup},
		"an absolute path":                 {tar.Header{Name: "/etc/evil", Typeflag: tar.TypeReg}, ErrNoBackup},
		"a file that is there twice":       {tar.Header{Name: "station.yaml", Typeflag: tar.TypeReg}, ErrNoBackup},
		"a symbolic link":                  {tar.Header{Name: "certificates/x.pem", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}, ErrNoBackup},
		"a hard link":                      {tar.Header{Name: "certificates/x.pem", Linkname: "station.yaml", Typeflag: tar.TypeLink}, ErrNoBackup},
		"a device":                         {tar.Header{Name: "certificates/x.pem", Typeflag: tar.TypeChar}, ErrNoBackup},
		"a token":                          {tar.Header{Name: "hsm/tokens/x", Typeflag: tar.TypeReg}, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "B.tar")
			must(t, os.WriteFile(path, repacked(t, whole, &c.add), 0o600))
			refuses(t, path, c.want)
		})
	}
	t.Run("a tar file that is cut off", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "B.tar")
		content := fixtures.Must(os.ReadFile(whole))(t)
		must(t, os.WriteFile(path, content[:len(content)/2], 0o600))
		refuses(t, path, ErrNoBackup)
	})
}

// repacked gives a tar file with one more entry.
func repacked(t *testing.T, whole string, add *tar.Header) []byte {
	t.Helper()
	in := tar.NewReader(bytes.NewReader(fixtures.Must(os.ReadFile(whole))(t)))
	var text bytes.Buffer
	out := tar.NewWriter(&text)
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		must(t, out.WriteHeader(header))
		_, err = io.Copy(out, in)
		must(t, err)
	}
	must(t, out.WriteHeader(add))
	must(t, out.Close())
	return text.Bytes()
}

func TestARestoreReplacesNothing(t *testing.T) {
	dir := newStation(t)
	to := filepath.Join(t.TempDir(), "B")
	makes(t, dir, to)
	_, err := restores(t, to, dir)
	if !errors.Is(err, workdir.ErrNotEmpty) || reason.ExitOf(err) != reason.ExitUsage {
		t.Errorf("restoring into a station: %v", err)
	}
	if _, err := restores(t, filepath.Join(t.TempDir(), "nothing"), workdir.Dir(filepath.Join(t.TempDir(), "new"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("restoring nothing: %v", err)
	}
	empty := workdir.Dir(t.TempDir())
	if _, err := restores(t, to, empty); err != nil {
		t.Errorf("restoring into an empty directory: %v", err)
	}
}

func TestNamesThatABackupRefuses(t *testing.T) {
	dir := newStation(t)
	taken := t.TempDir()
	for name, to := range map[string]string{
		"no name":                          "",
		"a directory that is there":        taken,
		"a place in the station directory": dir.In("B"),
		"a place below it":                 dir.In("certificates", "B.tar"),
		"a place in no directory":          filepath.Join(taken, "none", "B"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := (&Backup{Dir: dir, To: to, Now: time.Now}).Make(t.Context())
			if reason.ExitOf(err) != reason.ExitUsage {
				t.Errorf("got %v, want a mistake in usage", err)
			}
		})
	}
}

func TestAStationThatCannotBeCopiedLeavesNothing(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, dir workdir.Dir){
		"the verifier's key is missing": func(t *testing.T, dir workdir.Dir) { must(t, os.Remove(dir.ServerKey())) },
		"a certificate is a link to the PIN": func(t *testing.T, dir workdir.Dir) {
			must(t, os.Symlink(filepath.Join(dir.HSM(), "pin"), dir.In("certificates", "x.pem")))
		},
		"a certificate is a FIFO":     func(t *testing.T, dir workdir.Dir) { must(t, unix.Mkfifo(dir.In("certificates", "x.pem"), 0o600)) },
		"the registry has no mark":    func(t *testing.T, dir workdir.Dir) { must(t, os.Remove(dir.Mark())) },
		"the registry is no registry": func(t *testing.T, dir workdir.Dir) { must(t, os.Truncate(dir.Registry(), 1000)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, parent := newStation(t), t.TempDir()
			harm(t, dir)
			for _, to := range []string{"B", "B.tar"} {
				if _, err := (&Backup{Dir: dir, To: filepath.Join(parent, to), Now: time.Now}).Make(t.Context()); err == nil {
					t.Error("no error")
				}
			}
			holdsOnly(t, parent)
			if workdir.Exists(dir.Notices()) {
				t.Error("a backup that failed left a notice")
			}
		})
	}
}

func TestABackupThatIsStoppedLeavesNothing(t *testing.T) {
	dir, parent := newStation(t), t.TempDir()
	stopped := errors.New("stopped")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(stopped)
	if _, err := (&Backup{Dir: dir, To: filepath.Join(parent, "B"), Now: time.Now, Rest: Rest}).Make(ctx); !errors.Is(err, stopped) {
		t.Errorf("got %v, want %v", err, stopped)
	}
	holdsOnly(t, parent)
}

func TestAFullDiskLeavesNothing(t *testing.T) {
	dir, disk := newStation(t), prerequisite.SmallDisk(t, "256k")
	must(t, os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 130<<10), 0o600))
	whole := filepath.Join(t.TempDir(), "B.tar")
	makes(t, dir, whole)
	for _, to := range []string{"B", "B.tar"} {
		if _, err := (&Backup{Dir: dir, To: filepath.Join(disk, to), Now: time.Now}).Make(t.Context()); err == nil {
			t.Errorf("%s fits on the full disk", to)
		}
		holdsOnly(t, disk, "filler")
	}
	if _, err := restores(t, whole, workdir.Dir(filepath.Join(disk, "new"))); err == nil {
		t.Error("the restored station fits on the full disk")
	}
	holdsOnly(t, disk, "filler")
}

func TestABackupOfADirectoryThatCannotBeWrittenIsNotOnRecord(t *testing.T) {
	dir := newStation(t)
	must(t, os.WriteFile(dir.Notices(), nil, 0o600)) // no directory can be made there
	to := filepath.Join(t.TempDir(), "B")
	if _, err := (&Backup{Dir: dir, To: to, Now: time.Now}).Make(t.Context()); !errors.Is(err, ErrNotOnRecord) {
		t.Errorf("got %v, want %v", err, ErrNotOnRecord)
	}
	if _, err := restores(t, to, workdir.Dir(filepath.Join(t.TempDir(), "new"))); err != nil {
		t.Errorf("the backup is not whole: %v", err)
	}
}

func TestAPaceRestsInProportionToTheWork(t *testing.T) {
	p := &pace{rest: 4}
	began := time.Now()
	for range 20 {
		must(t, p.do(t.Context(), func() error { time.Sleep(2 * time.Millisecond); return nil }))
	}
	if took := time.Since(began); took < 160*time.Millisecond {
		t.Errorf("40 ms of work with rests of 160 ms took %v", took)
	}
}
