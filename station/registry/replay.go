package registry

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hallmark/devices"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// replay has the rows that follow from the entries of the audit log, each under its
// primary key.
type replay struct {
	boards, keys, runs, certificates, orders, bays, cosignatures, timestamps, locks, archives, holds, reworks map[string]fields
	startup                                                                                                   string // number of the newest entry of a start
	profiles                                                                                                  string // number of the newest entry that adopts profiles

	signed map[string]map[string]int // certificates that did not fail, by work order and board

	partial bool // bodies are missing, so only some rows can be made
}

func newReplay() *replay {
	return &replay{boards: map[string]fields{}, keys: map[string]fields{}, runs: map[string]fields{},
		certificates: map[string]fields{}, orders: map[string]fields{}, bays: map[string]fields{}, cosignatures: map[string]fields{}, timestamps: map[string]fields{}, locks: map[string]fields{}, archives: map[string]fields{}, holds: map[string]fields{}, reworks: map[string]fields{}, signed: map[string]map[string]int{}}
}

// Indexes into fields, for the columns that later entries change.
const (
	boardHardware, boardScrapped                         = 0, 3
	runBoard, runPurpose, runOrder                       = 0, 1, 5
	runRework, runFirst                                  = 6, 13
	runClosed, runEnding, runReason, runOutcome, runLast = 9, 10, 11, 12, 14
	runProbe, runTarget, runFlashed                      = 19, 20, 21
	certBoard, certPurpose, certOrder                    = 0, 1, 12
	certChanged, certStatus, certReason, certHash        = 14, 15, 16, 17
	orderProduct, orderQuota, orderCounted, orderClosed  = 0, 1, 2, 4
	bayStopped                                           = 0
)

// apply makes or changes the rows that follow from one entry. A crafted entry may lack any
// part, so each case checks the parts that it reads. Apply refuses an entry that the registry would
// not have written: about a scrapped board, another board's key, or a count that is wrong.
func (s *replay) apply(e audit.Entry) error {
	if err := s.change(e); err != nil || e.WorkOrder == nil || endings[e.Type] != "" {
		return err
	}
	return s.order(e)
}

// applyPartly makes the rows that need no body of an archived entry.
func (s *replay) applyPartly(e audit.Entry) error {
	if e.Type == typeStartup || e.Type == TypeArchived || adopts(e) {
		return s.change(e)
	}
	return nil
}

func (s *replay) change(e audit.Entry) error {
	switch {
	case e.Type == TypeArchived:
		d := e.Details
		s.archives[d["until"]] = fields{d["first"], fmt.Sprint(e.Seq), d["root"], d["sha256"], d["sums_sha256"], d["removed_sha256"]}
	case e.Type == typeStartup:
		s.startup = fmt.Sprint(e.Seq)
	case adopts(e):
		return s.adopted(e)
	case e.Type == typeCosigned:
		s.cosignatures[e.Details["size"]+" "+e.Details["signer"]] = fields{e.Details["line"] + "\n"}
	case e.Type == typeTimestamped:
		s.timestamps[e.Details["size"]] = fields{e.Details["sha256"]}
	case e.Type == typeAdmitted:
		return s.admitted(e)
	case e.Type == "board.scrapped":
		return s.scrapped(e)
	case e.Type == typeHeld, e.Type == typeReleased:
		return s.held(e)
	case e.Type == typeMarked, e.Type == typeWithdrawn:
		return s.marked(e)
	case e.Type == typeLockIntent, e.Type == typeLocked, e.Type == typeLockOpen:
		return s.locked(e)
	case e.Type == typeRecovered, e.Type == typeNotRecovered:
		return s.recovered(e)
	case e.Type == "cert.issue.intent":
		return s.intended(e)
	case strings.HasPrefix(e.Type, "cert.") && e.Cert != nil && e.Cert.Status != "":
		return s.changed(e)
	case endings[e.Type] != "":
		return s.ended(e)
	case e.Type == typeBayStopped:
		return s.bayStopped(e)
	case e.Type == typeBayAcknowledged:
		return set(s.bays, e.Details["bay"], func(f fields) error { f[bayStopped] = ""; return nil })
	}
	return nil
}

