package evidence

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// QuestionFile says which question a part answers.
const QuestionFile = "question.json"

// A Question is what a part answers, as the station wrote it: the command with its flags, and the size of the answer.
type Question struct {
	Command string            `json:"command"`
	Flags   map[string]string `json:"flags"`   // without the dashes
	Entries int               `json:"entries"` // of the part
	Boards  int               `json:"boards"`  // that these entries name
}

// String gives the question as a command line, and the size of the answer.
func (q *Question) String() string {
	text := q.Command
	for _, name := range slices.Sorted(maps.Keys(q.Flags)) {
		value := q.Flags[name]
		if value == "" || strings.ContainsAny(value, " \t\"'\\") {
			value = strconv.Quote(value)
		}
		text += " --" + name + " " + value
	}
	return fmt.Sprintf("%s: %s about %s", text, reason.Count(q.Entries, "entry", "entries"), reason.Count(q.Boards, "board", "boards"))
}

// encode gives the file of the question, with the size of this answer.
func (q Question) encode(entries int, boards boardSet) ([]byte, error) {
	q.Entries, q.Boards = entries, len(boards)
	text, err := json.MarshalIndent(&q, "", "  ")
	return append(text, '\n'), err
}

// A boardSet has the BoardIDs that entries name.
type boardSet map[string]struct{}

func (s boardSet) add(e *audit.Entry) {
	if e.Board != nil && e.Board.ID != "" {
		s[e.Board.ID] = struct{}{}
	}
}

// checkQuestion reads the question of a part, and compares the size of the answer.
func (c *checker) checkQuestion(boards boardSet) error {
	if c.editionOfBundle() < firstWithQuestion {
		return nil
	}
	content, err := c.read(QuestionFile)
	if err != nil || content == nil {
		return err
	}
	q := &Question{}
	if err := json.Unmarshal(content, q); err != nil {
		return c.find(-1, QuestionFile, "the file is no question: %v", err)
	}
	if q.Entries != c.verdict.Selected || q.Boards != len(boards) {
		return c.find(-1, QuestionFile, "the answer has %s about %s, and here are %d about %d", reason.Count(q.Entries, "entry", "entries"), reason.Count(q.Boards, "board", "boards"),
			c.verdict.Selected, len(boards))
	}
	c.verdict.Question = q
	return nil
}
