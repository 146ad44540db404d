package evidence

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// Options say what a bundle is checked against.
type Options struct {
	Key     string         // verifier key from elsewhere; empty: the key of the bundle, which proves less
	Anchors [][]byte       // checkpoints that were kept elsewhere
	Policy  *Policy        // cosignatures that the checkpoint needs; nil: none
	TSA     *x509.CertPool // roots of the authority that must have stamped the checkpoint; nil: none

	Signed bool // the audit key must have signed the files

	// Root is the root certificate from elsewhere. It must have signed the certificate of the audit
	// key. nil: the root of the bundle, which proves less.
	Root *x509.Certificate

	// Report begins anew the report that was found in the bundle. It returns nil for a report that this
	// version of the program cannot make anew, which only a signed bundle may have. A Report that is nil compares nothing.
	Report func(found, checkpoint []byte) Report
}

// A Finding is one thing that is wrong with a bundle.
type Finding struct {
	Entry   *int64 `json:"entry,omitempty"` // number of the entry, where it is about one
	File    string `json:"file,omitempty"`
	Meaning string `json:"meaning"`
}

func (f Finding) String() string {
	var where []string
	if f.Entry != nil {
		where = append(where, fmt.Sprintf("entry %d", *f.Entry))
	}
	if f.File != "" {
		where = append(where, f.File)
	}
	return strings.Join(append(where, f.Meaning), ": ")
}

// A Verdict is the result of a check. The bundle is good if there is no finding.
type Verdict struct {
	Size         int64     `json:"entries"`
	Root         string    `json:"root"` // base64
	Origin       string    `json:"origin"`
	Certificates int       `json:"certificates"`
	Receipts     int       `json:"receipts"`           // of boards, which verify
	Anchors      int       `json:"anchors"`            // checkpoints from elsewhere that hold
	KeyGiven     bool      `json:"key_given"`          // with Options.Key, or by the policy
	Part         bool      `json:"part"`               // the bundle has some entries only, each with a proof
	Selected     int       `json:"selected"`           // entries of a part
	Question     *Question `json:"question,omitempty"` // that a part answers, as the station wrote it
	Report       string    `json:"report"`             // same, absent, not compared
	RootGiven    bool      `json:"root_given"`
	Timestamp    string    `json:"timestamp,omitempty"` // of the checkpoint, as the named authority says; RFC 3339

	AuditCertificate bool       `json:"audit_certificate"` // the root has certified the audit key
	Signed           *time.Time `json:"signed,omitempty"`  // when the audit key signed SHA256SUMS, as the signer says

	// NotChecked are files, or parts of files, that the check has nothing to compare with.
	NotChecked []Finding `json:"not_checked"`
	Findings   []Finding `json:"findings"`
	More       bool      `json:"more_findings"` // the check stopped at maxFindings
}

// Good reports whether everything holds.
func (v *Verdict) Good() bool { return len(v.Findings) == 0 }

const maxFindings = 50

// errEnough ends a check that has maxFindings.
var errEnough = errors.New("enough findings")

// Check checks a bundle. What is wrong with the bundle is a Finding. An error says that the
// check itself could not be done.
func Check(ctx context.Context, files *Files, o Options) (*Verdict, error) {
	c := newChecker(ctx, files, o)
	c.expected[SumsFile] = true
	err := c.all()
	if errors.Is(err, errEnough) {
		c.verdict.More, err = true, nil
	}
	return c.verdict, err
}

func newChecker(ctx context.Context, files *Files, o Options) *checker {
	return &checker{ctx: ctx, files: files, options: o, verdict: &Verdict{KeyGiven: o.Key != "", NotChecked: []Finding{}, Findings: []Finding{}},
		expected: map[string]bool{}, sums: map[string]digest{}, issued: map[digest]issuedCertificate{}, serials: map[serialNumber]intent{}, said: map[string]*audit.Board{}}
}

type checker struct {
	ctx     context.Context
	files   *Files
	options Options
	verdict *Verdict

	key      string
	open     func(signed []byte) (audit.Head, error) // opens a checkpoint with the key
	head     audit.Head
	unsigned bool              // the checkpoint is missing, or the key did not sign it
	sums     map[string]digest // of views and report, as they are
	expected map[string]bool   // files that belong to the bundle
	heads    map[int64][]named // checkpoints by size
	stored   *storedList       // of checkpoints.txt; nil: there is none
	genesis  bool              // an entry names the certificates of the authorities
	issued   map[digest]issuedCertificate
	receipts []boardReceipt
	said     map[string]*audit.Board // by Run: what the board of an open Run said of itself
	serials  map[serialNumber]intent
	report   Report            // made anew; nil: there is nothing to compare
	known    authorityList     // of authorities.pem
	signer   *x509.Certificate // of the audit key; nil: there is none
}

type named struct {
	audit.Head
	name string
}