// incomplete is the error of an entry that lacks a part which the station always writes.
func incomplete(e audit.Entry, parts string) error {
	return fmt.Errorf("%w: entry %d, %s, has no %s", ErrDiffers, e.Seq, e.Type, parts)
}

func (s *replay) scrapped(e audit.Entry) error {
	if e.Board == nil {
		return incomplete(e, "board")
	}
	return set(s.boards, e.Board.ID, func(f fields) error {
		if f[boardScrapped] != "" {
			return fmt.Errorf("%w: entry %d scraps board %s a second time", ErrDiffers, e.Seq, e.Board.ID)
		}
		f[boardScrapped] = e.Time.String()
		return nil
	})
}

// ended ends a Run. A refused Run has no earlier entry, so its row is made here.
func (s *replay) ended(e audit.Entry) error {
	if e.Run == nil {
		return incomplete(e, "Run")
	}
	if e.Details["admitted"] == "false" {
		return s.refused(e)
	}
	return set(s.runs, e.Run.ID, func(f fields) error {
		if f[runEnding] != "" {
			return fmt.Errorf("%w: entry %d ends Run %s a second time", ErrDiffers, e.Seq, e.Run.ID)
		}
		f[runClosed], f[runEnding], f[runReason] = e.Time.String(), string(endings[e.Type]), e.Reason
		f[runOutcome], f[runLast] = e.Run.Outcome, fmt.Sprint(e.Seq)
		f[runProbe], f[runTarget], f[runFlashed] = e.Details[detailProbe], e.Details[detailTarget], e.Details[detailFlashed]
		return nil
	})
}

func (s *replay) refused(e audit.Entry) error {
	r, b := e.Run, audit.Board{}
	if _, known := s.runs[r.ID]; known {
		return fmt.Errorf("%w: entry %d refuses Run %s, which was admitted", ErrDiffers, e.Seq, r.ID)
	}
	if e.Board != nil {
		b = *e.Board
	}
	now, seq := e.Time.String(), fmt.Sprint(e.Seq)
	s.runs[r.ID] = fields{b.ID, r.Purpose, b.HardwareID, r.Bay, r.Operator, orderID(e), r.Rework, now, "0", now, string(endings[e.Type]), e.Reason, "", seq, seq,
		b.Type, b.Firmware, b.SHA256, b.HUK, e.Details[detailProbe], e.Details[detailTarget], e.Details[detailFlashed]}
	return nil
}

func (s *replay) bayStopped(e audit.Entry) error {
	if e.Run == nil {
		return incomplete(e, "Run")
	}
	board := ""
	if e.Board != nil {
		board = e.Board.ID
	}
	s.bays[e.Run.Bay] = fields{e.Time.String(), e.Reason, board, e.Run.ID}
	return nil
}

// set changes a row that an earlier entry must have made.
func set(rows map[string]fields, key string, change func(fields) error) error {
	f, ok := rows[key]
	if !ok {
		return fmt.Errorf("%w: the log changes %s and never made it", ErrDiffers, key)
	}
	return change(f)
}

// order checks the number of boards that the entry gives for its work order. The registry counts
// in a row, and somebody who changed the row would change all later entries.
func (s *replay) order(e audit.Entry) error {
	o := e.WorkOrder
	f, known := s.orders[o.ID]
	switch {
	case e.Type == audit.TypeOrderOpened:
		if known {
			return fmt.Errorf("%w: entry %d opens work order %s a second time", ErrDiffers, e.Seq, o.ID)
		}
		s.orders[o.ID] = fields{o.Product, fmt.Sprint(o.Quota), "0", e.Time.String(), ""}
		s.signed[o.ID] = map[string]int{}
		return nil
	case !known:
		return fmt.Errorf("%w: entry %d is for work order %s, which was never opened", ErrDiffers, e.Seq, o.ID)
	}
	if err := orderLife(e, f); err != nil {
		return err
	}
	counted := int64(len(s.signed[o.ID]))
	if o.Counted != counted || counted > o.Quota || f[orderQuota] != fmt.Sprint(o.Quota) {
		return fmt.Errorf("%w: entry %d counts %d of %s for work order %s, which has %d of %s", ErrDiffers, e.Seq, o.Counted, reason.Count(o.Quota, "board", "boards"), o.ID, counted, f[orderQuota])
	}
	f[orderCounted] = fmt.Sprint(counted)
	return nil
}

