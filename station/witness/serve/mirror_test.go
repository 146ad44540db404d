package serve

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"hallmark/station/evidence"
	"hallmark/station/witness"
)

// mirrored checks the directory of the mirror as an auditor would.
func (h *headquarters) mirrored(s *station) {
	h.t.Helper()
	dir := filepath.Join(h.dir, "mirror", witness.OriginHash(origin))
	files, err := evidence.OpenFiles(dir)
	must(h.t, err)
	policy, err := evidence.ParsePolicy([]byte("log " + s.vkey + "\nwitness m " + h.config().MirrorKey + "\nquorum m\n"))
	must(h.t, err)
	verdict, err := evidence.CheckMirror(h.t.Context(), files, evidence.Options{Key: s.vkey, Policy: policy})
	must(h.t, err)
	for _, f := range verdict.Findings {
		if f.Entry == nil { // the entries of this log are no entries of a station
			h.t.Errorf("%d entries: %v", s.size, f)
		}
	}
	if verdict.Size != s.size {
		h.t.Errorf("the mirror has %d entries, want %d", verdict.Size, s.size)
	}
	must(h.t, files.Close())
}

func (h *headquarters) send(s *station, next int64) {
	h.t.Helper()
	client := h.client()
	old := h.logs[origin].head.Size
	_, err := client.AddCheckpoint(h.t.Context(), s.request(old))
	must(h.t, err)
	lines, err := client.AddEntries(h.t.Context(), s, s.signed, s.size, next)
	must(h.t, err)
	if len(lines) != 1 {
		h.t.Errorf("%d cosignatures of the mirror", len(lines))
	}
}

func TestAMirrorHasEachEntry(t *testing.T) {
	s := newStation(t)
	h := newHeadquarters(t, s.vkey)
	before := int64(0)
	for _, size := range []int64{1, 2, 255, 256, 257, 300, 511, 512, 513, 1300, 1300, 66_000, 66_001, 66_560} {
		s.grow(size, "entry")
		h.send(s, before)
		before = size
		for _, path := range []string{"checkpoint", evidence.TilePath("entries", (size-1)/256, int((size-1)%256+1)), evidence.TilePath("0", (size-1)/256, int((size-1)%256+1))} {
			response, err := http.Get(h.server.URL + "/mirror/" + witness.OriginHash(origin) + "/" + path)
			must(t, err)
			must(t, response.Body.Close())
			if response.StatusCode != http.StatusOK {
				t.Errorf("size %d: %s: %d", size, path, response.StatusCode)
			}
		}
	}
	h.mirrored(s)
	h.close()
	h.open()
	s.grow(66_900, "entry")
	h.send(s, 0) // a station that lost its own record of the mirror
	h.mirrored(s)
	if l := h.logs[origin]; l.next != 66_900 || l.mirrored.Size != 66_900 {
		t.Errorf("next %d, mirrored %d", l.next, l.mirrored.Size)
	}
}

// body makes an upload of some of its packages.
func (s *station) body(up *witness.Upload, packages int) []byte {
	s.t.Helper()
	body := up.Append(nil)
	for start := up.Start; start < up.End && packages > 0; packages-- {
		p := &witness.Package{Start: start, End: up.Bounds(start)}
		p.Entries = s.bodies[p.Start:p.End]
		var err error
		p.Proof, err = witness.ProveSubtree(witness.Floor(start), p.End, up.End, s.Hashes(s.t.Context()))
		must(s.t, err)
		body, start = p.Append(body), p.End
	}
	return body
}

func (h *headquarters) upload(body []byte, encoding string) (status int, answer []byte) {
	h.t.Helper()
	request, err := http.NewRequest(http.MethodPost, h.server.URL+"/add-entries", bytes.NewReader(body))
	must(h.t, err)
	request.Header.Set("Content-Type", witness.TypeEntries)
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	response, err := http.DefaultClient.Do(request)
	must(h.t, err)
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	must(h.t, err)
	return response.StatusCode, answer
}

