package ceremony

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"hallmark/configs"
	"hallmark/hsm"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Refusals of a ceremony.
var (
	ErrInput     = reason.New("ceremony-input", "the ceremony cannot be held")
	ErrOutput    = reason.New("ceremony-output", "the results of the ceremony cannot be written")
	ErrConfirmed = reason.New("not-confirmed", "the fingerprint of the key was not confirmed")
)

// An Act is one ceremony. Its file is the only input; nobody chooses anything while the ceremony is held.
type Act struct {
	File    *configs.Ceremony
	Text    []byte // of the file
	Program string // version of this program, for the transcript
	// KeyedIn returns the fingerprint that a witness typed, after the witnesses were told the right one.
	KeyedIn func(ctx context.Context) (string, error)
	Show    io.Writer // what happens, for the witnesses

	by      string // how the fingerprint comes, for the transcript
	base    string // directory of the file
	resumes bool   // a stopped ceremony is in the directory for the results
	running string // SHA-256 of this program's octets, in hexadecimal
	kind    kind
	token   hsm.Config // as the file and its URI name it
	now     func() time.Time
	random  io.Reader
	above   crypto.Signer // the key of the issuer, if it is not the key of the ceremony
	inputs
}

// inputs are the files that a ceremony reads, checked before the HSM is opened.
type inputs struct {
	named         []inputFile
	issuer, other *x509.Certificate
	request       *x509.CertificateRequest
	chain         *Chain
	subject       pkix.Name // of root, csr and ocsp
}

// An inputFile is a file that the ceremony names: the key of ceremony.yaml, the path there, and the SHA-256.
type inputFile struct{ key, path, sum string }

// Read reads the file of a ceremony and its inputs. It does not touch the HSM.
func Read(path, kindName string) (*Act, error) { return readAt(path, kindName, time.Now) }

