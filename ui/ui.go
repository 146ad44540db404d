// Package ui is the operator's screen. It draws [station.Event]s and sends
// intents; it knows no board, no HSM and no database, and nothing that happens
// in it can change what a Run does or what is on record.
//
// The rules of the screen:
//
//   - The operator looks for half a second. Each bay has a fixed place; an
//     ending is a word, a shape and a colour, with the next action below it, and
//     stays until the next board of that bay.
//   - A scanner is a fast keyboard that ends in enter. What comes that fast is a
//     scan and never a shortcut (see gatherer). Pasted text is refused.
//   - What cannot be undone asks in a dialog that says what will happen. A dialog
//     is confirmed by one deliberate key, never by enter, and a scan closes nothing.
//   - Every key is in the keymap, with the reason why it does nothing just now. The
//     footer, the help and the dispatcher read the same list.
//   - Texts are in package catalogue; what comes from outside goes through clean.
//
// [Model] is a value: Update returns another one. Slow work is a tea.Cmd with a
// bound on its time. Events are collected in a [Feed] and drawn at most every
// [Options.Interval], however many there are. [Plain] is the interface for terminals that
// are none, and for screen readers.
//
// What the interface needs of the rest of the station is in needs.go.
package ui
