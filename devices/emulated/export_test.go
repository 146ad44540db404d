package emulated

// PID is the process of a running board, 0 while it is off.
func (b *Board) PID() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.power == nil {
		return 0
	}
	return b.power.cmd.Process.Pid
}
