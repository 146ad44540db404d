package report

import "hallmark/station"

// What to do next, by the reason of a Run. A reason that is not here has the
// advice of its ending.
var advice = map[string]string{
	"clone":                "keep both boards and call engineering: two pieces of hardware have one identity; the bay stays stopped",
	"dummy-identity":       "provision the board's hardware unique key first; engineering must find out how it left without one",
	"key-elsewhere":        "keep the board and call engineering: its key or BoardID belongs to another one; the bay stays stopped",
	"untrusted-huk":        "provision the board's hardware unique key; emulated boards need boards.allow_emulated in station.yaml",
	"identity-abi":         "flash the firmware that this station is made for",
	"product-image":        "flash the provisioning image and try again: a product's image takes no certificate, and the update keeps identity and certificate",
	"no-purpose":           "flash firmware that derives the COSE key, or leave cose_profile out of station.yaml",
	"no-profile":           "name the profile in station.yaml (cose_profile), or ask for no certificate of that key",
	"tls-first":            "enrol the board again: the Run for its TLS key comes first and vouches for the other key",
	"other-key":            "set the board aside: the key it was certified for was gone after a reset",
	"sealed":               "the board can take no certificate any more: scrap it, or look it up with `station boards`",
	"scrapped":             "take the board out of the lot: it was scrapped",
	"revoked":              "enrol the board with --rework if it may have a new certificate",
	"already-active":       "enrol the board with --rework and a reason if it is to get a new certificate",
	"foreign-certificate":  "find out which station gave the board its certificate, and set it aside for rework: no command erases, its flash must be erased with the programmer",
	"store-io":             "set the board aside: its flash is bad",
	"read-back-differs":    "set the board aside: its flash is bad",
	"no-entropy":           "set the board aside: its random source does not deliver",
	"swapped":              "leave a board in its bay until its Run has ended, and try both boards again",
	"restarted":            "check the board's supply and its seat in the jig, and try again",
	"no-board":             "check cable, port and image; `station doctor` opens each port",
	"timeout":              "check cable and supply, and try the board again",
	"line":                 "check cable and port, and try the board again",
	"no-answer":            "check cable and supply, and that the board runs its provisioning firmware",
	"quota":                "the lot is complete; open another work order with --order and --quota",
	"unknown-order":        "open the work order with --quota",
	"outlives-issuer":      "shorten validity in profile.yaml: no certificate outlives the issuing CA",
	"unresolved":           "try the board again: it gets a new serial number",
	"not-signed":           "try the board again; if it happens again run `station doctor`: the HSM does not sign",
	"clock":                "set the station's clock right; until then it signs nothing, because its log must not go back in time",
	"registry":             "stop, and run `station doctor`: without its registry the station signs nothing",
	"signing":              "stop, and run `station doctor`: the HSM does not sign",
	"verifier":             "stop, and run `station doctor`",
	"server-name":          "this bench is set up for other boards: compare verifier.server_name with the firmware",
	"no-network-handshake": "give the board an image that can dial, or set handshake: uart in station.yaml",
	"no-network":           "check the board's network cable, and that its network has an address for it",
	"server-unreached":     "compare network.address in station.yaml with this machine's address in the boards' network, and look at its firewall",
	"server-silent":        "look at the network between board and station: the verifier's port is open, and nothing comes back",
	"no-visit":             "compare network.address in station.yaml with this machine's address: the board came to another verifier",
	"bay-stopped":          "start again when somebody has looked at the board that stopped the bay",
	"operator":             "run the same command again: nothing is lost",
	"draining":             "run the same command again: nothing is lost",
}

var adviceByEnding = map[station.Ending]string{
	station.Reject:  "set the board aside with its report",
	station.Fault:   "try the board again; if it happens again run `station doctor`",
	station.Aborted: "run the same command again",
}

func adviceOn(run *station.Run) string {
	if text, ok := advice[run.Reason]; ok {
		return text
	}
	return adviceByEnding[run.Ending]
}
