package faults_test

import (
	"bytes"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/devices/smp"
	"hallmark/station"
)

// A meddler sits on the UART and changes the board's answers; change returns nil to keep an answer back.
type meddler struct {
	devices.Transport
	change  func(h smp.Header, message []byte) []byte
	decoder *smp.Decoder
	ready   bytes.Buffer
}

func meddling(with devices.Transport, change func(smp.Header, []byte) []byte) *meddler {
	m := &meddler{Transport: with, change: change}
	m.decoder = smp.NewDecoder(smp.MaxMessage, func(message []byte) {
		h, _, err := smp.ParseHeader(message)
		if err == nil {
			message = m.change(h, bytes.Clone(message))
		}
		if message != nil {
			m.ready.Write(smp.AppendFrame(nil, message))
		}
	}, func([]byte) {}, func(error) {})
	return m
}

func (m *meddler) Read(p []byte) (int, error) {
	var octets [512]byte
	for m.ready.Len() == 0 {
		n, err := m.Transport.Read(octets[:])
		if err != nil {
			return 0, err
		}
		_, _ = m.decoder.Write(octets[:n]) // Write never fails
	}
	return m.ready.Read(p)
}

// hidesReceipts has the board say that its image has no receipt, as somebody on the line can.
func hidesReceipts(h smp.Header, message []byte) []byte {
	var hello smp.HelloResponse
	if h.Group != smp.GroupProvisioning || h.Command != 0 {
		return message
	}
	if _, err := smp.Parse(message, &hello); err != nil {
		return message
	}
	hello.Capabilities &^= uint8(devices.CanReceipt)
	body, err := smp.Marshal(&hello)
	if err != nil {
		return nil
	}
	return smp.AppendMessage(nil, h, body)
}

// onReceipts applies a change to the answers to receipt only.
func onReceipts(change func(smp.Header, []byte) []byte) func(smp.Header, []byte) []byte {
	return func(h smp.Header, message []byte) []byte {
		if h.Group != smp.GroupProvisioning || h.Command != 7 {
			return message
		}
		return change(h, message)
	}
}

// Where receipts are demanded, no board passes without one, whatever somebody on the line does to the answers.
func TestWhereReceiptsAreDemandedNoBoardPassesWithoutOne(t *testing.T) {
	l := newEnvironment(t, func(l *environment) {
		l.changed = func(c *station.Config) { c.RequireReceipt = true }
	})
	short := devices.Options{Answer: 2 * time.Second, Timeout: 5 * time.Second}
	for _, test := range []struct {
		name   string
		change func(smp.Header, []byte) []byte
		ending station.Ending
		word   string
		signed bool // a certificate was signed before the refusal
	}{
		{"hello hides it", hidesReceipts, station.Reject, devices.ErrNoReceipt.Word(), false},
		{"its signature is changed", onReceipts(func(_ smp.Header, m []byte) []byte { m[len(m)-1] ^= 1; return m }), station.Reject, devices.ErrReceiptKey.Word(), true},
		{"the board is made to say that it has no such command", onReceipts(func(h smp.Header, _ []byte) []byte {
			return smp.AppendMessage(nil, h, []byte{0xa1, 0x62, 'r', 'c', 8})
		}), station.Reject, devices.ErrUnsupported.Word(), true},
		{"the answer is kept back", onReceipts(func(smp.Header, []byte) []byte { return nil }), station.Fault, devices.ErrNoAnswer.Word(), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			bay, dir, asked := l.bay("bay"), t.TempDir(), l.asked.Load()
			board := l.plug(t, emulated.Config{Dir: dir}, short, func(good devices.Transport) devices.Transport { return meddling(good, test.change) })
			run := bay.enrol(t, board, board)
			ends(t, run, test.ending, test.word)
			if signed := l.asked.Load() > asked; signed != test.signed || run.Receipt != nil {
				t.Errorf("signed: %t, want %t; receipt %x", signed, test.signed, run.Receipt)
			}
			// The same board passes over a good cable, and its receipt is kept.
			board = l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
			if after := bay.enrol(t, board, board); after.Ending != station.Pass || after.Receipt == nil {
				t.Errorf("over a good cable: %s %s, receipt %x", after.Ending, after.Reason, after.Receipt)
			}
		})
	}
	l.checkInvariants(t)
}

// The key in station.yaml reaches the engine.
func TestStationYAMLDemandsReceipts(t *testing.T) {
	l := newEnvironment(t, func(l *environment) { l.receipts = true })
	board := l.plug(t, emulated.Config{}, longTimeout, func(good devices.Transport) devices.Transport { return meddling(good, hidesReceipts) })
	ends(t, l.bay("bay").enrol(t, board, board), station.Reject, devices.ErrNoReceipt.Word())
}
