package report

import (
	"fmt"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/reason"
)

// notBegunType is the type of the error that says why boards were not begun.
const notBegunType = "not-begun"

// A boardCase names a board by its place in the batch: the bay, and the number of the board in
// this bay. BoardIDs do not name test cases, because CI compares the test cases of batches, and
// each batch has other boards.
type boardCase struct {
	bay    string
	number int
}

// name is the bay, and for the second and each further board of a bay its number: "qemu-1/2".
func (b boardCase) name() string {
	if b.number == 1 {
		return b.bay
	}
	return fmt.Sprintf("%s/%d", b.bay, b.number)
}

// cases returns a test case for each Run, begun or not.
func (s Suite) cases(runs []*station.Run) []junitCase {
	var all []junitCase
	numbers, begun := map[string]int{}, map[boardCase]map[devices.Purpose]bool{}
	for _, run := range runs {
		if run.Purpose == s.Profiles[0].Purpose() || numbers[run.Bay] == 0 {
			numbers[run.Bay]++ // the first Run of a board
		}
		board := boardCase{run.Bay, numbers[run.Bay]}
		if begun[board] == nil {
			begun[board] = map[devices.Purpose]bool{}
		}
		begun[board][run.Purpose] = true
		all = append(all, s.testcase(board.name(), run))
	}
	all = append(all, s.skippedKeys(begun, numbers)...)
	return append(all, s.skippedBoards(len(begun), numbers)...)
}

// skippedKeys returns the test cases of begun boards whose Run for a further key was not begun.
func (s Suite) skippedKeys(begun map[boardCase]map[devices.Purpose]bool, numbers map[string]int) (all []junitCase) {
	for _, bay := range s.Bays {
		for number := range numbers[bay] {
			board := boardCase{bay, number + 1}
			for _, profile := range s.Profiles {
				if !begun[board][profile.Purpose()] {
					all = append(all, s.skipped(board, profile.Purpose(), "the board's Run for the key before did not pass"))
				}
			}
		}
	}
	return all
}

// skippedBoards returns the test cases of boards that were not begun. Such a board counts for
// the bay with the fewest boards, because a batch deals its boards out to the bays in turn: so
// the names are the names that these boards would have had. One more test case is an error,
// because a batch that stopped early must not look passed.
func (s Suite) skippedBoards(begun int, numbers map[string]int) (all []junitCase) {
	if s.Short == nil {
		return nil
	}
	why := reason.OneLine(s.Short)
	for range s.Count - begun {
		board := s.next(numbers)
		for _, profile := range s.Profiles {
			all = append(all, s.skipped(board, profile.Purpose(), why))
		}
	}
	return append(all, junitCase{ClassName: s.Name, Name: "batch", Time: seconds(s.Took),
		Error: &junitMessage{Type: notBegunType, Message: why, Text: why}})
}

// next counts one more board for the bay with the fewest boards.
func (s Suite) next(numbers map[string]int) boardCase {
	fewest := s.Bays[0]
	for _, bay := range s.Bays {
		if numbers[bay] < numbers[fewest] {
			fewest = bay
		}
	}
	numbers[fewest]++
	return boardCase{fewest, numbers[fewest]}
}

func (s Suite) skipped(board boardCase, purpose devices.Purpose, why string) junitCase {
	return junitCase{ClassName: s.class(purpose), Name: board.name(), Time: seconds(0), Skipped: &junitMessage{Message: "not begun: " + why}}
}
