package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"hallmark/station/reason"
)

// A schedule distributes count boards over bays: board k goes to bay k modulo the number of bays.
// So the boards of a bay follow from the bays and the count alone, and not from the speed of the
// bays: the same command meets the same boards, and their test cases keep their names.
type schedule struct {
	bays  []string
	count int
	jobs  chan struct{} // holds one element for each board in work

	mu    sync.Mutex // covers the following fields
	begun int
	why   []error // why bays get no further board
}

// newSchedule makes a schedule. A count or jobs of 0 means the number of bays.
func newSchedule(bays []string, count, jobs int) *schedule {
	if count == 0 {
		count = len(bays)
	}
	if jobs == 0 {
		jobs = len(bays)
	}
	return &schedule{bays: bays, count: count, jobs: make(chan struct{}, jobs)}
}

// share returns the number of boards of the bay with this index.
func (s *schedule) share(index int) int {
	share := s.count / len(s.bays)
	if index < s.count%len(s.bays) {
		share++
	}
	return share
}

// An enrolFunc enrols one board of a bay, and returns when the enrolment has ended. It reports
// whether the enrolment was begun. An error says why the bay gets no further board.
type enrolFunc func(ctx context.Context, bay string) (begun bool, err error)

// run calls enrol for each board, in one goroutine for each bay. The error of run says why
// not all boards were begun.
func (s *schedule) run(ctx context.Context, enrol enrolFunc) error {
	var bays sync.WaitGroup
	for i, bay := range s.bays {
		bays.Go(func() { s.serve(ctx, bay, s.share(i), enrol) })
	}
	bays.Wait()
	if s.begun == s.count {
		return nil
	}
	s.note(false, context.Cause(ctx))
	short := []error{fmt.Errorf("%d of %s not begun", s.count-s.begun, reason.Count(s.count, "board was", "boards were"))}
	return errors.Join(append(short, s.why...)...)
}

// serve calls enrol for each board of one bay.
func (s *schedule) serve(ctx context.Context, bay string, share int, enrol enrolFunc) {
	for range share {
		select {
		case s.jobs <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if ctx.Err() != nil {
			return
		}
		begun, err := enrol(ctx, bay)
		<-s.jobs
		if !s.note(begun, err) {
			return
		}
	}
}

// note counts a board that was begun, and reports whether the bay goes on.
func (s *schedule) note(begun bool, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if begun {
		s.begun++
	}
	said := func(other error) bool { return other.Error() == err.Error() }
	if err != nil && !slices.ContainsFunc(s.why, said) { // several bays can have the same reason
		s.why = append(s.why, err)
	}
	return err == nil
}