// orderLife follows a work order that is raised or closed. No Run is admitted for an order that is closed, and no further board is counted.
func orderLife(e audit.Entry, f fields) error {
	closed := f[orderClosed] != ""
	switch e.Type {
	case audit.TypeOrderRaised:
		if was, err := strconv.ParseInt(f[orderQuota], 10, 64); err != nil || closed || e.WorkOrder.Quota <= was || e.WorkOrder.Product != f[orderProduct] {
			return fmt.Errorf("%w: entry %d raises work order %s from %s to %d", ErrDiffers, e.Seq, e.WorkOrder.ID, f[orderQuota], e.WorkOrder.Quota)
		}
		f[orderQuota] = strconv.FormatInt(e.WorkOrder.Quota, 10)
	case audit.TypeOrderRevised:
		if was, err := strconv.ParseInt(f[orderQuota], 10, 64); err != nil || closed || e.WorkOrder.Quota < was || e.WorkOrder.Product != f[orderProduct] {
			return fmt.Errorf("%w: entry %d revises work order %s from %s to %d", ErrDiffers, e.Seq, e.WorkOrder.ID, f[orderQuota], e.WorkOrder.Quota)
		}
		f[orderQuota] = strconv.FormatInt(e.WorkOrder.Quota, 10)
	case audit.TypeOrderClosed:
		if closed {
			return fmt.Errorf("%w: entry %d closes work order %s a second time", ErrDiffers, e.Seq, e.WorkOrder.ID)
		}
		f[orderClosed] = e.Time.String()
	case typeAdmitted:
		if closed {
			return fmt.Errorf("%w: entry %d admits a Run for work order %s, which was closed", ErrDiffers, e.Seq, e.WorkOrder.ID)
		}
	case "cert.issue.intent":
		if closed && f[orderCounted] != fmt.Sprint(e.WorkOrder.Counted) {
			return fmt.Errorf("%w: entry %d counts a further board for work order %s, which was closed", ErrDiffers, e.Seq, e.WorkOrder.ID)
		}
	}
	return nil
}

// count counts a certificate of a board for a work order, or takes it out again.
func (s *replay) count(order, board string, by int) {
	boards := s.signed[order]
	if boards == nil { // no work order
		return
	}
	if boards[board] += by; boards[board] <= 0 {
		delete(boards, board)
	}
}

func (s *replay) admitted(e audit.Entry) error {
	if e.Run == nil || e.Board == nil {
		return incomplete(e, "Run or board")
	}
	b, r := e.Board, e.Run
	if _, known := s.runs[r.ID]; known {
		return fmt.Errorf("%w: entry %d admits Run %s a second time", ErrDiffers, e.Seq, r.ID)
	}
	f, known := s.boards[b.ID]
	switch {
	case !known:
		s.boards[b.ID] = fields{b.HardwareID, b.Type, e.Time.String(), ""}
	case f[boardHardware] != b.HardwareID:
		return fmt.Errorf("%w: entry %d admits board %s on hardware %s, which is known on %s", ErrDiffers, e.Seq, b.ID, b.HardwareID, f[boardHardware])
	case f[boardScrapped] != "":
		return fmt.Errorf("%w: entry %d admits board %s, which was scrapped", ErrDiffers, e.Seq, b.ID)
	case s.isHeld(b.ID):
		return fmt.Errorf("%w: entry %d admits board %s, which is on hold", ErrDiffers, e.Seq, b.ID)
	}
	s.runs[r.ID] = fields{b.ID, r.Purpose, b.HardwareID, r.Bay, r.Operator, orderID(e), r.Rework, e.Time.String(), "1", "", "", "", "", fmt.Sprint(e.Seq), "",
		b.Type, b.Firmware, b.SHA256, b.HUK, "", "", ""}
	return nil
}

func orderID(e audit.Entry) string {
	if e.WorkOrder == nil {
		return ""
	}
	return e.WorkOrder.ID
}

