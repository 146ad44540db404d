package html

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A timeline counts Runs and certificates in equal spans of time. The spans grow with the log, so
// that there are never more than maxSpans.
type timeline struct {
	width time.Duration
	spans map[int64]*span
}

type span struct {
	Endings [4]int // as endingOrder
	Issued  int
}

const (
	maxSpans  = 48   // that a plot shows
	keptSpans = 4096 // that are kept, before they are joined
)

// widths of a span. Each is a multiple of the one before, so that spans can be joined. Beyond the
// last one, each is twice the one before.
var widths = []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute,
	30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 7 * day, 14 * day, 28 * day}

const day = 24 * time.Hour

func newTimeline() timeline { return timeline{width: widths[0], spans: map[int64]*span{}} }

func wider(width time.Duration) time.Duration {
	for _, w := range widths {
		if w > width {
			return w
		}
	}
	return 2 * width
}

func (t *timeline) add(e *event) {
	i := slices.Index(endingOrder, e.ending)
	if i < 0 && e.kind != "cert.issued" {
		return
	}
	s := t.at(e.Time.Time)
	if i >= 0 {
		s.Endings[i]++
	} else {
		s.Issued++
	}
	if len(t.spans) > keptSpans {
		t.widen()
	}
}

func (t *timeline) at(when time.Time) *span {
	key := floor(when.Unix(), int64(t.width/time.Second))
	if t.spans[key] == nil {
		t.spans[key] = &span{}
	}
	return t.spans[key]
}

// floor divides and rounds down, also before 1970.
func floor(seconds, width int64) int64 {
	q := seconds / width
	if seconds%width < 0 {
		q--
	}
	return q
}

// widen joins spans to the next width.
func (t *timeline) widen() {
	before, seconds := t.spans, int64(t.width/time.Second)
	t.width, t.spans = wider(t.width), map[int64]*span{}
	for key, old := range before {
		s := t.at(time.Unix(key*seconds, 0))
		for i, n := range old.Endings {
			s.Endings[i] += n
		}
		s.Issued += old.Issued
	}
}

// A column is one span with its beginning.
type column struct {
	Start time.Time
	span
}

// columns gives the spans from the first to the last one, those without a Run too.
func (t *timeline) columns() (columns []column) {
	if len(t.spans) == 0 {
		return nil
	}
	keys := func() (first, last int64) {
		return slices.MinFunc(slices.Collect(maps.Keys(t.spans)), cmp.Compare), slices.MaxFunc(slices.Collect(maps.Keys(t.spans)), cmp.Compare)
	}
	first, last := keys()
	for last-first >= maxSpans {
		t.widen()
		first, last = keys()
	}
	for key := first; key <= last; key++ {
		c := column{Start: time.Unix(key*int64(t.width/time.Second), 0).UTC()}
		if s := t.spans[key]; s != nil {
			c.span = *s
		}
		columns = append(columns, c)
	}
	return columns
}
