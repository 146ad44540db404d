package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"hallmark/station/audit"
)

// Options say what a bundle is checked against.
type Options struct {
	Key     string   // verifier key from elsewhere; empty: the key of the bundle, which proves less
	Anchors [][]byte // checkpoints that were kept elsewhere
	Policy  *Policy  // cosignatures that the checkpoint needs; nil: none

	// Report begins anew the report that was found in the bundle. It returns nil for a report that
	// another version of the program made. A Report that is nil compares nothing.
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
	Anchors      int       `json:"anchors"` // checkpoints from elsewhere that hold
	KeyGiven     bool      `json:"key_given"`
	Part         bool      `json:"part"`     // the bundle has some entries only, each with a proof
	Selected     int       `json:"selected"` // entries of a part
	Report       string    `json:"report"`   // same, absent, not compared
	Findings     []Finding `json:"findings"`
	More         bool      `json:"more_findings"` // the check stopped at maxFindings
}

// Good reports whether everything holds.
func (v *Verdict) Good() bool { return len(v.Findings) == 0 }

const maxFindings = 50

// errEnough ends a check that has maxFindings.
var errEnough = errors.New("enough findings")

// Check checks a bundle. What is wrong with the bundle is a Finding. An error says that the
// check itself could not be done.
func Check(ctx context.Context, files *Files, o Options) (*Verdict, error) {
	c := &checker{ctx: ctx, files: files, options: o, verdict: &Verdict{KeyGiven: o.Key != "", Findings: []Finding{}}, expected: map[string]bool{SumsFile: true},
		sums: map[string]string{}, issued: map[string]*issuedCertificate{}, serials: map[string]string{}}
	err := c.all()
	if errors.Is(err, errEnough) {
		c.verdict.More, err = true, nil
	}
	return c.verdict, err
}

