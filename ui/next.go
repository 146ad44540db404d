package ui

import (
	"slices"

	"hallmark/station"
)

// The next action: what the operator does when a Run has ended. Each reason of the engine has a
// row here; the test reads the engine's sources and finds the ones that have none.

// nextAction says what the operator does now.
func (m Model) nextAction(bay int, ending station.Ending, reason string) string {
	return m.t(nextKey(ending, reason), m.bayKey(bay))
}

// nextKey finds the text of the next action. A reason of next year follows its ending: a bad
// board is set aside, a fault is tried again.
func nextKey(ending station.Ending, reason string) string {
	if key := nextFor(reason); key != "" && ending != station.Pass {
		return key
	}
	return map[station.Ending]string{station.Pass: "next.pass", station.Reject: "next.reject",
		station.Fault: "next.reseat", station.Aborted: "next.again"}[ending]
}

// nextFor finds the row of a reason, "" when there is none.
func nextFor(reason string) string {
	for _, row := range nextRows() {
		if slices.Contains(row.reasons, reason) {
			return row.key
		}
	}
	return ""
}

type nextRow struct {
	key     string
	reasons []string
}

func nextRows() []nextRow {
	return []nextRow{
		// Nobody goes on before somebody has looked: I4.
		{"next.engineering", []string{"clone", "dummy-identity", "key-elsewhere", "bay-stopped"}},

		// The station or what it stands on is wrong; the next board would end the same way.
		{"next.fault", []string{"fault", "panic", "clock", "registry", "verifier", "random", "no-visit", "profile", "no-profile", "tls-first",
			"issuer-chain", "issuer-key", "outlives-issuer", "certificate-too-large", "grant-foreign", "grant-used", "bad-request",
			"already-active", "already-issued", "not-issued", "unknown-certificate", "huk-size", "object-size",
			"server-name", "server-untrusted", "server-expired", "server-not-yet", "server-no-tls", "server-no-agreement", "server-gone",
			"server-silent", "server-talks", "server-unreached"}},

		// It may well work the second time.
		{"next.again", []string{"timeout", "unresolved", "not-signed", "signing", "in-flight", "serial-taken", "restarted", "interrupted",
			"client-closed", "operator"}},
		{"next.reseat", []string{"no-answer", "line", "line-closed", "line-stuck", "no-network"}},

		// The board is good and its image is not.
		{"next.firmware", []string{"product-image", "identity-abi", "no-purpose", "no-network-handshake", "protocol-version", "buffer-too-small",
			"malformed-answer", "unknown-refusal", "bad-slot", "rc3", "rc8"}},

		// The board is bad.
		{"next.reject", []string{"untrusted-huk", "sealed", "revoked", "no-huk", "no-entropy", "internal", "crypto", "store-io", "store-full", "empty",
			"slot-changed", "foreign-certificate", "foreign-key", "other-key", "untrusted", "bad-certificate", "bad-map", "too-long", "out-of-order", "bad-hash",
			"no-anchor", "tls-state", "not-restarted", "read-back-differs", "handshake-refused", "handshake-failed", "handshake-endless",
			"wrong-certificate", "no-answer-read", "server-refuses",
			"csr-too-large", "csr-not-der", "csr-trailing-octets", "csr-version", "csr-key-not-p256", "csr-key-not-on-curve",
			"csr-signature-algorithm", "csr-signature", "csr-subject", "csr-board-id", "csr-nonce-missing", "csr-nonce-wrong",
			"csr-nonce-duplicated", "csr-attribute", "csr-extension"}},
		{"next.scrapped", []string{"scrapped"}},

		// Nothing is wrong.
		{"next.order", []string{"quota", "unknown-order"}},
		{"next.insert", []string{"no-board"}},
		{"next.swapped", []string{"swapped"}},
		{"next.shift", []string{"draining"}},
	}
}
