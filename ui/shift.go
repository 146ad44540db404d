package ui

import (
	"context"
	"maps"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
)

// A shift counts the Runs that ended since it began. It is a value: add gives another shift.
type shift struct {
	began    time.Time
	first    time.Time // when its first Run began, zero before that
	endings  map[station.Ending]int
	reasons  map[reasonOf]int
	steps    map[string]stepSum
	boards   map[string]bool  // BoardID → passed at its first try, with each of its keys
	tried    map[string]bool  // BoardID and purpose of each key that had a Run
	passed   map[string]bool  // BoardID of each board that counts in passes
	passes   []time.Time      // of boards, in order: a second key, a rework or a board that was done before makes no second board
	last     []station.Ending // the newest at the end, at most maxLast
	busiest  string           // the step that took longest on average
	attempts int
}

// maxLast is how many endings the header can show.
const maxLast = 100

type reasonOf struct {
	ending station.Ending
	reason string // of a Pass the outcome, unless the outcome is issued
}

type stepSum struct {
	count   int
	took    time.Duration
	outside time.Duration
}

func (s stepSum) mean() time.Duration { return s.took / time.Duration(max(1, s.count)) }

func newShift(began time.Time) shift { return shift{began: began} }

// shift is the current shift when the screen opens.
func (o *Options) shift(now time.Time) shift {
	if o.ShiftBegan != nil {
		now = o.ShiftBegan(now)
	}
	return newShift(now)
}

// earlierMsg brings the Runs of the shift that are on record, counted.
type earlierMsg struct {
	shift   shift
	counted map[uuid.UUID]bool // by Run
	done    map[string]pass    // the last board that passed in each bay
	err     error
}

// recall reads the Runs that ended before the screen was opened, and counts them.
func (m Model) recall() tea.Cmd {
	if m.o.Earlier == nil {
		return nil
	}
	began := m.shift.began
	return m.ask(answerSoon, func(ctx context.Context) tea.Msg {
		runs, err := m.o.Earlier(ctx, began)
		msg := earlierMsg{newShift(began).add(runs...), map[uuid.UUID]bool{}, map[string]pass{}, err}
		for i := range runs {
			run := bay{run: runs[i], done: msg.done[runs[i].Bay]}
			run.passed(devices.PurposeTLS)
			msg.counted[runs[i].ID], msg.done[runs[i].Bay] = true, run.done
		}
		return msg
	})
}

// recalled counts the recorded Runs, and then the Runs that have ended meanwhile. Each Run counts once.
func (m Model) recalled(msg earlierMsg) Model {
	live := slices.DeleteFunc(slices.Clone(m.live), func(r station.Run) bool { return msg.counted[r.ID] })
	m.live, m.o.Earlier = nil, nil
	if msg.err != nil {
		return m.refuse(m.errorText(msg.err))
	}
	m.shift, m.bays = msg.shift.add(live...), slices.Clone(m.bays)
	for i := range m.bays {
		if b := &m.bays[i]; b.done.board == "" {
			b.done = msg.done[b.name]
		}
	}
	return m
}

// count takes a Run that has just ended.
func (m Model) count(run *station.Run) Model {
	m.shift = m.shift.add(*run)
	if m.o.Earlier != nil {
		m.live = append(slices.Clip(m.live), *run)
	}
	return m
}

// add counts Runs that ended.
func (s shift) add(runs ...station.Run) shift {
	s.endings, s.reasons, s.steps = with(s.endings), with(s.reasons), with(s.steps)
	s.boards, s.tried, s.passed, s.passes = with(s.boards), with(s.tried), with(s.passed), slices.Clip(s.passes)
	for i := range runs {
		s.count(&runs[i])
	}
	s.busiest = s.slowest()
	return s
}

