package html

import (
	"cmp"
	"maps"
	"slices"
)

// maxKinds is how many different keys a tally keeps. A log that somebody made up may have a new
// word in each entry.
const maxKinds = 1000

// A tally counts by key.
type tally[K comparable] struct {
	counts map[K]int
	others int // of keys beyond maxKinds
}

func (t *tally[K]) add(key K) {
	if t.counts == nil {
		t.counts = map[K]int{}
	}
	if _, known := t.counts[key]; !known && len(t.counts) >= maxKinds {
		t.others++
		return
	}
	t.counts[key]++
}

func (t *tally[K]) total() (n int) {
	for _, count := range t.counts {
		n += count
	}
	return n + t.others
}

// sorted gives the keys, the most frequent first.
func (t *tally[K]) sorted(less func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(t.counts), func(a, b K) int { return cmp.Or(t.counts[b]-t.counts[a], less(a, b)) })
}

// A list keeps the first and the last entries of a kind, so that a report stays short.
type list struct {
	head, tail []event
	count      int
}

const (
	headLength = 60
	tailLength = 40
)

func (l *list) add(e *event) {
	switch l.count++; {
	case len(l.head) < headLength:
		l.head = append(l.head, *e)
	case len(l.tail) < tailLength:
		l.tail = append(l.tail, *e)
	default:
		l.tail = append(l.tail[1:], *e)
	}
}

// between is how many entries lie between head and tail.
func (l *list) between() int { return l.count - len(l.head) - len(l.tail) }
