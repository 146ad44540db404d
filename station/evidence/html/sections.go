package html

import (
	"maps"
	"slices"
	"strings"

	"hallmark/station/audit"
)

// A section lists entries of some types.
type section string

const (
	keysSection     section = "keys"     // certificates and keys of the station
	configSection   section = "config"   // what decides what is signed
	hsmSection      section = "hsm"      // token and clock
	baysSection     section = "bays"     // bays that were stopped
	statusSection   section = "status"   // what happened to boards and certificates after their Runs
	logSection      section = "log"      // the log itself, and what left the station
	refusalsSection section = "refusals" // other refusals and failures
)

var sections = []section{keysSection, configSection, hsmSection, baysSection, statusSection, logSection, refusalsSection}

// families has the section for each beginning of a type. The first row that fits decides.
var families = []struct {
	prefix  string
	section section
}{
	{"log.key", keysSection}, {"verifier.", keysSection}, {"key.", keysSection}, {"ca.", keysSection}, {"ceremony.", keysSection},
	{"ocsp.", keysSection}, {"prove.", keysSection}, {"token.", keysSection}, {"pin.", keysSection},
	{"config.", configSection}, {"profile.", configSection}, {"trust.", configSection}, {"firmware.", configSection}, {"software.", configSection},
	{"order.", configSection}, {"hub.finding", refusalsSection}, {"hub.", keysSection},
	{"hsm.", hsmSection}, {"clock.", hsmSection},
	{"bay.stopped", baysSection}, {"bay.acknowledged", baysSection}, {"line.acknowledged", baysSection},
	{"cert.revoked", statusSection}, {"cert.scrapped", statusSection}, {"board.scrapped", statusSection}, {"crl.", statusSection},
	{"board.held", statusSection}, {"board.released", statusSection}, {"board.rework.", statusSection}, {"board.recover", statusSection},
	{"cert.issue", ""}, {"cert.", ""}, {"run.", ""}, {"board.", ""}, // counted
	{audit.TypeGenesis, ""}, {"log.shutdown", ""},
	{"log.checkpoint.failed", logSection}, {"log.checkpoint", ""}, {"log.cosigned", ""}, {"log.timestamped", ""},
	{"log.", logSection}, {"witness.", logSection}, {"backup.", logSection}, {"restore.", logSection}, {"export.", logSection}, {"status.", logSection}, {"closure.", logSection},
}

// daily are the beginnings of types that operators and boards write all day: what went well is only counted, by operator and by type.
var daily = []string{"bay.", "doctor.", "import.", "label.", "line.", "notice.", "operator.", "station."}

// sectionOf gives the section that lists the entry. Each entry about a refusal or a failure that
// is not counted elsewhere has one.
func sectionOf(e *event) (section, bool) {
	if e.kind == "log.startup" {
		return configSection, e.details["changed"] != ""
	}
	for _, family := range families {
		if strings.HasPrefix(e.kind, family.prefix) {
			return family.section, family.section != ""
		}
	}
	return refusalsSection, e.outcome != string(audit.Success)
}

// ceremony is what the first entry says.
type ceremony struct {
	there   bool
	event   event
	details map[string]string
}

func (c *ceremony) add(e *event) {
	if c.there || e.kind != audit.TypeGenesis {
		return
	}
	c.there, c.event, c.details = true, *e, map[string]string{}
	for name, value := range e.details {
		c.details[clean(name)] = clean(value)
	}
}

// A fact is a name with its value.
type fact struct{ Name, Value string }

// facts gives the details whose names begin with prefix and end with suffix, without both.
func (c *ceremony) facts(prefix, suffix string) (facts []fact) {
	for _, name := range slices.Sorted(maps.Keys(c.details)) {
		if short, ok := strings.CutPrefix(name, prefix); ok && strings.HasSuffix(short, suffix) {
			facts = append(facts, fact{shown(strings.TrimSuffix(short, suffix)), shown(c.details[name])})
		}
	}
	return facts
}

// parts gives what an entry says beyond time, type and actor.
func (e *event) parts(t texts) (facts []fact) {
	for _, f := range []fact{{t.text("label.reason"), e.reason}, {t.text("label.bay"), e.bay}, {t.text("label.board"), e.board}, {t.text("label.serial"), e.serial}, {t.text("column.order"), e.order}, {t.text("column.ordered"), e.ordered(t)}} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	names := slices.Sorted(maps.Keys(e.details))
	if e.kind == "log.startup" {
		names = append([]string{"changed", "version"}, strings.Fields(e.details["changed"])...)
	}
	for i, name := range names {
		if value, there := e.details[name]; i < maxFacts && there && !slices.Contains(names[:i], name) {
			facts = append(facts, fact{shown(name), shown(value)})
		}
	}
	return facts
}

// ordered gives the quota of an entry about a work order itself.
func (e *event) ordered(t texts) string {
	if !e.hasOrder || !strings.HasPrefix(e.kind, "order.") {
		return ""
	}
	return t.number(e.quota)
}

// maxFacts is how many details of an entry are shown.
const maxFacts = 24
