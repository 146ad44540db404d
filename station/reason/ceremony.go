package reason

// ofCeremony are the refusals of a key ceremony. No Run ends with one of them.
var ofCeremony = []Row{
	misuses("ca-chain", "have the root sign the request again as docs/ceremony.md shows, and give the issuing CA first, then the root"),
	misuses("ceremony-input", "correct the file; `--dry-run` shows what would happen, without the HSM"),
	misuses("ceremony-output", "name a new directory in out; what a ceremony has written is never changed"),
	row(Aborted, "not-confirmed", noTile, "have both witnesses compare the fingerprint; then the same command again, with --confirm FINGERPRINT"),
	faults("ceremony-record", noTile, "use the program that began the ceremony, or count the serial number as issued and begin again with another out directory"),
	faults("transcript-damaged", noTile, "keep the directory for engineering; begin again with a new label and a new out directory"),
}
