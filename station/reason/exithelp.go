package reason

// ExitHelp is the part of a command's help that explains its exit codes.
const ExitHelp = `Exit codes:
  0  all Runs ended as Pass, or the command did what was asked
  1  Fault: the station, the HSM or a line is bad; the boards may be tried again
  2  Reject: a board is bad
  3  usage or configuration; nothing was begun
  4  Aborted: the operator stopped, or the work order takes no further board
  5  the token refuses the PIN: nothing may try again by itself, or the token locks
A crash ends with a signal (SIGABRT) and is no verdict.
Where Runs end differently, the first of 1, 2, 4 that occurs counts.`
