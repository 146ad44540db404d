// Package ui is the operator's screen. It draws [station.Event]s and sends
// intents; it knows no board, no HSM and no database, and nothing that happens
// in it can change what a Run does or what is on record.
//
// The rules of the screen:
//
//   - The operator looks for half a second. Each bay has a fixed place; an
//     ending is a word, a shape and a colour, with the next action below it, and
//     stays until the next board of that bay.
//   - A scanner is a keyboard that may be as slow as a person, so no time tells its characters from keys:
//     one key acts, and every other key only shows or asks something (see scanBuffer). Pasted text is refused.
//   - Before an action that cannot be undone, a dialog says what will happen. Only one key
//     confirms a dialog, never enter or a scan.
//   - Footer, help and the handling of keys read the same list of actions. A key that does
//     nothing just now says why.
//   - Texts are in package catalogue. Text from outside goes through clean.
//
// [Model] is a value: Update returns another one, and a painter draws the newest. Slow work is a tea.Cmd with a
// bound on its time. Events are collected in a [Feed] and drawn ten times a second, however
// many there are. [Plain] is the interface for screen readers and for output that is no terminal.
//
// interfaces.go has the interfaces to the rest of the station.
package ui
