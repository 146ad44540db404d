// Package report writes the results of Runs: JSON lines and JUnit for CI, a table and a
// progress line for people, and the certificate file of each board that passed.
package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"hallmark/station"
	"hallmark/station/reason"
)

// A Record is the JSON line of one Run. The line always has all these keys. Later versions
// may add keys, and change or remove none. Times are UTC (RFC 3339). Serial number, digest and
// hardware id are hexadecimal. A text is empty if the Run has nothing to say there.
type Record struct {
	Run               string       `json:"run"`
	BoardID           string       `json:"board_id"`
	Purpose           string       `json:"purpose"` // purpose of the key: tls, cose
	Bay               string       `json:"bay"`
	Ending            string       `json:"ending"`
	Reason            string       `json:"reason"`
	SerialNumber      string       `json:"serial_number"`
	CertificateSHA256 string       `json:"certificate_sha256"`
	Steps             []RecordStep `json:"steps"`
	WireTx            int64        `json:"wire_tx"` // octets station → board
	WireRx            int64        `json:"wire_rx"` // octets board → station
	Started           time.Time    `json:"started"`
	Finished          time.Time    `json:"finished"`
	Outcome           string       `json:"outcome"` // of a Pass: issued, confirmed, reworked
	Order             string       `json:"order"`   // work order
	Operator          string       `json:"operator"`
	Station           string       `json:"station"`
	HardwareID        string       `json:"hardware_id"`
	Firmware          string       `json:"firmware"` // version that the board reports
	Message           string       `json:"message"`  // why the Run did not pass, for people
	Probe             string       `json:"probe"`    // serial number of the debug probe
	Target            string       `json:"target"`   // chip behind the probe, as the programmer names it
	Flash             string       `json:"flash"`    // written, held (the board had the image already), locked (nobody can read it any more); empty without an image
	ImageSHA256       string       `json:"image_sha256"`
	Lock              string       `json:"lock"` // state of the debug port as read from the chip: locked, open; intended: not read
	LockRecipeSHA256  string       `json:"lock_recipe_sha256"`
	LockKey           string       `json:"lock_key"`       // fingerprint of the key that opens the debug port
	HSMExceptions     string       `json:"hsm_exceptions"` // demands on the HSM that the configuration lowers, with commas between them
}

// A RecordStep is one step of a Run.
type RecordStep struct {
	Name    string  `json:"name"`
	MS      float64 `json:"ms"` // with three decimals
	Retries int     `json:"retries"`
}

func recordOf(run *station.Run, stationName, exceptions string) Record {
	r := Record{
		HSMExceptions: exceptions,
		Run:           run.ID.String(), BoardID: boardID(run), Purpose: string(run.Purpose), Bay: run.Bay,
		Ending: string(run.Ending), Reason: run.Reason, Steps: []RecordStep{},
		WireTx: run.Wire.Sent, WireRx: run.Wire.Received,
		Started: run.Started.UTC(), Finished: run.Finished.UTC(),
		Outcome: string(run.Outcome), Order: run.Order, Operator: run.Operator, Station: stationName,
	}
	if run.Identity != nil {
		r.HardwareID, r.Firmware = run.Identity.HardwareID.String(), run.Identity.Firmware
	}
	if run.Err != nil {
		r.Message = reason.OneLine(run.Err)
	}
	if run.Certificate != nil {
		r.SerialNumber = hex.EncodeToString(run.Certificate.Serial[:])
		r.CertificateSHA256 = hex.EncodeToString(run.Certificate.SHA256[:])
	}
	r.byProbe(run)
	for _, step := range run.Steps {
		r.Steps = append(r.Steps, RecordStep{step.Name, float64(step.Took.Microseconds()) / 1000, step.Retries})
	}
	return r
}

// byProbe adds what a debug probe did.
func (r *Record) byProbe(run *station.Run) {
	if p := run.Probe; p != nil {
		r.Probe, r.Target = p.Serial, p.Target
	}
	if f := run.Flash; f != nil {
		r.Flash, r.ImageSHA256 = "written", hex.EncodeToString(f.Image[:])
		switch {
		case f.Image == [sha256.Size]byte{}:
			r.Flash, r.ImageSHA256 = "locked", ""
		case f.Held:
			r.Flash = "held"
		}
	}
	if l := run.Lock; l != nil {
		r.Lock, r.LockKey = string(l.State), l.Recipe.Key
		if l.Recipe.SHA256 != [sha256.Size]byte{} {
			r.LockRecipeSHA256 = hex.EncodeToString(l.Recipe.SHA256[:])
		}
	}
}

func boardID(run *station.Run) string {
	if run.Identity == nil {
		return ""
	}
	return run.Identity.ID.String()
}

// line returns the JSON line, with its end.
func (r Record) line() ([]byte, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding a Run: %w", err)
	}
	return append(line, '\n'), nil
}