// Each row is one rule of C2SP tlog-mirror, "add-entries".
func TestAMirrorAnswersAsItsProtocolSays(t *testing.T) {
	s := newStation(t).grow(1000, "entry")
	h := newHeadquarters(t, s.vkey)
	all := &witness.Upload{Origin: origin, End: 1000}
	if status, _ := h.upload(s.body(all, 4), ""); status != 422 {
		t.Errorf("before the first checkpoint: %d", status)
	}
	_, err := h.AddCheckpoint(s.request(0))
	must(t, err)
	wrong := s.body(all, 4)
	wrong[bytes.Index(wrong, []byte("entry 300"))] ^= 1
	for _, c := range []struct {
		name       string
		body       []byte
		status     int
		next, size int64
	}{
		{"no body", nil, 400, 0, 0},
		{"a head that is cut off", s.body(all, 0)[:9], 400, 0, 0},
		{"a log that is not in the list", s.body(&witness.Upload{Origin: "other", End: 1000}, 1), 404, 0, 0},
		{"an end that is no checkpoint", s.body(&witness.Upload{Origin: origin, End: 900}, 4), 409, 0, 1000},
		{"a ticket that is no checkpoint", s.body(&witness.Upload{Origin: origin, End: 900, Ticket: []byte("x")}, 4), 409, 0, 1000},
		{"a ticket that the witness did not cosign", s.body(&witness.Upload{Origin: origin, End: 900, Ticket: s.fork().grow(900, "").signed}, 4), 409, 0, 1000},
		{"a start beyond the next entry", s.body(&witness.Upload{Origin: origin, Start: 256, End: 1000}, 4), 409, 0, 1000},
		{"a first package that is cut off", s.body(all, 1)[:900], 400, 0, 0},
		{"two packages of four", s.body(all, 2), 202, 512, 1000},
		{"an entry that is another one", wrong, 422, 0, 0},
		{"a third package that is cut off", s.body(&witness.Upload{Origin: origin, Start: 512, End: 1000}, 2)[:5000], 202, 768, 1000},
	} {
		status, answer := h.upload(c.body, "")
		if status != c.status {
			t.Errorf("%s: %d, want %d: %s", c.name, status, c.status, answer)
		}
		if status != 202 && status != 409 {
			continue
		}
		if info, err := witness.ParseInfo(answer); err != nil || info.Next != c.next || info.Size != c.size {
			t.Errorf("%s: %+v, %v", c.name, info, err)
		}
	}
	h.close()
	h.open() // what was taken is there after a restart
	packed := &bytes.Buffer{}
	zipped := gzip.NewWriter(packed)
	_, err = zipped.Write(s.body(&witness.Upload{Origin: origin, Start: 768, End: 1000}, 1))
	must(t, errors.Join(err, zipped.Close()))
	if status, answer := h.upload(packed.Bytes(), "gzip"); status != 200 {
		t.Errorf("the rest: %d %s", status, answer)
	}
	h.mirrored(s)
	if status, answer := h.upload([]byte("no gzip"), "gzip"); status != 400 {
		t.Errorf("no gzip: %d %s", status, answer)
	}
}

// A checkpoint that became older during the upload is still good: its ticket says that the
// witness has cosigned it.
func TestAnUploadGoesOnWhileTheLogGrows(t *testing.T) {
	s := newStation(t).grow(300, "entry")
	h := newHeadquarters(t, s.vkey)
	_, err := h.AddCheckpoint(s.request(0))
	must(t, err)
	older := s.fork()
	_, answer := h.upload(s.body(&witness.Upload{Origin: origin, End: 300}, 1), "")
	info, err := witness.ParseInfo(answer)
	must(t, err)
	s.grow(700, "entry")
	_, err = h.AddCheckpoint(s.request(300))
	must(t, err)
	// An upload to the newer checkpoint stores a wider bundle meanwhile.
	if status, answer := h.upload(s.body(&witness.Upload{Origin: origin, Start: 256, End: 700}, 1), ""); status != 202 {
		t.Fatalf("%d %s", status, answer)
	}
	if status, answer := h.upload(older.body(&witness.Upload{Origin: origin, Start: info.Next, End: 300, Ticket: info.Ticket}, 1), ""); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	older.sign(300)
	h.mirrored(older)
	h.send(s, 512)
	h.mirrored(s)
}

func TestManyUploadsAtTheSameTime(t *testing.T) {
	s := newStation(t).grow(3000, "entry")
	h := newHeadquarters(t, s.vkey)
	_, err := h.AddCheckpoint(s.request(0))
	must(t, err)
	var work sync.WaitGroup
	for range 6 {
		client := h.client()
		work.Go(func() {
			if _, err := client.AddEntries(t.Context(), s, s.signed, s.size, 0); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	h.mirrored(s)
}

func TestAMirrorWhoseEntriesAreLostIsNamed(t *testing.T) {
	s := newStation(t).grow(600, "entry")
	h := newHeadquarters(t, s.vkey)
	h.send(s, 0)
	l := h.logs[origin]
	must(t, os.Remove(l.mirrorFile(evidence.TilePath("entries", 1, 256))))
	if err := l.load(); !errors.Is(err, errDamaged) {
		t.Errorf("got %v", err)
	}
}
