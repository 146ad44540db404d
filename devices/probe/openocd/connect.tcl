# Procedures of the scripts that the station gives to OpenOCD. Each report is one line that begins with "hallmark:".
gdb_port disabled
telnet_port disabled
tcl_port disabled

proc hallmark_say {args} { echo "hallmark: [join $args]" }

# Reports a refusal, and ends OpenOCD with exit code 1.
proc hallmark_refuse {args} {
	hallmark_say refused {*}$args
	shutdown error
}

# Needs OpenOCD 0.12, because earlier versions have other commands.
proc hallmark_version {} {
	if {![regexp {Open On-Chip Debugger ([0-9]+)\.([0-9]+)} [version] all major minor]} { hallmark_refuse version }
	if {$major == 0 && $minor < 12} { hallmark_refuse version }
}

# Refuses a J-Link that could only be on the network. Other probes are on USB alone.
proc hallmark_no_network {} {
	if {[adapter name] eq "jlink"} { hallmark_refuse network }
}

# Waits until no other OpenOCD looks for its probe: the station makes the file "go".
proc hallmark_turn {} {
	hallmark_say asks
	while {![file exists go]} { after 1 }
}

# Connects to probe and board. The log of the connection goes to the file init.log.
proc hallmark_connect {serial location} {
	log_output init.log
	debug_level 3
	set failed [catch {init} why]
	debug_level 2
	log_output default
	hallmark_say started
	if {$failed} { hallmark_refuse init }
	if {[adapter name] eq "jlink"} { hallmark_jlink $serial $location } else { hallmark_supply }
}

# Refuses a board without supply, if the driver of the adapter has logged the voltage, as that of the ST-Link does.
proc hallmark_supply {} {
	set file [open init.log r]
	set log [read $file]
	close $file
	if {![regexp {Target voltage: ([0-9]+)\.([0-9][0-9][0-9])} $log all volts milli]} { return }
	set millivolts [expr {$volts * 1000 + [scan $milli %d]}]
	hallmark_say millivolts $millivolts
	if {$millivolts < 1000} { hallmark_refuse voltage $millivolts }
}

# Refuses a second probe with the same serial number, and a board without supply.
proc hallmark_jlink {serial location} {
	set file [open init.log r]
	set log [read $file]
	close $file
	set new "Serial number = 0*$serial\[^0-9\]\[^\n\]*\n(\[^\n\]*Product\[^\n\]*\n)?\[^\n\]*Allocating"
	if {$location eq "" && $serial ne "" && [regexp -all $new $log] > 1} { hallmark_refuse ambiguous }
	if {![regexp {VTarget = ([0-9]+)\.([0-9]+)} [jlink hwstatus] all volts milli]} { hallmark_refuse voltage unknown }
	set millivolts [expr {$volts * 1000 + [scan $milli %d]}]
	hallmark_say millivolts $millivolts
	if {$millivolts < 1000} { hallmark_refuse voltage $millivolts }
}

# Reports the state of the lock, and refuses the one of a locked chip: its CPU may answer all the same. refused is
# empty for work that a locked chip may have. A chip that has no state to read is told by what follows.
proc hallmark_lock_state {command refused} {
	global hallmark_state
	if {[catch {uplevel #0 $command} hallmark_state]} { unset hallmark_state; return }
	hallmark_say lock $hallmark_state
	if {$refused ne "" && $hallmark_state == $refused} { hallmark_refuse locked $hallmark_state }
}

# Restarts a locked chip by its reset pin, and ends the script. A chip that is not locked is left as it is.
proc hallmark_pin_reset {locked} {
	global hallmark_state
	if {$locked eq "" || ![info exists hallmark_state] || $hallmark_state != $locked} { return }
	if {[catch {
		reset_config srst_only
		adapter assert srst
		sleep 20
		adapter deassert srst
	}]} { hallmark_refuse unexamined }
	hallmark_done
}

proc hallmark_examined {} {
	if {![[target current] was_examined]} { hallmark_refuse unexamined }
}

proc hallmark_part {address mask value} {
	set word [read_memory $address 32 1]
	hallmark_say part $word
	if {($word & $mask) != ($value & $mask)} { hallmark_refuse part $word }
}

# Does one command, and refuses with a word if it fails.
proc hallmark_try {word command} {
	if {[catch {uplevel #0 $command} result]} {
		if {$result ne ""} { echo $result }
		hallmark_refuse $word
	}
	if {$result ne ""} { echo $result }
}

# Looks for the control block of RTT until the board has made it. Each try takes 20 ms.
proc hallmark_rtt {times} {
	for {set i 0} {$i < $times} {incr i} {
		if {![catch {rtt start}] && ![catch {rtt channellist}]} { return }
		catch {rtt stop}
		sleep 20
	}
	hallmark_refuse rtt
}

proc hallmark_done {} {
	hallmark_say done
	shutdown
}