type checker struct {
	ctx     context.Context
	files   *Files
	options Options
	verdict *Verdict

	key      string
	head     audit.Head
	unsigned bool              // the checkpoint is missing, or the key did not sign it
	sums     map[string]string // SHA-256 in hex of each file, as it is
	expected map[string]bool   // files that belong to the bundle
	heads    map[int64][]named // checkpoints by size
	issued   map[string]*issuedCertificate
	serials  map[string]string // state of each serial number
	report   Report            // made anew; nil: there is nothing to compare
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
	steps := []func() error{c.checkArchive, c.checkSums, c.checkCheckpoint, c.checkStoredCheckpoints, c.checkAnchors, c.checkEntries, c.checkCertificates, c.checkNames}
	if c.verdict.Part = c.files.isPart(); c.verdict.Part {
		steps = []func() error{c.checkArchive, c.checkSums, c.checkCheckpoint, c.checkPart, c.checkCertificates, c.checkNames}
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

// checkArchive compares a tar file with the tar file that its files make. So also octets between
// the files are checked.
func (c *checker) checkArchive() error {
	if c.files.archive == nil {
		return nil
	}
	want := sha256.New()
	if err := c.files.packTo(want); err != nil {
		return err
	}
	got := sha256.New()
	if _, err := c.files.archive.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(got, c.files.archive); err != nil {
		return err
	}
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		return c.find(-1, "", "the tar file is not the one that its files make: its headers or the space between the files was changed")
	}
	return nil
}

// checkSums compares each file with SHA256SUMS.
func (c *checker) checkSums() error {
	listed, err := c.read(SumsFile)
	if err != nil {
		return err
	}
	want := map[string]string{}
	for line := range strings.Lines(string(listed)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || len(sum) != 2*sha256.Size || want[name] != "" || !strings.HasSuffix(line, "\n") {
			if err := c.find(-1, SumsFile, "%q is not a line of sha256sum", strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
			continue
		}
		want[name] = sum
	}
	for _, name := range c.files.Names() {
		if name == SumsFile {
			continue
		}
		if err := c.sum(name, want[name]); err != nil {
			return err
		}
		delete(want, name)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if err := c.find(-1, name, "the file is missing, %s names it", SumsFile); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) sum(name, want string) error {
	in, err := c.files.Open(name)
	if err != nil {
		return err
	}
	digest := sha256.New()
	_, err = io.Copy(digest, in)
	if err = errors.Join(err, in.Close()); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	c.sums[name] = hex.EncodeToString(digest.Sum(nil))
	switch {
	case want == "":
		return c.find(-1, name, "%s does not name the file", SumsFile)
	case want != c.sums[name]:
		return c.find(-1, name, "the file was changed: its SHA-256 is not that of %s", SumsFile)
	}
	return nil
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
	if c.head, err = audit.OpenCheckpoint(note, c.key); err != nil {
		c.unsigned = true
		return c.find(-1, CheckpointFile, "%v", err)
	}
	c.verdict.Origin, _, _ = strings.Cut(c.key, "+")
	c.verdict.Size, c.verdict.Root = c.head.Size, c.head.Root.String()
	if c.options.Policy != nil {
		if err := c.options.Policy.Holds(note, c.key); err != nil {
			return c.find(-1, CheckpointFile, "%v", err)
		}
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

// checkStoredCheckpoints reads all checkpoints that the station signed.
func (c *checker) checkStoredCheckpoints() error {
	text, err := c.read(CheckpointsFile)
	if err != nil || text == nil {
		return err
	}
	for n, note := range audit.SplitNotes(text) {
		h, err := audit.OpenCheckpoint(note, c.key)
		if err == nil && h.Size > c.head.Size {
			err = fmt.Errorf("it is over %d entries, the bundle has %d", h.Size, c.head.Size)
		}
		if err != nil {
			if err := c.find(-1, CheckpointsFile, "checkpoint %d: %v", n+1, err); err != nil {
				return err
			}
			continue
		}
		c.expectHead(h, fmt.Sprintf("checkpoint %d of %s", n+1, CheckpointsFile))
	}
	return nil
}

// checkAnchors opens the checkpoints from elsewhere.
func (c *checker) checkAnchors() error {
	for n, note := range c.options.Anchors {
		name := fmt.Sprintf("anchor %d", n+1)
		h, err := audit.OpenCheckpoint(note, c.key)
		switch {
		case err != nil:
			err = c.find(-1, "", "%s: %v", name, err)
		case h.Size > c.head.Size:
			err = c.find(-1, CheckpointFile, "%s is over %d entries, the bundle has %d: the newest %d entries are missing, or the bundle is older than the anchor",
				name, h.Size, c.head.Size, h.Size-c.head.Size)
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

// checkEntries reads all entries once. It makes tiles and views anew, and compares.
func (c *checker) checkEntries() error {
	tiles := &tree{put: c.compareTile}
	views, compare, err := c.openViews()
	if err != nil {
		return err
	}
	if err := c.openReport(); err != nil {
		return err
	}
	err = inOrder(c.ctx, c.givePieces, func(p *piece) error { return c.checkPiece(p, tiles, views) })
	if errors.Is(err, errNotWhole) {
		return nil // what comes behind a bundle that is not whole cannot be judged
	} else if err != nil {
		return err
	}
	root, err := tiles.end()
	if err != nil {
		return err
	}
	if c.head.Size > 0 && root != c.head.Root {
		if err := c.find(-1, CheckpointFile, "the entries have the root %v, the checkpoint says %v: they are not the entries that it was signed over", root, c.head.Root); err != nil {
			return err
		}
	}
	if err := errors.Join(views.End(), compare()); err != nil {
		return err
	}
	return c.compareReport()
}

// errNotWhole ends the pass over the entries.
var errNotWhole = errors.New("an entry bundle is not whole")

// givePieces reads the entry bundles. It adds no finding, because it runs beside checkPiece: a
// bundle that is not there has no content.
func (c *checker) givePieces(give func(*piece) error) error {
	for first := int64(0); first < c.head.Size; first += tileWidth {
		name := c.bundleName(first)
		content, err := c.files.Read(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrUnsafe) {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if err := give(&piece{first: first, content: content}); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) bundleName(first int64) string {
	return tilePath("entries", first/tileWidth, int(min(tileWidth, c.head.Size-first)))
}

// checkPiece checks the entries of one entry bundle.
func (c *checker) checkPiece(p *piece, tiles *tree, views *Views) error {
	name, width := c.bundleName(p.first), int(min(tileWidth, c.head.Size-p.first))
	c.expected[name] = true
	if p.content == nil {
		_, err := c.read(name) // says why
		return errors.Join(err, errNotWhole)
	}
	for i := range p.entries {
		seq := p.first + int64(i)
		if i >= width {
			return c.find(seq, name, "there are more entries than the checkpoint covers")
		}
		if err := c.checkEntry(seq, name, &p.entries[i], tiles, views); err != nil {
			return err
		}
	}
	seq := p.first + int64(len(p.entries))
	switch {
	case p.cut:
		return errors.Join(c.find(seq, name, "%v", errEntryBundle), errNotWhole)
	case len(p.entries) < width:
		return errors.Join(c.find(seq, name, "the file has %d entries, want %d", len(p.entries), width), errNotWhole)
	}
	return nil
}

func (c *checker) checkEntry(seq int64, name string, e *entry, tiles *tree, views *Views) error {
	if err := tiles.add(e.leaf); err != nil {
		return err
	}
	for _, h := range c.heads[seq+1] {
		if root := tiles.root(); root != h.Root {
			if err := c.find(seq, name, "the log up to here is not the one of %s: it was rewritten", h.name); err != nil {
				return err
			}
		}
	}
	if e.bad != nil {
		return c.find(seq, name, "%v", e.bad)
	}
	if e.Seq != seq {
		return c.find(seq, name, "the entry says it is entry %d: entries were reordered, or are missing", e.Seq)
	}
	if c.report != nil {
		c.report.Add(&e.Entry)
	}
	if err := c.followCertificate(&e.Entry, name); err != nil {
		return err
	}
	return views.put(&e.Entry, e.rows)
}

// compareTile compares a tile with the one that the entries make.
func (c *checker) compareTile(name string, want []byte) error {
	content, err := c.read(name)
	if err != nil || content == nil {
		return err
	}
	if !bytes.Equal(content, want) {
		return c.find(-1, name, "the tile does not follow from the entries")
	}
	return nil
}

// openViews makes views whose digests are compared with those of the files.
func (c *checker) openViews() (*Views, func() error, error) {
	digests := map[string]hash.Hash{}
	views, err := NewViews(func(name string) (io.Writer, error) {
		digests[name], c.expected[name] = sha256.New(), true
		return digests[name], nil
	})
	return views, func() error {
		for _, name := range viewNames {
			if sum := c.sums[name]; sum != "" && sum != hex.EncodeToString(digests[name].Sum(nil)) {
				if err := c.find(-1, name, "the view does not follow from the entries"); err != nil {
					return err
				}
			} else if sum == "" {
				if err := c.find(-1, name, "the file is missing"); err != nil {
					return err
				}
			}
		}
		return nil
	}, err
}

// issuedCertificate is what the log says of one certificate.
type issuedCertificate struct {
	seq          int64
	serial       string
	spki, issuer string // SHA-256 of the public keys, from the intent; empty in a part without the intent
}

// followCertificate checks the life of a certificate: an intent before each issue, and each
// serial number once.
func (c *checker) followCertificate(e *audit.Entry, name string) error {
	if e.Cert == nil || e.Cert.Serial == "" || !strings.HasPrefix(e.Type, "cert.") {
		return nil
	}
	state, known := c.serials[e.Cert.Serial]
	switch {
	case e.Type == "cert.issue.intent" && known:
		return c.find(e.Seq, name, "serial number %s has an intent a second time", e.Cert.Serial)
	case e.Type == "cert.issue.intent":
		c.serials[e.Cert.Serial] = e.Cert.SPKISHA256 + " " + e.Cert.Issuer
	case e.Type == "cert.issued":
		spki, issuer, open := strings.Cut(state, " ")
		if !open && !c.verdict.Part { // the filter of a part may leave the intent out
			return c.find(e.Seq, name, "serial number %s was issued without an open intent", e.Cert.Serial)
		}
		c.issued[e.Cert.SHA256] = &issuedCertificate{e.Seq, e.Cert.Serial, spki, issuer}
		c.serials[e.Cert.Serial] = "issued"
	case e.Type == "cert.issue.failed" || e.Type == "cert.issue.unresolved":
		c.serials[e.Cert.Serial] = "ended"
	case e.Cert.Status != "" && !known && !c.verdict.Part:
		return c.find(e.Seq, name, "serial number %s changes and was never issued", e.Cert.Serial)
	}
	return nil
}

// checkCertificates checks that the certificates are those of the log, signed by an authority
// of the bundle.
func (c *checker) checkCertificates() error {
	authorities, err := c.authorities()
	if err != nil {
		return err
	}
	for sum, issued := range c.issued {
		name := certificateDir + sum + ".der"
		c.expected[name] = true
		der, err := c.files.Read(name)
		if errors.Is(err, fs.ErrNotExist) {
			if err := c.find(issued.seq, name, "the certificate that the entry issued is missing"); err != nil {
				return err
			}
			continue
		} else if err != nil {
			return err
		}
		if wrong := issued.wrong(der, sum, authorities); wrong != "" {
			if err := c.find(issued.seq, name, "%s", wrong); err != nil {
				return err
			}
		}
	}
	c.verdict.Certificates = len(c.issued)
	return nil
}

func (c *checker) authorities() (certificates []*x509.Certificate, err error) {
	text, err := c.read(AuthoritiesFile)
	for err == nil && len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		certificate, bad := x509.ParseCertificate(block.Bytes)
		if bad != nil {
			return nil, c.find(-1, AuthoritiesFile, "%v", bad)
		}
		certificates, text = append(certificates, certificate), rest
	}
	return certificates, err
}

// wrong says what is wrong with a certificate, or nothing.
func (i *issuedCertificate) wrong(der []byte, sum string, authorities []*x509.Certificate) string {
	if got := sha256.Sum256(der); hex.EncodeToString(got[:]) != sum {
		return "the certificate was changed"
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Sprintf("not a certificate: %v", err)
	}
	spki := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	switch {
	case fmt.Sprintf("%032x", certificate.SerialNumber) != i.serial:
		return fmt.Sprintf("the certificate has the serial number %x, the entry says %s", certificate.SerialNumber, i.serial)
	case i.spki != "" && hex.EncodeToString(spki[:]) != i.spki:
		return "the certificate is for another key than its intent"
	}
	for _, authority := range authorities {
		if sum := sha256.Sum256(authority.RawSubjectPublicKeyInfo); hex.EncodeToString(sum[:]) == i.issuer || i.issuer == "" && certificate.CheckSignatureFrom(authority) == nil {
			if err := certificate.CheckSignatureFrom(authority); err != nil {
				return fmt.Sprintf("the issuing CA did not sign the certificate: %v", err)
			}
			return ""
		}
	}
	return AuthoritiesFile + " lacks the CA of the certificate"
}

// checkNames finds files that no bundle has.
func (c *checker) checkNames() error {
	c.expected[ReadmeFile], c.expected[ScriptFile] = true, true
	c.expected[ReportFile] = !c.verdict.Part // a part has none
	for _, name := range c.files.Names() {
		if !c.expected[name] {
			if err := c.find(-1, name, "the file does not belong to the bundle"); err != nil {
				return err
			}
		}
	}
	return nil
}
