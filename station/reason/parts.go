package reason

// ofParts are refusals of the station's parts. In a Run, they occur only together with a
// refusal of ofRuns. Some of them never occur in a Run.
var ofParts = []Row{
	// The registry.
	faults("unknown-run", noTile, ""),
	faults("unknown-board", noTile, "look the board up with `station boards`"),
	faults("no-intent", noTile, ""),
	faults("wrong-status", noTile, ""),
	faults("no-certificate", noTile, ""),
	misuses("profile-not-adopted", "look at the profile with `station profile check FILE`, then adopt it with `station profile adopt FILE`; or put the adopted one back"),
	misuses("issuer-unfit", "name an issuing CA that the profile's standard allows, or another profile: docs/profiles.md"),
	misuses("crl-issuer", "have the issuing CA certified again with the key usage cRLSign, or let the owner of the root publish revocations"),
	misuses("ocsp-missing", "run `station renew-ocsp`: it makes the OCSP key and its certificate"),
	misuses("ocsp-other-key", "run `station renew-ocsp`: it certifies the key in pki/ocsp.key"),
	misuses("ocsp-unfit", "run `station renew-ocsp`: it makes a new OCSP certificate"),
	misuses("ocsp-ended", "run `station renew-ocsp`: it makes a new OCSP certificate"),
	misuses("address-in-use", "name another address, or end the program that listens there"),
	faults("registry-not-followed", noTile, "start the server again, as a user who may write in the station directory; a registry of an older version needs one start of the station first"),
	misuses("other-selection", "look at the preview again, and give the command again"),
	misuses("order-quota", "give a quota greater than that of the work order: `station order list` shows it"),
	faults("order-open", noTile, "give the values that the work order has (`station order list` shows them), and leave --quota out in `station batch`; `station order raise` gives it a greater quota"),
	faults("reserved-event", noTile, ""),
	faults("registry-locked", noTile, "close the other station, or use another directory"),
	faults("registry-settings", noTile, "keep the station's directory on a local file system"),
	faults("registry-schema", noTile, "use the version of the station that made the registry"),
	faults("registry-schema-changed", noTile, "stop the line, keep a copy of the directory, and restore registry.db with registry.db-wal from the newest backup"),
	faults("registry-older", noTile, "put the newest registry.db back together with its registry.db-wal; if it is lost, `station accept-registry` goes on without the missing entries, on record"),
	faults("registry-other", noTile, "put back the registry.db that belongs to this directory; if it is lost, `station accept-registry` goes on with this one, on record"),
	faults("mark-missing", noTile, "put registry.mark back from the newest copy of the directory; if it is lost, compare the log with a checkpoint from elsewhere, then `station accept-registry`"),
	faults("mark-unreadable", noTile, "check the disk; then compare the log with a checkpoint from elsewhere, and go on with `station accept-registry`"),
	faults("registry-replaced", noTile, "stop the station, put the registry.db that it had open back with its registry.db-wal, and start it again; if it is lost, put the newest copy back and go on with `station accept-registry`, on record; boards that it lacks are rejected as foreign-certificate until their flash is erased"),
	misuses("writable-by-others", "take the right to write from others with `chmod o-w PATH`, and look whether somebody changed what lies there"),
	misuses("no-backup", "name a directory or a tar file that `station backup` made"),
	faults("backup-damaged", noTile, "keep it for engineering, and restore another backup"),
	faults("backup-not-on-record", noTile, "make the station directory writable; then make a new backup, or write down that this one exists"),
	misuses("archived", "name the archive with --archive"),
	misuses("archive-other", "name the file that `station audit archive` made; `station audit verify` names its SHA-256"),
	misuses("nothing-to-archive", "name a later day with --until; `station audit checkpoint` shows the newest checkpoint"),
	faults("registry-reopened", noTile, "stop the line, keep a copy of the directory, and restore registry.db from the newest backup"),
	faults("not-read-back", noTile, ""),
	faults("not-presented", noTile, ""),
	faults("lock-unread", noTile, "try the board again: the next Run reads the state of its debug port"),
	misuses("no-operator", "name the person who has seen the board, with --operator"),
	faults("bay-free", noTile, "list the stopped bays with `station bays`"),
	faults("registry-closed", noTile, "start the station again"),
	faults("no-genesis", noTile, "run the ceremony (`station init`) first"),
	faults("genesis", noTile, "make a new station in a new directory"),
	faults("registry-differs", noTile, "stop the line and keep a copy of the directory: evidence does not verify"),
	faults("refused", noTile, ""), // an entry of the audit log whose refusal has no other word

	// Reasons why the verifier refuses a client's certificate. In a Run, "handshake-refused" comes with them.
	rejects("no-client-certificate", noTile, ""),
	rejects("foreign-serial-number", noTile, ""),
	rejects("not-registered", noTile, ""),
	rejects("other-contents", noTile, ""),
	rejects("other-board", noTile, ""),
	rejects("certificate-ended", noTile, ""),
	rejects("not-active", noTile, ""),
	rejects("not-for-tls", noTile, ""),
	rejects("not-expected", noTile, ""),
	faults("awaited-already", noTile, ""), // two Runs wait for the same certificate

	// The debug probe.
	faults("no-flash-store", noTile, "compare address and size of the certificate store in the board definition with the firmware"),
	misuses("probe-serial", "write the decimal number that stands on the probe"),

	// The operator's screen, and a batch.
	faults("unknown-badge", noTile, "scan your own badge or ask the shift leader"),
	faults("bay-busy", noTile, "wait for the Run in this bay"),
	faults("no-bay", noTile, "name one of the bays of --boards"),
	faults("bay-skipped", noTile, "take the bay back in first"),
	faults("not-open", noTile, "correct what the health check found, then check again"),
	faults("other-product", noTile, "scan a work order for this station's profile"),
	faults("disk-full", noTile, "free some space, or lower minimum_free_mib in station.yaml"),
	faults("disk-hangs", noTile, "look at the disk of the station directory: it does not answer"),
	faults("hsm-away", noTile, "wait: the line goes on by itself when the HSM is back"),

	// Witnesses of the audit log. They never stop the station, unless an anchor shows an older registry.
	faults("witness-gone", noTile, "check the network and the address of the witness in station.yaml; the station goes on and sends the newest checkpoint later"),
	faults("witness-slow", noTile, "check the network to the witness; the station goes on and sends the newest checkpoint later"),
	faults("witness-unknown-log", noTile, "send pki/audit.vkey to headquarters, for the list of logs of the witness"),
	faults("witness-forbids", noTile, "compare pki/audit.vkey with the key of this log in the list of the witness"),
	faults("witness-fork", noTile, "stop the line, keep a copy of the directory, and call headquarters: compare this log with the newest checkpoint of the witness"),
	faults("witness-lost", noTile, "ask headquarters: they put the directory of the witness back, or give you the key of a new witness for station.yaml; with require_witness: false the station starts, and the witness learns the log anew"),
	faults("witness-lies", noTile, "compare url and key of the witness in station.yaml with those that headquarters gave you"),
	faults("witness-trouble", noTile, "tell headquarters; the station goes on and sends the newest checkpoint later"),
	faults("timestamp-missing", noTile, "look at timestamp in station.yaml and at the network; the station goes on and asks again"),
	faults("witness-required", noTile, "restore the network to a witness, or set require_witness: false in station.yaml"),
	faults("anchor-older", noTile, "put the newest registry.db back together with its registry.db-wal; if it is lost, `station accept-registry` goes on without the missing entries, on record"),
	faults("anchor-other", noTile, "put back the registry.db that belongs to this directory; if it is lost, `station accept-registry` goes on with this one, on record"),
	faults("anchor-unreadable", noTile, "correct the file, or take it out of the directory that `anchors` in station.yaml names"),

	// The command line, and texts that a person typed.
	faults("output-not-read", noTile, "let the reader of the output run, or write to a file; every Run is in the registry, see `station boards`"),
	misuses("bad-text", "type or scan the text again"),
	misuses("usage", "correct the command or the configuration, and start again"),
}
