package reason

import "slices"

// table has one row for each refusal of the product. The order of the rows is the precedence
// of Of: a verdict on the board comes before a trouble of the station that would hide the
// verdict. Rows that no Run ends with come after the rows of Runs. The last row is for errors
// without a sentinel.
var table = slices.Concat(ofRuns, ofParts, ofHSM, ofCeremony, []Row{faults("fault", stopLine, "")})

// Keys of the next action in the screen's catalogue.
const (
	engineering = "next.engineering" // the bay waits for engineering (I4)
	stopLine    = "next.fault"       // the next board would end in the same way
	again       = "next.again"       // a second try can succeed
	reseat      = "next.reseat"
	supply      = "next.supply"   // the board has no supply
	replug      = "next.probe"    // the probe is not there, or hangs
	firmware    = "next.firmware" // the board is good, but its firmware image is wrong
	setAside    = "next.reject"   // the board is bad
	scrapped    = "next.scrapped"
	order       = "next.order"
	insert      = "next.insert"
	takeOut     = "next.done"  // the board is good and was done before
	flashAgain  = "next.flash" // a second try flashes the board again
	swapped     = "next.swapped"
	shift       = "next.shift"
	noTile      = "" // no Run ends with the word, so no tile shows an action
)

// A row without a text of its own has the text of its ending.
var (
	nextByEnding = map[Ending]string{
		Reject:  "set the board aside with its report",
		Fault:   "try the board again; if it happens again run `station doctor`",
		Aborted: "run the same command again",
	}
	screenByEnding = map[Ending]string{Pass: "next.pass", Reject: setAside, Fault: reseat, Aborted: again}
	exitByEnding   = map[Ending]Exit{Pass: ExitPass, Reject: ExitReject, Fault: ExitFault, Aborted: ExitAborted}
)

func row(ending Ending, word, screen, next string) Row {
	if next == "" {
		next = nextByEnding[ending]
	}
	return Row{Word: word, Ending: ending, Exit: exitByEnding[ending], Next: next, Screen: screen}
}

func rejects(word, screen, next string) Row { return row(Reject, word, screen, next) }
func faults(word, screen, next string) Row  { return row(Fault, word, screen, next) }
func aborts(word, screen, next string) Row  { return row(Aborted, word, screen, next) }

// byHSM is for a Fault that a lost HSM can cause in the step sign.
func byHSM(row Row) Row {
	row.HSM = true
	return row
}

// stops is a Reject that also stops the bay.
func stops(word, screen, next string) Row {
	r := rejects(word, screen, next)
	r.StopBay = true
	return r
}

// misuses is a Fault of usage or configuration.
func misuses(word, next string) Row {
	r := faults(word, noTile, next)
	r.Exit = ExitUsage
	return r
}

// noOrder is a Fault of a work order that takes the board no further. Its exit code is that of a stop: the station is
// good, and a second try ends in the same way until a person has acted on the order.
func noOrder(word, screen, next string) Row {
	r := faults(word, screen, next)
	r.Exit = ExitAborted
	return r
}

// pins is a Fault for which a second try could lock the token.
func pins(word, next string) Row {
	r := faults(word, noTile, next)
	r.Exit = ExitPIN
	return r
}

