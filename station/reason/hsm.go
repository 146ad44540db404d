package reason

// ofHSM are the refusals of package hsm. In a Run, they occur only together with a refusal of the step sign.
var ofHSM = []Row{
	misuses("hsm-config", "correct it and start again"),
	faults("module-in-use", noTile, "close the open token first, or use another process"),
	faults("module-missing", noTile, "install the vendor's package or correct the module path"),
	faults("module-unloadable", noTile, "check with ldd that its libraries are present and that it fits this machine"),
	faults("module-not-started", noTile, "check the module's own configuration (SoftHSM: SOFTHSM2_CONF and the token directory it names) and that the HSM can be reached"),
	faults("module-hangs", noTile, "check the HSM and its connection; if it does not come back, start the station again"),
	faults("hsm-busy", noTile, "wait for the calls in flight, or raise the number of sessions for a network HSM"),
	faults("token-closed", noTile, "open it again"),

	faults("token-missing", noTile, "connect the HSM, and compare label and serial with `pkcs11-tool --list-slots`"),
	faults("token-ambiguous", noTile, "select by serial as well as by label"),
	faults("token-exists", noTile, "choose another label; an existing token is never initialised again here"),
	faults("token-unfit", noTile, "use a token with ECDSA and at least three sessions"),
	faults("software-token", noTile, "use a hardware HSM, or set allow_software_token: true for a demonstration or CI"),
	faults("session-lost", noTile, "check that the HSM is connected and running; the station opens it again by itself"),
	faults("session-limit", noTile, "end other programs that use it, or lower the number of sessions"),
	faults("token-refuses", noTile, "look the code up in the vendor's manual"),
	faults("token-no-random", noTile, "continue with the system's random numbers alone, and log it"),

	misuses("pin-source", "name one of credential:NAME, fd:N, file:/path, prompt, env:NAME and check what it names"),
	pins("pin-wrong", "correct the PIN source, then start again; it is not tried a second time, so that the token does not lock"),
	pins("pin-locked", "have the security officer unlock the token; nothing was tried"),
	pins("pin-final-try", "log in once by hand with the vendor's tool to clear the counter; nothing was tried"),
	pins("pin-expired", "change it with the vendor's tool, then correct the PIN source"),
	pins("pin-not-set", "let the security officer set one"),

	faults("key-missing", noTile, "compare label and id with `station doctor` or `pkcs11-tool --list-objects`; keys are only made in a ceremony"),
	faults("key-duplicated", noTile, "remove or rename the wrong key pair with the vendor's tool; label and id must name exactly one"),
	faults("key-exists", noTile, "choose another label and id; a ceremony never overwrites"),
	faults("key-extractable", noTile, "use a key that was generated on the token and never left it"),
	faults("key-differs", noTile, "compare the certificate with the token; if the token was exchanged, stop and investigate"),
	faults("key-unreadable", noTile, "check the public half of the pair on the token"),
	faults("key-unusable", noTile, "look the code up in the vendor's manual; if another key is the right one, have label, id or URI name it"),
	faults("digest", noTile, "sign a SHA-256 digest with a P-256 key, a SHA-384 digest with a P-384 key"),
	faults("bad-signature", noTile, "stop signing and have the HSM examined"),

	misuses("pkcs11-uri", "write it as in RFC 7512, for example pkcs11:token=factory-ca;object=issuing;id=%01"),
}