func readAt(path, kindName string, now func() time.Time) (*Act, error) {
	text, err := workdir.ReadInput(path, workdir.MaxFile)
	if err == nil {
		err = workdir.CheckWriters(path) // it names the module
	}
	if err != nil {
		return nil, reason.Usage(fmt.Errorf("reading the ceremony: %w; name its YAML file in --file", err))
	}
	base, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	a := &Act{Text: text, base: base, kind: kinds[kindName], now: now, random: rand.Reader, Show: io.Discard}
	if a.File, err = configs.ParseCeremony(path, text, kindName, a.now()); err != nil {
		return nil, reason.Usage(err)
	}
	if a.token, err = a.File.Station().Token(base, workdir.Exists); err != nil {
		return nil, reason.Usage(err)
	}
	if err := a.kind.read(a); err != nil {
		return nil, reason.Usage(fmt.Errorf("%w: %w", ErrInput, err))
	}
	if a.resumes, err = stoppedIn(a.out()); err != nil {
		return nil, err
	}
	if a.resumes {
		if err := a.checkStopped(); err != nil {
			return nil, err
		}
	}
	if a.running, err = runningProgram(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	return a, nil
}

func (a *Act) out() string { return below(a.base, a.File.Out) }

// Plan says what will happen, one step a line.
func (a *Act) Plan() string {
	var text strings.Builder
	n := 0
	step := func(format string, args ...any) {
		n++
		fmt.Fprintf(&text, "%2d. %s\n", n, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&text, "ceremony %s, file sha256 %x\nprogram sha256 %s\n", a.File.Ceremony, sha256.Sum256(a.Text), a.running)
	for _, file := range a.named {
		fmt.Fprintf(&text, "%s %q, sha256 %s\n", file.key, file.path, file.sum)
	}
	if a.resumes {
		step("go on with the ceremony that was stopped in %q; a key that it made is taken, not made again, and a certificate that it signed is not signed again", a.out())
	} else {
		step("make the directory %q, and begin the transcript there", a.out())
	}
	step("open the %s through %q; the PIN comes from %q%s", a.token.Selector(), a.token.Module, a.File.Station().PINSource(a.base), a.lowered())
	if a.File.IssuerLabel != "" {
		step("find the key %q of the issuer on the token, with the fingerprint %s", a.File.IssuerLabel, spaced(hexSum(a.issuer.RawSubjectPublicKeyInfo)))
	}
	if a.kind.makesKey {
		step("refuse if an object on the token has the label %q; else make the key %[1]q there: P-256, signs only, never leaves the token; it gets an id of %d octets", a.File.Key.Label, a.File.HSM.KeyIDOctets)
	} else {
		step("find the key %q on the token", a.File.Key.Label)
	}
	step("%s and %s compare the fingerprint of the key, and one of them types it", a.File.Witnesses[0], a.File.Witnesses[1])
	for _, line := range a.kind.plan(a) {
		step("%s", line)
	}
	step("write %s, each once and read-only; the transcript and its text are signed with the key", strings.Join(append(a.kind.files, transcriptFiles...), ", "))
	return text.String()
}

// lowered names what the file excuses the token from.
func (a *Act) lowered() (text string) {
	if a.token.AllowSoftwareToken {
		text += "; software tokens are allowed, which protect no key"
	}
	if len(a.token.Exceptions) > 0 {
		text += "; exceptions: " + a.token.Exceptions.String()
	}
	return text
}

// Hold holds the ceremony. The HSM comes after everything that can be proven without it. After an error the same
// file goes on where the ceremony stopped, with the key that stays on the token.
func (a *Act) Hold(ctx context.Context) (err error) {
	log, err := openTranscript(a.out(), a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	if log.ended { // its key has signed the transcript, so nothing is left to do
		_, err := fmt.Fprintf(a.Show, "the ceremony was finished before; its results are in %s\n", shown(a.out()))
		return errors.Join(log.end(), err)
	}
	finished := false
	defer func() {
		if err != nil && !finished {
			err = stopped(ctx, errors.Join(err, log.discard()), log.left())
		}
	}()
	token, err := instance.OpenToken(ctx, workdir.Dir(a.base), a.File.Station(), nil, nil)
	if err != nil {
		return err
	}
	if err := a.holdOn(ctx, token, log); err != nil {
		return errors.Join(err, instance.CloseToken(token))
	}
	finished = true // also if the HSM closes badly: nothing is left to do
	if err := instance.CloseToken(token); err != nil {
		return fmt.Errorf("the ceremony is finished, its results are in %s; after that: %w", a.out(), err)
	}
	return nil
}

func (a *Act) holdOn(ctx context.Context, token *hsm.Token, log *transcript) error {
	if err := log.add("token", instance.TokenFacts(token.Info())); err != nil {
		return err
	}
	if a.File.IssuerLabel != "" { // before a key is made for it
		var err error
		if a.above, err = a.issuerKey(ctx, token, a.File.IssuerLabel); err != nil {
			return err
		}
		if err := recordKey(ctx, "issuer-found", a.File.IssuerLabel, token, a.above, log); err != nil {
			return err
		}
	}
	key, err := a.key(ctx, token, log)
	if err != nil {
		return err
	}
	if err := a.confirm(ctx, key, log); err != nil {
		return err
	}
	files, err := a.kind.finish(ctx, a, key, log)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("stopped before anything was written: %w", err)
	}
	return log.finish(files, key)
}

// key makes the key, adopts the key of a ceremony that was stopped, or finds the key that the inputs name.
func (a *Act) key(ctx context.Context, token *hsm.Token, log *transcript) (crypto.Signer, error) {
	if !a.kind.makesKey {
		key, err := a.findKey(ctx, token)
		if err != nil {
			return nil, err
		}
		return key, recordKey(ctx, "key-found", a.File.Key.Label, token, key, log)
	}
	key, _, adopted, err := makeKey(ctx, token, log, a.File.Key.Label, a.File.HSM.KeyIDOctets, a.random)
	if err != nil {
		return nil, err
	}
	what := "key-made"
	if adopted {
		what = "key-adopted"
	}
	return key, recordKey(ctx, what, a.File.Key.Label, token, key, log)
}

func (a *Act) findKey(ctx context.Context, token *hsm.Token) (crypto.Signer, error) {
	if a.chain != nil {
		return a.chain.adopt(ctx, token, hsm.KeyRef{Label: a.File.Key.Label})
	}
	return a.issuerKey(ctx, token, a.File.Key.Label)
}

// issuerKey finds the key that belongs to the certificate of the issuer.
func (a *Act) issuerKey(ctx context.Context, token *hsm.Token, label string) (crypto.Signer, error) {
	public, ok := a.issuer.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: the issuer has a %v key, want ECDSA", ErrInput, a.issuer.PublicKeyAlgorithm)
	}
	return token.Signer(ctx, hsm.KeyRef{Label: label}, public)
}

// recordKey puts fingerprint and attributes of the key into the transcript.
func recordKey(ctx context.Context, what, label string, token *hsm.Token, key crypto.Signer, log *transcript) error {
	print, err := fingerprint(key.Public())
	if err != nil {
		return err
	}
	report, err := token.Report(ctx, key)
	if err != nil {
		return err
	}
	return log.add(what, map[string]string{
		"label": label, "spki_sha256": print, "id": hex.EncodeToString(report.ID), "attributes": report.Attributes.String(),
	})
}

// fingerprint is the SHA-256 of the SubjectPublicKeyInfo, in hexadecimal.
func fingerprint(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encoding the public key: %w", err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(der)), nil
}

// confirm shows the fingerprint to the witnesses, and goes on only with the fingerprint that one of them typed.
func (a *Act) confirm(ctx context.Context, key crypto.Signer, log *transcript) error {
	print, err := fingerprint(key.Public())
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Show, "\nfingerprint of the key %q (SHA-256 of its public key):\n  %s\n%s and %s: compare it with the token's, and type it.\n", a.File.Key.Label, spaced(print), a.File.Witnesses[0], a.File.Witnesses[1])
	typed, err := a.KeyedIn(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfirmed, err)
	}
	if !strings.EqualFold(strings.Join(strings.Fields(typed), ""), print) {
		got := "another text was given"
		if strings.TrimSpace(typed) == "" {
			got = "nothing was given"
		}
		return fmt.Errorf("%w: want %s, and %s; compare it with what the tool of the token shows, and give the same command again", ErrConfirmed, print, got)
	}
	return log.add("confirmed", map[string]string{"spki_sha256": print, "witness_1": a.File.Witnesses[0], "witness_2": a.File.Witnesses[1], "by": a.by})
}

// spaced groups a fingerprint, so that people can compare it.
func spaced(print string) string {
	var groups []string
	for at := 0; at < len(print); at += 8 {
		groups = append(groups, print[at:min(at+8, len(print))])
	}
	return strings.Join(groups, " ")
}

// Confirm sets KeyedIn: the fingerprint of --confirm or, without it, a line of standard input. The transcript says which of them it was.
func (a *Act) Confirm(flag string, stdin io.Reader) {
	file, isFile := stdin.(*os.File)
	switch {
	case flag != "":
		a.by = "--confirm of the command"
		a.KeyedIn = func(context.Context) (string, error) { return flag, nil }
		return
	case isFile && term.IsTerminal(int(file.Fd())):
		a.by = "typed at the terminal"
	default:
		a.by = "standard input, no terminal"
	}
	a.KeyedIn = func(ctx context.Context) (string, error) {
		typed := make(chan string, 1)
		go func() { // ends with the program if nobody types anything
			text, err := bufio.NewReader(io.LimitReader(stdin, 1024)).ReadString('\n')
			if err != nil {
				text = ""
			}
			typed <- text
		}()
		select {
		case text := <-typed:
			return text, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}