// ofRuns are the refusals that a Run can end with.
var ofRuns = []Row{
	// A stopped bay gives the reason of its last board, which is not this Run's board.
	aborts("bay-stopped", engineering, "look at the board that stopped the bay, then release the bay on the screen or with `station bays acknowledge BAY --operator NAME`"),

	// Mixed-up boards. These rows come early, because the rows below could then be about another board.
	faults("swapped", swapped, "leave a board in its bay until its Run has ended, and try both boards again"),
	faults("lock-unproven", stopLine, "look whether the debug cable leads to this board, and try it again; if it does, `station recover BAY --reason TEXT` erases the board, and the next Run flashes and locks it"),
	faults("probe-elsewhere", stopLine, "lay the debug cable and the UART of the bay to the same board, and compare the bay's probe with `station bays`"),
	faults("restarted", again, "check the board's supply and its seat in the jig, and try again"),

	// Identities that are not unique (I4).
	stops("clone", engineering, "keep both boards and call engineering: two pieces of hardware have one identity; the bay stays stopped"),
	stops("dummy-identity", engineering, "provision the board's hardware unique key first; engineering must find out how it left without one"),
	stops("key-elsewhere", engineering, "keep the board and call engineering: its key or BoardID belongs to another one; the bay stays stopped"),

	// The identity of the board.
	rejects("untrusted-huk", setAside, "provision the board's hardware unique key; emulated boards need boards.allow_emulated in station.yaml"),
	rejects("identity-abi", firmware, "flash the firmware that this station is made for"),
	faults("image-unfit", stopLine, "stop the bay and correct firmware.image in the board definition: the station flashed this image, so the board is not bad"),
	rejects("other-algorithm", firmware, "flash firmware whose keys are ecdsa-p256, the only algorithm of this station"),
	rejects("firmware-not-allowed", firmware, "flash an image whose hash is in firmware_allow of station.yaml and on the list of the work order, or add the image to the list of the station after its release: the list has the hash that boards report, which `station boards check` prints, and not the SHA-256 of the file"),
	faults("image-not-allowed", stopLine, "name an image that is allowed in the bay's board definition, or add this image to firmware_allow in station.yaml or to the work order after its release"),
	rejects("done-before", takeOut, "take the board out: its certificate is active, and no Run erases such a board; to give it other firmware use the programmer by hand"),
	rejects("no-purpose", firmware, "flash firmware that derives the COSE key, or leave cose_profile out of station.yaml"),
	rejects("no-hardware-id", firmware, "flash firmware that reports the hardware id of its chip, or take ${board.hardware_id} out of the profile"),
	rejects("sealed", setAside, "look it up with `station boards`: no Run can give it another certificate any more, but an update file can (`station renew`), if its image takes one; otherwise scrap it"),
	rejects("renewed-in-field", takeOut, "take the board out, it is good: it holds the certificate of an update file of this station, and needs no Run"),
	rejects("scrapped", scrapped, "take the board out of the lot: it was scrapped"),
	rejects("held", setAside, "keep the board aside until it is released: `station release --board ID --reason TEXT`"),
	rejects("key-compromised", scrapped, "scrap the board: its key follows from its hardware, so it cannot get another one"),
	rejects("revoked", setAside, "mark the board if it may have a new certificate: `station rework --board ID --reason TEXT`, then enrol it"),

	// The CSR of the board (RFC 2986, PROTOCOL.md section 4).
	rejects("csr-too-large", setAside, ""),
	rejects("csr-not-der", setAside, ""),
	rejects("csr-trailing-octets", setAside, ""),
	rejects("csr-version", setAside, ""),
	rejects("csr-key-not-p256", setAside, ""),
	rejects("csr-key-not-on-curve", setAside, ""),
	rejects("csr-signature-algorithm", setAside, ""),
	rejects("csr-signature", setAside, ""),
	rejects("csr-subject", setAside, ""),
	rejects("csr-board-id", setAside, ""),
	rejects("csr-nonce-missing", setAside, ""),
	rejects("csr-nonce-wrong", setAside, ""),
	rejects("csr-nonce-duplicated", setAside, ""),
	rejects("csr-attribute", setAside, ""),
	rejects("csr-extension", setAside, ""),

	// The flash and the handshake of the board.
	rejects("foreign-certificate", setAside, "find out which station gave the board its certificate, and set it aside for rework: no command erases, its flash must be erased with the programmer"),
	rejects("not-restarted", setAside, ""),
	rejects("read-back-differs", setAside, "set the board aside: its flash is bad"),
	rejects("probe-read-differs", setAside, "set the board aside for engineering: what it says over its UART is not what its flash holds"),
	rejects("locked-elsewhere", setAside, "set the board aside: find out who locked its debug port, because only the holder of that lock knows how it is opened; `station recover BAY` opens it by erasing the whole chip, if the board definition has recover"),
	faults("lock-open", stopLine, "set the board aside: its debug port is open; compare the lock recipe of the board definition with the chip"),
	rejects("other-key", setAside, "set the board aside: the key it was certified for was gone after a reset"),
	rejects("handshake-refused", setAside, ""),
	rejects("wrong-certificate", setAside, ""),
	rejects("no-answer-read", setAside, ""),

	// The handshake as the board reports it. If the board refuses the verifier, the Run is a Fault of the station. Otherwise the board is bad.
	faults("server-name", stopLine, "this bench is set up for other boards: compare verifier.server_name with the firmware"),
	faults("server-untrusted", stopLine, ""),
	faults("server-expired", stopLine, ""),
	faults("server-not-yet", stopLine, ""),
	faults("server-no-tls", stopLine, ""),
	faults("server-no-agreement", stopLine, ""),
	faults("server-gone", stopLine, ""),
	faults("server-silent", stopLine, "look at the network between board and station: the verifier's port is open, and nothing comes back"),
	faults("server-unreached", stopLine, "compare network.address in station.yaml with this machine's address in the boards' network, and look at its firewall"),
	faults("server-talks", stopLine, ""),
	rejects("server-refuses", setAside, ""),
	rejects("handshake-failed", setAside, ""),

	// Refusals of the board (PROTOCOL.md section 2), and answers that break the protocol.
	rejects("internal", setAside, ""),
	rejects("bad-map", setAside, ""),
	rejects("too-long", setAside, ""),
	rejects("out-of-order", setAside, ""),
	rejects("bad-hash", setAside, ""),
	rejects("bad-slot", firmware, ""),
	rejects("no-huk", setAside, ""),
	rejects("no-entropy", setAside, "set the board aside: its random source does not deliver"),
	rejects("foreign-key", setAside, ""),
	rejects("untrusted", setAside, ""),
	rejects("bad-certificate", setAside, ""),
	rejects("store-io", setAside, "set the board aside: its flash is bad"),
	rejects("store-full", setAside, ""),
	rejects("empty", setAside, ""),
	rejects("tls-state", setAside, ""),
	rejects("crypto", setAside, ""),
	rejects("no-anchor", setAside, ""),
	faults("no-network", reseat, "check the board's network cable, and that its network has an address for it"),
	faults("tls-busy", again, "try again: the board was still busy with a handshake before; if it stays so, take the board out and put it in again"),
	rejects("rc3", firmware, ""),
	rejects("rc8", firmware, ""),
	rejects("unknown-refusal", firmware, ""),
	rejects("malformed-answer", firmware, ""),
	rejects("protocol-version", firmware, ""),
	rejects("product-image", firmware, "flash the provisioning image and try again: a product's image takes no certificate, and the update keeps identity and certificate"),
	rejects("receipt-differs", engineering, "keep the board and call engineering: it signs something else than it says and holds, or its image is not the one that was measured"),
	rejects("no-receipt", firmware, "give the board an image that signs receipts, or set require_receipt: false in station.yaml; if the image does, look for something between board and station"),
	rejects("no-network-handshake", firmware, "give the board an image that can dial, or set handshake: uart in station.yaml"),
	rejects("buffer-too-small", firmware, ""),
	rejects("slot-changed", setAside, ""),

	// The debug probe. The first rows judge the board.
	rejects("verify-mismatch", setAside, "set the board aside: its flash is bad; if a second board ends so, compare the image with the board definition (`station boards check`)"),
	rejects("recover-refused", setAside, ""),
	rejects("lock-refused", setAside, "set the board aside: it does not take the lock of its debug port"),
	faults("chip-erased", stopLine, "stop the bay: name another driver or lock_state in the board definition, or it erases each locked board; look this board up with `station boards`, and flash it again"),
	faults("needs-flash", flashAgain, "try the board again: its firmware may be incomplete, and the next Run flashes it again"),
	rejects("target-locked", setAside, "look the board up with `station boards`; only an explicit recover unlocks it, and that erases the whole chip"),
	faults("target-wrong", stopLine, "compare the board in the bay with the board definition"),
	faults("target-voltage", supply, "switch the board's supply on, and check its debug cable"),
	faults("probe-ambiguous", stopLine, "replace the probe that has this serial number twice, or use driver openocd with the probes' USB paths: the other programmers cannot tell the two apart"),
	faults("probe-wrong-serial", stopLine, "compare the probes with station.yaml: `station bays` prints what is connected"),
	faults("probe-missing", replug, "check the probe's USB cable and its serial number in station.yaml"),
	faults("probe-lost", replug, "check the probe's USB cable, and flash the board again"),
	faults("target-missing", reseat, "check the board's supply, its debug cable and its seat in the jig"),
	faults("target-memory", again, "try the board again; if it happens again compare the addresses of the board definition with the chip"),
	faults("image-unreadable", stopLine, "check the path and the rights of the firmware image"),
	faults("image-format", stopLine, "give a hex, bin or elf file of this chip; a bin file needs its address"),
	faults("image-hash", stopLine, "put back the configured image, or configure the SHA-256 of the new one after its release"),
	faults("tool-missing", stopLine, "install the programmer so that PATH has it; for one at another place, name the path as program in a recipe of your own"),
	faults("tool-version", stopLine, "install a version of the programmer that the recipe names"),
	faults("tool-silent", replug, "unplug the probe and plug it in again; if it happens again run the programmer by hand"),
	faults("tool-unclear", again, "try the board again; if it happens again run the programmer by hand and compare its text with the recipe"),
	faults("tool-failed", again, "read the programmer's text in the log; try the board again"),
	faults("tool-script", stopLine, "correct the name in the board definition, or install an OpenOCD that has the script; `station boards check` has OpenOCD read all of them"),
	faults("tool-cannot", stopLine, "describe this work in the board definition or the recipe, or use another driver"),

	// Stops.
	aborts("draining", shift, "run the same command again: nothing is lost"),

	// The connection to the board.
	// What else than an answer was heard comes before the silence.
	faults("port-in-use", stopLine, "end the other program and try again; `station bays` shows who uses a port"),
	faults("port-denied", stopLine, "give the user of the station the rights on the port, and sign in again"),
	faults("not-a-port", stopLine, "correct the port in --boards or in station.yaml: `station bays` shows the ports of this machine"),
	faults("port-unreachable", stopLine, "start the server of the port, such as ser2net; look at the address in --boards or in station.yaml, and at the network"),
	faults("port-unfit", stopLine, "name the port as tcp:// and set baud rate and format at the server, or correct the server's configuration"),
	faults("other-smp-server", firmware, "flash the provisioning firmware: the board's SMP server, such as MCUmgr of a product or MCUboot's recovery, has no provisioning group"),
	faults("garbled", stopLine, "compare boards.baud, or baud of the bay, with the firmware; look at ground and voltage of the UART"),
	faults("damaged-frames", reseat, "check cable and adapter; if lines end with CR LF, switch that translation off; keep logs off this UART"),
	faults("loop-back", stopLine, "take the loop-back plug out, or correct the wires of the jig: transmit and receive are joined"),
	faults("console-text", firmware, "flash the provisioning firmware, or name the port of its UART: a shell, a login or a boot loop answers here"),
	faults("no-answer", reseat, "reseat the board; check cable and supply, and that the board runs its provisioning firmware"),
	faults("line-closed", reseat, ""),
	faults("line-stuck", reseat, ""),
	faults("huk-size", stopLine, ""),
	faults("object-size", stopLine, ""),

	// The station, its registry and its HSM.
	noOrder("unknown-order", order, "open the work order: `station order open --id ID --quota NUMBER`"),
	noOrder("quota", order, "the lot is complete, or the share that the plant gave this station: open another work order, raise this one with `station order raise --id ID --quota NUMBER`, or ask the plant for more"),
	noOrder("order-closed", order, "open another work order: `station order open --id ID --quota NUMBER`"),
	noOrder("order-expired", order, "open another work order with a later end: `station order open --id ID --quota NUMBER --until TIME`"),
	noOrder("order-not-yet", order, "wait until the work order begins (`station order show --id ID`), or name another one"),
	noOrder("order-unsigned", order, "ask the owner of the product for a signed order, and open it: `station order open --file FILE`"),
	noOrder("order-owner", order, "compare orders.owners in station.yaml with the public key of the owner who signed the order"),
	noOrder("order-profile", stopLine, "compare the profile of this station with the order: `station audit show --type log.genesis` prints its SHA-256"),
	noOrder("order-needed", order, "name the work order of the boards: scan its label, or give --order ID"),
	faults("bad-request", stopLine, ""),
	faults("outlives-issuer", stopLine, "adopt a profile with a shorter validity (`station profile adopt FILE`), or have a new issuing CA signed"),
	faults("certificate-too-large", stopLine, ""),
	faults("issuer-chain", stopLine, ""),
	faults("issuer-key", stopLine, ""),
	faults("profile", stopLine, ""),
	faults("no-profile", stopLine, "name the profile in station.yaml (cose_profile), or ask for no certificate of that key"),
	faults("grant-foreign", stopLine, ""),
	faults("grant-used", stopLine, ""),
	byHSM(faults("unresolved", again, "try the board again: it gets a new serial number")),
	byHSM(faults("not-signed", again, "try the board again; if it happens again run `station doctor`: the HSM does not sign")),
	faults("already-active", stopLine, "mark the board if it is to get a new certificate: `station rework --board ID --reason TEXT`, then enrol it"),
	faults("tls-first", stopLine, "enrol the board again: the Run for its TLS key comes first and attests the other key"),
	faults("in-flight", again, ""),
	faults("serial-taken", again, ""),
	faults("unknown-certificate", stopLine, ""),
	faults("panic", stopLine, ""),
	faults("no-board", insert, "check cable, port and image; `station doctor` opens each port"),
	faults("clock", stopLine, "set the station's clock right; until then it signs nothing, because its log must not go back in time"),
	byHSM(faults("timeout", again, "check cable and supply, and try the board again")),
	faults("registry", stopLine, "stop, and run `station doctor`: without its registry the station signs nothing"),
	byHSM(faults("signing", again, "stop, and run `station doctor`: the HSM does not sign")),
	faults("no-visit", stopLine, "compare network.address in station.yaml with this machine's address: the board came to another verifier"),
	faults("verifier", stopLine, "stop, and run `station doctor`"),
	faults("random", stopLine, ""),
	faults("line", reseat, "check cable and port, and try the board again"),

	// Details of an error of the connection. The row of that error comes before them.
	faults("handshake-endless", again, ""),
	faults("client-closed", again, ""),

	// The context of the caller ended, or the station ended before the Run.
	aborts("operator", again, "run the same command again: nothing is lost"),
	faults("interrupted", again, ""),
}
