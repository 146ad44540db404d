package configs

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"

	"hallmark/station/evidence"
)

// maxWitnesses bounds the work after each checkpoint.
const maxWitnesses = 16

func (c *Config) witnesses() error {
	err := checkRange("number of witnesses", len(c.Witnesses), 0, maxWitnesses)
	names, keys := map[string]bool{}, map[string]bool{}
	for i, w := range c.Witnesses {
		at := fmt.Sprintf("witnesses[%d].", i)
		err = errors.Join(err, w.validate(at))
		if names[w.Name] || keys[w.Key] {
			err = errors.Join(err, &ValueError{at + "name", strconv.Quote(w.Name), "a name and a key that no other witness has", "name each witness once"})
		}
		names[w.Name], keys[w.Key] = true, true
	}
	if c.RequireWitness && len(c.Witnesses) == 0 {
		err = errors.Join(err, &ValueError{"require_witness", "true", "false, or at least one witness", "add the witness to witnesses"})
	}
	return err
}

func (w *Witness) validate(at string) error {
	err := errors.Join(name(at+"name", w.Name), address(at+"url", w.URL), cosigner(at+"key", w.Key))
	if w.MirrorKey != "" {
		err = errors.Join(err, cosigner(at+"mirror_key", w.MirrorKey))
	}
	if w.MirrorKey != "" && w.MirrorKey == w.Key {
		err = errors.Join(err, &ValueError{at + "mirror_key", "the key of the witness", "a key of the mirror alone", "copy mirror_key as `station witness init` printed it"})
	}
	if w.CA != "" && !filepath.IsAbs(w.CA) {
		err = errors.Join(err, &ValueError{at + "ca", strconv.Quote(w.CA), "an absolute path", "leave the key out to use the CAs of this machine"})
	}
	return err
}

func cosigner(key, value string) error {
	if _, err := evidence.NewCosigner(value); err != nil {
		return &ValueError{key, err.Error(), "the verifier key of the witness", "copy it as headquarters gave it to you"}
	}
	return nil
}

// address accepts plain HTTP only to this machine: on the way somebody could read and change what is sent, or keep the newest
// checkpoint of a witness from the station.
func address(key, value string) error {
	at, err := url.Parse(value)
	if err != nil || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "" || at.Scheme != "https" && at.Scheme != "http" {
		return &ValueError{key, strconv.Quote(value), "an address such as https://server.example/", "write it without user, query and fragment"}
	}
	if ip := net.ParseIP(at.Hostname()); at.Scheme == "http" && at.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return &ValueError{key, strconv.Quote(value), "https to another machine", "give that server a certificate (a receiver of webhooks, or `station witness serve` with --tls-cert and --tls-key)"}
	}
	return nil
}

// validate accepts plain HTTP: the token is signed, and most authorities have no TLS.
func (t *Timestamp) validate() error {
	if *t == (Timestamp{}) {
		return nil
	}
	var err error
	if at, bad := url.Parse(t.URL); bad != nil || at.Host == "" || at.User != nil || at.Scheme != "https" && at.Scheme != "http" {
		err = &ValueError{"timestamp.url", strconv.Quote(t.URL), "an address such as http://tsa.example/", "ask the authority for the address of its RFC 3161 service"}
	}
	if !filepath.IsAbs(t.CA) {
		err = errors.Join(err, &ValueError{"timestamp.ca", strconv.Quote(t.CA), "the absolute path of the authority's root certificate", "ask the authority for its root"})
	}
	if t.TLSCA != "" && !filepath.IsAbs(t.TLSCA) {
		err = errors.Join(err, &ValueError{"timestamp.tls_ca", strconv.Quote(t.TLSCA), "an absolute path", "leave the key out to use the CAs of this machine"})
	}
	return err
}
