package evidence

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hallmark/fixtures/prerequisite"
)

// An export onto a disk that becomes full leaves nothing, so that the disk is as free as before.
func TestAnExportOntoAFullDiskLeavesNothing(t *testing.T) {
	m, _ := record(t, 400)
	disk := prerequisite.SmallDisk(t, "1m")
	for _, name := range []string{"bundle", "bundle.tar"} {
		b := Bundle{Source: m, VerifierKey: m.vkey, Report: plainReport{}, Authorities: []*x509.Certificate{m.ca}}
		if _, err := b.Write(t.Context(), filepath.Join(disk, name)); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(disk); err != nil || len(left) != 0 {
			t.Errorf("%s: left behind: %v, %v", name, left, err)
		}
	}
}

// waiting is a record that says on standard output when the half of its entries was read, and then waits for its end.
type waiting struct{ *memory }

func (w waiting) EachBody(ctx context.Context, size int64, each func(int64, []byte) error) error {
	return w.memory.EachBody(ctx, size, func(seq int64, body []byte) error {
		if seq == size/2 {
			if _, err := os.Stdout.WriteString("half\n"); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}
		return each(seq, body)
	})
}

const killedExport = "HALLMARK_TEST_KILLED_EXPORT"

// A kill leaves no half bundle under its name, and what it leaves does not disturb the next export.
func TestAKilledExportLeavesNoBundle(t *testing.T) {
	m, _ := record(t, 400)
	if path := os.Getenv(killedExport); path != "" { // the process that is killed
		b := Bundle{Source: waiting{m}, VerifierKey: m.vkey, Report: plainReport{}, Authorities: []*x509.Certificate{m.ca}}
		_, err := b.Write(t.Context(), path)
		t.Fatalf("nobody killed it: %v", err)
	}
	for _, name := range []string{"bundle", "bundle.tar"} {
		path := filepath.Join(t.TempDir(), name)
		child := exec.Command(os.Args[0], "-test.run=^TestAKilledExportLeavesNoBundle$")
		child.Env = append(os.Environ(), killedExport+"="+path)
		out, err := child.StdoutPipe()
		m.must(err)
		m.must(child.Start())
		if _, err := io.ReadFull(out, make([]byte, len("half\n"))); err != nil {
			t.Error(err)
		}
		m.must(child.Process.Kill())
		if err := child.Wait(); err == nil || child.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("it ended with %v", err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
		b := Bundle{Source: m, VerifierKey: m.vkey, Report: plainReport{}, Authorities: []*x509.Certificate{m.ca}}
		_, err = b.Write(t.Context(), path)
		m.must(err)
		if v := m.check(path, Options{Key: m.vkey}); !v.Good() {
			t.Errorf("the next export: %v", v.Findings)
		}
	}
}

// A tar file that promises more than it has, or whose headers want much memory, is refused before anything is read.
func TestATarBombIsRefused(t *testing.T) {
	header := func(h tar.Header, body int) []byte {
		out := &bytes.Buffer{}
		w := tar.NewWriter(out)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		_, err := w.Write(make([]byte, min(body, int(h.Size))))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err == nil || h.Size == int64(body) {
			out.Write(make([]byte, 1024))
		}
		return out.Bytes()
	}
	sparse := header(tar.Header{Name: CheckpointFile, Size: 512, Format: tar.FormatGNU}, 512)
	sparse[156] = tar.TypeGNUSparse
	sparse = checksum(sparse)
	long := header(tar.Header{Name: "x", Size: 2 << 30, Format: tar.FormatPAX}, 1024) // a pax header of 2 GiB
	long[156] = tar.TypeXHeader
	long = checksum(long)
	for name, content := range map[string][]byte{
		"a file of a TiB in a short tar file":   header(tar.Header{Name: EventsCSV, Size: 1 << 40, Format: tar.FormatPAX}, 512),
		"a sparse file":                         sparse,
		"a sparse file as PAX has it":           bytes.Replace(header(tar.Header{Name: CheckpointFile, Size: 512, Format: tar.FormatPAX, PAXRecords: map[string]string{"XXX.sparse.major": "1"}}, 512), []byte("XXX.sparse"), []byte("GNU.sparse"), 1),
		"a header that wants 2 GiB":             long,
		"a checkpoint that nobody should read":  header(tar.Header{Name: CheckpointFile, Size: maxPiece + 1, Format: tar.FormatPAX}, 512),
		"a name of half a MiB":                  header(tar.Header{Name: strings.Repeat("n/", 1<<18), Size: 0, Format: tar.FormatPAX}, 0),
		"a file that is there twice":            append(header(tar.Header{Name: CheckpointFile, Size: 0}, 0)[:512], header(tar.Header{Name: CheckpointFile, Size: 0}, 0)...),
		"a checkpoint and an endless pax chain": append(header(tar.Header{Name: CheckpointFile, Size: 0}, 0)[:512], bytes.Repeat(long[:512], 8)...),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bundle.tar")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			files, err := OpenFiles(path)
			good := err == nil
			if good {
				verdict, err := Check(t.Context(), files, Options{})
				good = err == nil && verdict.Good()
				if err := files.Close(); err != nil {
					t.Error(err)
				}
			}
			runtime.ReadMemStats(&after)
			if good {
				t.Error("it holds")
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
				t.Errorf("the check asked for %d MiB", used>>20)
			}
		})
	}
}

// checksum makes the checksum of the first header anew (POSIX.1-2017 pax, "ustar Interchange Format").
func checksum(file []byte) []byte {
	copy(file[148:156], "        ")
	sum := 0
	for _, octet := range file[:512] {
		sum += int(octet)
	}
	copy(file[148:156], []byte(strings.Repeat("0", 6)))
	for at := 153; sum > 0; at-- {
		file[at] = '0' + byte(sum&7)
		sum >>= 3
	}
	copy(file[154:156], "\x00 ")
	return file
}

// A file that is larger than the memory that a check may have is read in pieces: here a list has 256 MiB.
func TestABundleThatIsLargerThanTheMemoryIsReadInPieces(t *testing.T) {
	m, _ := record(t, 4)
	root := m.write("bundle")
	large := filepath.Join(root, filepath.FromSlash(EventsCSV))
	m.must(os.Truncate(large, 256<<20)) // a hole: it needs no disk
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	v := m.check(root, Options{Key: m.vkey})
	runtime.ReadMemStats(&after)
	if v.Good() || v.Findings[0].File != EventsCSV {
		t.Errorf("got %v", v.Findings)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("the check asked for %d MiB", used>>20)
	}
}
