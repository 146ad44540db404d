package ceremony

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"hallmark/station/workdir"
)

// finish writes the results, and then the transcript with its signature.
func (t *transcript) finish(files []workdir.File, key crypto.Signer) error {
	public, err := publicPEM(key.Public())
	if err != nil {
		return err
	}
	files = append(files, workdir.File{Path: "key.pub", Content: public})
	facts := map[string]string{}
	for _, file := range files {
		facts[file.Path] = hexSum(file.Content)
	}
	if err := t.add("end", facts); err != nil {
		return err
	}
	text := t.printable()
	signature, err := sign(t.text, key)
	if err != nil {
		return err
	}
	ofText, err := sign(text, key)
	if err != nil {
		return err
	}
	files = append(files, workdir.File{Path: "transcript.jsonl", Content: t.text}, workdir.File{Path: "transcript.txt", Content: text},
		workdir.File{Path: "transcript.txt.sig", Content: ofText}, workdir.File{Path: "transcript.sig", Content: signature})
	for _, file := range files {
		path := filepath.Join(t.folder, file.Path)
		if t.resumed { // the ceremony that was stopped may have been stopped here, and its results belong to no transcript
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w: %w", ErrOutput, err)
			}
		}
		if err := writeOnce(path, file.Content); err != nil {
			return err
		}
	}
	return t.end()
}

// end takes the name from the unfinished transcript, when all results are written. Its lock stays until close.
func (t *transcript) end() error {
	err := errors.Join(workdir.SyncFolder(t.folder), os.Remove(filepath.Join(t.folder, unfinished)), workdir.SyncFolder(t.folder))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOutput, err)
	}
	return nil
}

// complete reports whether all results are written, and the signature of the transcript verifies. Nothing is then made or removed.
func (t *transcript) complete() (bool, error) {
	last := t.lines[len(t.lines)-1]
	if last.What != "end" {
		return false, nil
	}
	wanted := maps.Clone(last.Facts)
	wanted["transcript.jsonl"], wanted["transcript.txt"], wanted["transcript.sig"] = hexSum(t.text), hexSum(t.printable()), ""
	wanted["transcript.txt.sig"] = ""
	found := map[string][]byte{}
	for name, sum := range wanted {
		text, err := workdir.ReadInput(filepath.Join(t.folder, name), workdir.MaxFile)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		} else if err != nil {
			return false, fmt.Errorf("%w: %w", ErrOutput, err)
		}
		if sum != "" && hexSum(text) != sum {
			return false, nil
		}
		found[name] = text
	}
	block, _ := pem.Decode(found["key.pub"])
	if block == nil {
		return false, nil
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	key, ok := public.(*ecdsa.PublicKey)
	return err == nil && ok && verifies(key, t.text, found["transcript.sig"]) && verifies(key, found["transcript.txt"], found["transcript.txt.sig"]), nil
}

func verifies(key *ecdsa.PublicKey, text, signature []byte) bool {
	sum := sha256.Sum256(text)
	return ecdsa.VerifyASN1(key, sum[:], signature)
}

// sign signs the transcript or its text, and verifies the signature.
func sign(text []byte, key crypto.Signer) ([]byte, error) {
	sum := sha256.Sum256(text)
	signature, err := key.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing the transcript: %w", err)
	}
	if public, ok := key.Public().(*ecdsa.PublicKey); !ok || !verifies(public, text, signature) {
		return nil, errors.New("signing the transcript: the signature does not verify")
	}
	return signature, nil
}

// writeOnce writes a file that must not exist, and that nobody changes afterwards.
func writeOnce(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOutput, err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Chmod(0o444), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("%w: %w", ErrOutput, err)
	}
	return nil
}
