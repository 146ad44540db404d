package ui

import (
	"fmt"
	"time"

	"hallmark/devices"
	"hallmark/station"
)

// runAt gives the Run of the nth board in a bay, as it is when step is running.
func runAt(n int, bay string, step int) station.Run {
	id := devices.BoardID(boardOf(n))
	run := station.Run{ID: runOf(n), Bay: bay, Operator: "op17", Order: "WO-4711", Started: at(float64(-3 - n%7)),
		Identity: &devices.Identity{ID: id, HardwareID: devices.HardwareID(fmt.Sprintf("hw-%04d", n)), BoardType: "mps2-an521", Firmware: "1.4.2"},
		Wire:     devices.WireCount{Sent: 2810, Received: 3120}}
	for i, name := range testSteps[:max(0, step)] {
		run.Steps = append(run.Steps, station.StepTime{Name: name, Took: time.Duration(100*(i%4+1)) * time.Millisecond})
	}
	return run
}

func running1(n int, bay string, step int) station.Event {
	run := runAt(n, bay, step)
	return station.Event{Kind: station.StepStarted, At: at(0), Run: run.ID, Bay: bay, Step: testSteps[step], Snap: run}
}

// flashing is the step flash of the nth board, percent done.
func flashing(n int, bay string, percent int) station.Event {
	run := runAt(n, bay, 0)
	run.Identity = nil
	return station.Event{Kind: station.StepMoved, At: at(0), Run: run.ID, Bay: bay, Step: "flash", Progress: station.Progress{Done: percent * 1000, Total: 100_000}, Waits: station.WaitFlash, Snap: run}
}

// waitsFor is a step of the nth board that waits for something.
func waitsFor(n int, bay, step string, what station.Wait) station.Event {
	run := runAt(n, bay, 0)
	run.Identity = nil
	return station.Event{Kind: station.StepMoved, At: at(0), Run: run.ID, Bay: bay, Step: step, Waits: what, Snap: run}
}

func ended(n int, bay string, e station.Ending, reason string) station.Event {
	run := runAt(n, bay, len(testSteps))
	run.Finished, run.Ending, run.Reason = run.Started.Add(2900*time.Millisecond), e, reason
	if e == station.Pass {
		run.Outcome = station.Issued
	}
	return station.Event{Kind: station.RunEnded, At: run.Finished, Run: run.ID, Bay: bay, Snap: run}
}

// mixed is a bench in the middle of the day.
func mixed(bays int) []station.Event {
	var events []station.Event
	for i := range bays {
		bay := fmt.Sprint(i + 1)
		switch i % 8 {
		case 0, 5:
			events = append(events, ended(i, bay, station.Pass, ""))
		case 1:
			events = append(events, ended(i, bay, station.Reject, "store-io"))
		case 2:
			events = append(events, ended(i, bay, station.Fault, "no-answer"))
		case 3:
			events = append(events, ended(i, bay, station.Aborted, "operator"))
		case 4:
			events = append(events, running1(i, bay, 7))
		case 6:
			events = append(events, running1(i, bay, 3))
		}
	}
	return events
}