// find adds a finding. entry is -1 for a finding that is about no entry.
func (c *checker) find(entry int64, file, meaning string, args ...any) error {
	f := Finding{File: file, Meaning: fmt.Sprintf(meaning, args...)}
	if entry >= 0 {
		f.Entry = &entry
	}
	if c.verdict.Findings = append(c.verdict.Findings, f); len(c.verdict.Findings) >= maxFindings {
		return errEnough
	}
	return nil
}

// skip says that the check has nothing to compare a file with.
func (c *checker) skip(file, why string) {
	c.verdict.NotChecked = append(c.verdict.NotChecked, Finding{File: file, Meaning: why})
}

// read reads a file that a bundle must have. A file that is not there is a finding.
func (c *checker) read(name string) (content []byte, err error) {
	c.expected[name] = true
	content, err = c.files.Read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, c.find(-1, name, "the file is missing")
	case errors.Is(err, ErrUnsafe):
		return nil, c.find(-1, name, "%v", err)
	case err != nil:
		return nil, err
	}
	return content, nil
}

func (c *checker) all() error {
	steps := []func() error{c.checkArchive, c.checkSums, c.checkCheckpoint, c.checkSigner, c.checkSignatures, c.checkTimestamp, c.checkStoredCheckpoints, c.checkAnchors, c.checkEntries, c.checkCertificates, c.checkReceipts, c.checkNames}
	if c.verdict.Part = c.files.isPart(); c.verdict.Part {
		steps = []func() error{c.checkArchive, c.checkSums, c.checkCheckpoint, c.checkSigner, c.checkSignatures, c.checkTimestamp, c.checkPart, c.checkCertificates, c.checkReceipts, c.checkNames}
	}
	for _, step := range steps {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
		if c.unsigned {
			return nil // what follows would be judged by a checkpoint that nobody signed
		}
	}
	return nil
}

// checkArchive compares the octets of a tar file that lie between its files.
func (c *checker) checkArchive() error {
	if c.files.archive == nil {
		return nil
	}
	err := c.files.checkSpace()
	if errors.Is(err, errOtherArchive) {
		return c.find(-1, "", "%v", errOtherArchive)
	}
	return err
}

// checkCheckpoint opens the checkpoint with the key. Everything else rests on it.
func (c *checker) checkCheckpoint() error {
	bundled, err := c.read(KeyFile)
	if err != nil {
		return err
	}
	if c.key = strings.TrimSpace(string(bundled)); c.options.Key != "" {
		if c.key != c.options.Key {
			if err := c.find(-1, KeyFile, "the bundle has another key than the one that you gave: it is of another log, or somebody made it with a key of their own"); err != nil {
				return err
			}
		}
		c.key = c.options.Key
	}
	note, err := c.read(CheckpointFile)
	if err != nil || note == nil {
		c.unsigned = true
		return err
	}
	if c.open, err = audit.Opener(c.key); err == nil {
		c.head, err = c.open(note)
	}
	if err != nil {
		c.unsigned = true
		return c.find(-1, CheckpointFile, "%v", err)
	}
	c.verdict.Origin, _, _ = strings.Cut(c.key, "+")
	c.verdict.Size, c.verdict.Root = c.head.Size, c.head.Root.String()
	if c.options.Policy != nil {
		if err := c.options.Policy.Holds(note, c.key); err != nil {
			return c.find(-1, CheckpointFile, "%v", err)
		}
		c.verdict.KeyGiven = c.verdict.KeyGiven || c.options.Policy.names(c.key)
	} else if bytes.Count(note, []byte("\n\u2014 ")) > 1 {
		c.skip(CheckpointFile, "the signatures of others than the log were not checked; name these keys with --policy")
	}
	return nil
}

// expectHead has the pass over the entries compare the root at this size.
func (c *checker) expectHead(h audit.Head, name string) {
	if c.heads == nil {
		c.heads = map[int64][]named{}
	}
	c.heads[h.Size] = append(c.heads[h.Size], named{h, name})
}

// checkAnchors opens the checkpoints from elsewhere.
func (c *checker) checkAnchors() error {
	for n, note := range c.options.Anchors {
		name := fmt.Sprintf("anchor %d", n+1)
		h, err := c.open(note)
		switch {
		case err != nil:
			err = c.find(-1, "", "%s: %v", name, err)
		case h.Size > c.head.Size:
			err = c.find(-1, CheckpointFile, "%s is over %s, the bundle has %d: the newest %s missing, or the bundle is older than the anchor",
				name, reason.Count(h.Size, "entry", "entries"), c.head.Size, reason.Count(h.Size-c.head.Size, "entry is", "entries are"))
		default:
			c.expectHead(h, name)
			c.verdict.Anchors++
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkNames finds files that no bundle has, and files that each bundle has and this one lacks.
func (c *checker) checkNames() error {
	if err := c.checkTexts(); err != nil {
		return err
	}
	c.expected[ReportFile] = !c.verdict.Part // a part has none
	for _, name := range c.files.Names() {
		if !c.expected[name] && !c.isIssued(name) {
			if err := c.find(-1, name, "the file does not belong to the bundle"); err != nil {
				return err
			}
		}
	}
	return nil
}