// count changes the maps, which no other shift may share.
func (s *shift) count(run *station.Run) {
	s.attempts++
	if s.first.IsZero() {
		s.first = run.Started
	}
	if s.first.IsZero() {
		s.first = run.Finished
	}
	s.endings[run.Ending]++
	s.last = append(slices.Clip(s.last), run.Ending)
	s.last = s.last[max(0, len(s.last)-maxLast):]
	switch {
	case run.Ending != station.Pass:
		s.reasons[reasonOf{run.Ending, run.Reason}]++
	case run.Outcome == station.Confirmed || run.Outcome == station.Reworked:
		s.reasons[reasonOf{run.Ending, string(run.Outcome)}]++
	}
	if run.Identity != nil && run.Ending != station.Aborted {
		s.board(run, run.Identity.ID.String())
	}
	for _, step := range run.Steps {
		sum := s.steps[step.Name]
		s.steps[step.Name] = stepSum{sum.count + 1, sum.took + step.Took, sum.outside + step.Outside}
	}
}

// board counts the board of a Run.
func (s *shift) board(run *station.Run, id string) {
	good, key := run.Ending == station.Pass, id+" "+string(run.Purpose)
	if first, seen := s.boards[id]; !seen {
		s.boards[id] = good
	} else if !s.tried[key] {
		s.boards[id] = first && good
	}
	s.tried[key] = true
	if good && !s.passed[id] && run.Outcome != station.Confirmed {
		s.passed[id] = true
		s.passes = append(s.passes, run.Finished)
	}
}

func with[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// slowest names the step with the longest mean; of equal ones the first by name.
func (s shift) slowest() string {
	name := ""
	for _, step := range slices.Sorted(maps.Keys(s.steps)) {
		if name == "" || s.steps[step].mean() > s.steps[name].mean() {
			name = step
		}
	}
	return name
}

// enough is the working time after which the rate of a shift is meaningful.
const enough = 2 * time.Minute

// working returns the begin of the first Run of this shift, or zero if the shift has no Run.
func (s shift) working() time.Time {
	if s.first.Before(s.began) && !s.first.IsZero() {
		return s.began
	}
	return s.first
}

// perHour is the number of boards that passed in the last hour. In the first hour of work it is scaled up. It is 0 before
// the shift has worked long enough.
func (s shift) perHour(now time.Time) float64 {
	window := min(now.Sub(s.working()), time.Hour)
	if s.first.IsZero() || window < enough {
		return 0
	}
	from, count := now.Add(-window), 0
	for i := len(s.passes) - 1; i >= 0 && !s.passes[i].Before(from); i-- {
		count++
	}
	return float64(count) * float64(time.Hour) / float64(window)
}

// takt is the time between two passed boards over the window of perHour, 0 when none passed.
func (s shift) takt(now time.Time) time.Duration {
	rate := s.perHour(now)
	if rate == 0 {
		return 0
	}
	return time.Duration(float64(time.Hour) / rate)
}

// firstPass gives the number of boards that passed at their first try, and the number of all boards.
func (s shift) firstPass() (good, all int) {
	for _, first := range s.boards {
		if first {
			good++
		}
	}
	return good, len(s.boards)
}

// spark counts passes in n equal parts of the shift up to now.
func (s shift) spark(now time.Time, n int) []int {
	counts := make([]int, max(n, 0))
	span := max(now.Sub(s.began), time.Minute)
	for _, at := range s.passes {
		part := int(float64(at.Sub(s.began)) / float64(span) * float64(n))
		if n > 0 {
			counts[min(max(part, 0), n-1)]++
		}
	}
	return counts
}

// ranked gives the reasons, most frequent first.
func (s shift) ranked() []reasonOf {
	all := slices.Collect(maps.Keys(s.reasons))
	slices.SortFunc(all, func(a, b reasonOf) int {
		if d := s.reasons[b] - s.reasons[a]; d != 0 {
			return d
		}
		if a.reason != b.reason {
			if a.reason < b.reason {
				return -1
			}
			return 1
		}
		return 0
	})
	return all
}
