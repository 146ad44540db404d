package evidence

// SignatureSuffix is added to the name of a file for its detached CMS signature. The report has
// one, and SHA256SUMS, which names all other files.
const SignatureSuffix = ".p7s"

var signedFiles = []string{SumsFile, ReportFile}

// end writes the digests of all files, and the signatures if there is a signer.
func (w *writer) end(b *Bundle) error {
	signer := b.Signer
	if report, ok := w.sums[ReportFile]; ok && signer != nil {
		if err := w.sign(signer, ReportFile, report); err != nil {
			return err
		}
	}
	if err := w.writeSums(); err != nil {
		return err
	}
	if b.Sums = w.sums[SumsFile]; signer == nil {
		return nil
	}
	return w.sign(signer, SumsFile, w.sums[SumsFile])
}

func (w *writer) sign(signer *Signer, name string, sum digest) error {
	signature, err := signer.Sign(sum)
	if err != nil {
		return err
	}
	return w.put(name+SignatureSuffix, signature)
}

// checkSigner finds the certificate of the audit key among the authorities. The certificate of a
// bundle proves no more than the root that signed it.
func (c *checker) checkSigner() error {
	all, err := c.authorities()
	if err != nil {
		return err
	}
	c.known = append(authorityList{}, all...)
	if c.options.Root != nil && !hasCertificate(all, c.options.Root) {
		if err := c.find(-1, AuthoritiesFile, "the root is not the one that you gave: the bundle is of another station"); err != nil {
			return err
		}
	}
	c.signer = signerOf(all, c.key)
	switch {
	case c.signer == nil && c.options.Root != nil:
		return c.find(-1, AuthoritiesFile, "there is no certificate of the audit key, so the root that you gave says nothing about the log; give the key with --key")
	case c.signer == nil:
		return nil
	case !certifiesAudit(c.signer):
		return c.find(-1, AuthoritiesFile, "the certificate of the log's key, %q, is not the certificate of an audit key, but of a board or a server: whoever holds this key made the log", c.signer.Subject)
	}
	roots := all
	if c.options.Root != nil {
		roots = authorityList{c.options.Root}
	}
	if !roots.rootSigned(c.signer, all...) {
		return c.find(-1, AuthoritiesFile, "the root did not sign the certificate of the audit key")
	}
	c.verdict.AuditCertificate, c.verdict.RootGiven = true, c.options.Root != nil
	return nil
}

// checkSignatures checks the signatures that the bundle has. A bundle without them is not signed,
// and the verdict says so.
func (c *checker) checkSignatures() error {
	missing := c.files.Size(SumsFile+SignatureSuffix) < 0
	switch {
	case missing && c.files.Size(ReportFile+SignatureSuffix) >= 0:
		return c.find(-1, SumsFile+SignatureSuffix, "the file is missing: the report is signed, so the bundle was, too")
	case missing && c.options.Signed:
		return c.find(-1, SumsFile+SignatureSuffix, "the bundle is not signed, and you want a signature")
	}
	for _, name := range signedFiles {
		if err := c.checkSignature(name); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) checkSignature(name string) error {
	file := name + SignatureSuffix
	if c.files.Size(file) < 0 {
		return nil
	}
	c.expected[file] = true
	signed, err := c.read(file)
	if err != nil || signed == nil {
		return err
	}
	if c.signer == nil {
		return c.find(-1, file, "there is no certificate of the audit key to check the signature with")
	}
	sum, err := c.files.sum(name)
	if err != nil {
		return c.find(-1, file, "%v", err)
	}
	at, err := checkCMS(signed, sum, c.signer, Between(c.known, c.signer))
	switch {
	case err != nil:
		return c.find(-1, file, "%v", err)
	case at.Before(c.signer.NotBefore) || at.After(c.signer.NotAfter):
		return c.find(-1, file, "it was signed at %s, when the certificate of the audit key was not valid", at)
	case name == SumsFile:
		c.verdict.Signed = &at
	}
	return nil
}