func (s *replay) intended(e audit.Entry) error {
	if e.Run == nil || e.Board == nil || e.Cert == nil {
		return incomplete(e, "Run, board or certificate")
	}
	if err := s.mayIntend(e); err != nil {
		return err
	}
	c, rework := e.Cert, "0"
	if c.Rework {
		rework = "1"
	}
	s.keys[c.SPKISHA256] = fields{e.Board.ID, c.Purpose, cmp.Or(c.Algorithm, devices.AlgorithmP256)}
	s.certificates[c.Serial] = fields{e.Board.ID, c.Purpose, c.SPKISHA256, c.Issuer, c.Profile, c.ProfileSHA256, c.TBSSHA256, c.CSRSHA256,
		c.NotBefore, c.NotAfter, rework, e.Run.ID, orderID(e), e.Time.String(), e.Time.String(), "intended", "", ""}
	s.count(orderID(e), e.Board.ID, +1)
	return nil
}

// mayIntend refuses an intent outside of an open Run of the board, for a scrapped board, with the
// key of another board (I4), and with a serial number that was used (I2).
func (s *replay) mayIntend(e audit.Entry) error {
	c, id := e.Cert, e.Board.ID
	run, admitted := s.runs[e.Run.ID]
	key, used := s.keys[c.SPKISHA256]
	_, again := s.certificates[c.Serial]
	switch {
	case !admitted || run[runEnding] != "" || run[runBoard] != id || run[runPurpose] != c.Purpose || run[runOrder] != orderID(e):
		return fmt.Errorf("%w: entry %d is for no open Run of board %s", ErrDiffers, e.Seq, id)
	case s.isHeld(id):
		return fmt.Errorf("%w: entry %d is for board %s, which is on hold", ErrDiffers, e.Seq, id)
	case s.isScrapped(id):
		return fmt.Errorf("%w: entry %d is for board %s, which was scrapped", ErrDiffers, e.Seq, id)
	case used && (key[0] != id || key[1] != c.Purpose):
		return fmt.Errorf("%w: entry %d gives board %s the key of board %s", ErrDiffers, e.Seq, id, key[0])
	case again:
		return fmt.Errorf("%w: entry %d has the serial number %s, which was used", ErrDiffers, e.Seq, c.Serial)
	}
	return nil
}

func (s *replay) isScrapped(board string) bool {
	f, known := s.boards[board]
	return known && f[boardScrapped] != ""
}

func (s *replay) changed(e audit.Entry) error {
	return set(s.certificates, e.Cert.Serial, func(f fields) error {
		before, after := f[certStatus], e.Cert.Status
		if before == "revoked" && after == "revoked" && e.Reason == ReasonKeyCompromise && f[certReason] != ReasonKeyCompromise {
			f[certReason] = e.Reason
			return nil
		}
		if !follows(before, after) {
			return fmt.Errorf("%w: entry %d makes certificate %s %s, which was %s", ErrDiffers, e.Seq, e.Cert.Serial, after, before)
		}
		if s.isScrapped(f[certBoard]) && (after == "delivered" || after == "active") {
			return fmt.Errorf("%w: entry %d makes certificate %s %s, whose board was scrapped", ErrDiffers, e.Seq, e.Cert.Serial, after)
		}
		if s.isHeld(f[certBoard]) && (after == "delivered" || after == "active") {
			return fmt.Errorf("%w: entry %d makes certificate %s %s, whose board is on hold", ErrDiffers, e.Seq, e.Cert.Serial, after)
		}
		f[certChanged], f[certStatus], f[certReason] = e.Time.String(), after, e.Reason
		switch after {
		case "issued":
			f[certHash] = e.Cert.SHA256
		case "active":
			return s.spent(e, f[certBoard], f[certPurpose])
		case "failed":
			s.count(f[certOrder], f[certBoard], -1)
		}
		return nil
	})
}

// life has the statuses that may follow each status of a certificate, as the trigger
// certificate_life has them.
var life = map[string]string{
	"intended": "issued failed unresolved", "issued": "delivered revoked scrapped", "delivered": "active revoked scrapped",
	"active": "superseded revoked scrapped", "superseded": "revoked", "unresolved": "revoked",
}

func follows(before, after string) bool { return slices.Contains(strings.Fields(life[before]), after) }
