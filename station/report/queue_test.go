package report

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A stuckWriter takes nothing until open is closed.
type stuckWriter struct {
	open chan struct{}
	bytes.Buffer
}

func (s *stuckWriter) Write(p []byte) (int, error) {
	<-s.open
	return s.Buffer.Write(p)
}

// A brokenWriter returns an error after so many octets.
type brokenWriter struct {
	room int
	err  error
}

func (b *brokenWriter) Write(p []byte) (int, error) {
	if b.room -= len(p); b.room < 0 {
		return 0, b.err
	}
	return len(p), nil
}

func TestAQueueWritesAllTextInItsOrder(t *testing.T) {
	var out bytes.Buffer
	q := NewQueue("out", &out, QueueLimit, time.Minute)
	var want strings.Builder
	for i := range 500 {
		text := strings.Repeat(string(rune('a'+i%26)), i*7) + "\n"
		want.WriteString(text)
		if n, err := io.WriteString(q, text); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := q.Flush(); err != nil || out.String() != want.String() || q.Lost() != 0 || q.Behind() {
		t.Errorf("%v, %d lost, %d octets of %d", err, q.Lost(), out.Len(), want.Len())
	}
}

func TestAQueueTakesCopies(t *testing.T) {
	out := &stuckWriter{open: make(chan struct{})}
	q := NewQueue("out", out, QueueLimit, time.Minute)
	text := []byte("first")
	if _, err := q.Write(text); err != nil {
		t.Fatal(err)
	}
	copy(text, "other")
	close(out.open)
	if err := q.Flush(); err != nil || out.String() != "first" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestAReaderThatStopsReadingStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuckWriter{open: make(chan struct{})}
		q := NewQueue("the pipe", out, 10, 5*time.Second)
		for _, text := range []string{"12345", "67890"} {
			if _, err := io.WriteString(q, text); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := io.WriteString(q, "more"); n != 0 || !errors.Is(err, ErrNotRead) {
			t.Errorf("a full Queue takes %d octets, %v", n, err)
		}
		if !q.Behind() {
			t.Error("the Queue is not behind")
		}
		begun := time.Now()
		err := q.Flush()
		if took := time.Since(begun); took != 5*time.Second || !errors.Is(err, ErrNotRead) || err.Error() != "writing to the pipe: nobody reads it" || q.Lost() != 3 {
			t.Errorf("Flush takes %v and says %v, %d lost", took, err, q.Lost())
		}
		begun = time.Now()
		if again := q.Flush(); again == nil || time.Since(begun) != 0 {
			t.Errorf("the second Flush takes %v and says %v", time.Since(begun), again)
		}
		close(out.open) // the reader comes back too late: nothing follows the gap
		synctest.Wait()
		if _, err := io.WriteString(q, "late"); !errors.Is(err, ErrNotRead) || out.String() != "12345" {
			t.Errorf("%v, written %q", err, out)
		}
	})
}

func TestAReaderThatComesBackGetsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuckWriter{open: make(chan struct{})}
		q := NewQueue("out", out, 10, 5*time.Second)
		for _, text := range []string{"12345", "67890", "lost"} {
			_, _ = io.WriteString(q, text) // the third one is refused
		}
		time.AfterFunc(4*time.Second, func() { close(out.open) })
		if err := q.Flush(); !errors.Is(err, ErrNotRead) || out.String() != "1234567890" || q.Lost() != 1 {
			t.Errorf("%v, %d lost, written %q", err, q.Lost(), out)
		}
		if _, err := io.WriteString(q, "next"); err != nil {
			t.Errorf("the Queue has room again: %v", err)
		}
		synctest.Wait()
	})
}

// A drip writer needs some seconds for each piece.
type dripWriter struct{ bytes.Buffer }

func (d *dripWriter) Write(p []byte) (int, error) {
	time.Sleep(4 * time.Second)
	return d.Buffer.Write(p)
}

func TestASlowReaderGetsAllText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out dripWriter
		q := NewQueue("out", &out, 10, 5*time.Second)
		text := strings.Repeat("x", 10*pieceSize) // more than the limit: an empty Queue takes it
		if _, err := io.WriteString(q, text); err != nil {
			t.Fatal(err)
		}
		if err := q.Flush(); err != nil || out.Len() != len(text) {
			t.Errorf("%v after %d octets of %d", err, out.Len(), len(text))
		}
	})
}

func TestAWriterThatFailsIsNamedAndWritesNothingMore(t *testing.T) {
	q := NewQueue("/dev/full", &brokenWriter{8, syscall.ENOSPC}, QueueLimit, time.Minute)
	for range 3 {
		_, _ = io.WriteString(q, "12345\n")
	}
	err := q.Flush()
	if !errors.Is(err, syscall.ENOSPC) || err.Error() != "writing to /dev/full: no space left on device" || q.Lost() != 2 || Closed(err) {
		t.Errorf("%v, %d lost", err, q.Lost())
	}
	if !Closed(NewQueue("", nil, 0, 0).failed(syscall.EPIPE)) {
		t.Error("EPIPE does not count as closed")
	}
}

// failed makes the error that the Queue returns after an error of its writer.
func (q *Queue) failed(err error) error {
	q.err = err
	return q.Flush()
}

func TestManyWritersShareAQueue(t *testing.T) {
	var out bytes.Buffer
	q := NewQueue("out", &out, QueueLimit, time.Minute)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 100 {
				if _, err := io.WriteString(q, "a line\n"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if err := q.Flush(); err != nil || strings.Count(out.String(), "a line\n") != 800 {
		t.Errorf("%v, %d octets", err, out.Len())
	}
}
