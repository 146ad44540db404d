package evidence

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// isPart reports whether the bundle has single entries with proofs instead of a whole log.
func (f *Files) isPart() bool {
	return slices.ContainsFunc(f.Names(), func(name string) bool { return strings.HasPrefix(name, partProofs) })
}

// checkPart checks each entry with its proof, and the views of the entries.
func (c *checker) checkPart() error {
	if len(c.options.Anchors) > 0 {
		if err := c.checkPartAnchors(); err != nil {
			return err
		}
	}
	views, compare, err := c.openViews()
	if err != nil {
		return err
	}
	boards := boardSet{}
	for _, seq := range c.partNumbers() {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.checkProven(seq, views, boards); err != nil {
			return err
		}
		c.verdict.Selected++
	}
	if err := errors.Join(views.End(), c.checkQuestion(boards)); err != nil {
		return err
	}
	if !c.genesis {
		c.skip(AuthoritiesFile, "the entry that names the certificates of the authorities is not in this part; only those that signed a certificate of the part were checked")
	}
	return compare()
}

// partNumbers gives the numbers of the entries, in their order.
func (c *checker) partNumbers() (numbers []int64) {
	for _, name := range c.files.Names() {
		number, isEntry := strings.CutPrefix(name, partEntries)
		seq, err := strconv.ParseInt(strings.TrimSuffix(number, ".json"), 10, 62)
		if isEntry && err == nil && name == partEntries+strconv.FormatInt(seq, 10)+".json" {
			numbers = append(numbers, seq)
		}
	}
	slices.Sort(numbers)
	return numbers
}

func (c *checker) checkProven(seq int64, views *Views, boards boardSet) error {
	name := partEntries + strconv.FormatInt(seq, 10) + ".json"
	body, err := c.read(name)
	if err != nil {
		return err
	}
	proofName := partProofs + strconv.FormatInt(seq, 10) + ".tlog-proof"
	proof, err := c.read(proofName)
	if err != nil || proof == nil {
		return err
	}
	head, _, err := CheckProof(proof, body, c.key)
	if err == nil && head != c.head {
		err = errors.New("the proof is for another checkpoint than that of the bundle")
	}
	if err != nil {
		return c.find(seq, proofName, "%v", err)
	}
	e, err := audit.Decode(body)
	if err != nil {
		return c.find(seq, name, "%v", err)
	}
	if e.Seq != seq {
		return c.find(seq, name, "the entry says it is entry %d", e.Seq)
	}
	if err := errors.Join(c.checkGenesis(&e, name), c.followCertificate(&e, name), c.followReceipt(&e, name)); err != nil {
		return err
	}
	boards.add(&e)
	return views.Add(&e, body)
}

// checkPartAnchors compares anchors with the checkpoint of a part. An older anchor cannot be compared
// without the other entries, and says nothing against the part.
func (c *checker) checkPartAnchors() error {
	for n, note := range c.options.Anchors {
		h, err := c.open(note)
		switch {
		case err != nil:
			err = c.find(-1, "", "anchor %d: %v", n+1, err)
		case h.Size > c.head.Size:
			err = c.find(-1, CheckpointFile, "anchor %d is over %s, the checkpoint of this part over %d: the part is older than the anchor; ask for a new one", n+1, reason.Count(h.Size, "entry", "entries"), c.head.Size)
		case h.Size < c.head.Size:
			c.skip(CheckpointFile, fmt.Sprintf("anchor %d is over %s, the checkpoint of this part over %d, and only all entries show that the one continues the other: compare the anchor with a whole bundle", n+1, reason.Count(h.Size, "entry", "entries"), c.head.Size))
		case h != c.head:
			err = c.find(-1, CheckpointFile, "anchor %d is of another log", n+1)
		default:
			c.verdict.Anchors++
		}
		if err != nil {
			return err
		}
	}
	return nil
}
