package hub

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"time"

	"hallmark/configs/strict"
	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Config is hub.yaml. Relative paths are below the directory of the file.
type Config struct {
	Database    string          `yaml:"database"`    // connection string of libpq; a password stands in the file that passfile names
	Listen      string          `yaml:"listen"`      // address:port for stations
	Certificate string          `yaml:"certificate"` // chain of the server (PEM)
	Key         string          `yaml:"key"`         // its private key (PEM)
	CA          string          `yaml:"ca"`          // roots of the stations' certificates (PEM)
	OrderKey    string          `yaml:"order_key"`   // private key that signs leases (PEM); its public key is an owner in station.yaml
	Mark        string          `yaml:"mark"`        // file with the number of leases, outside of the database
	Page        string          `yaml:"page"`        // address:port of the web page; empty: none
	PageNames   []string        `yaml:"page_names"`  // names of the host by which browsers ask for the page, such as that of a proxy
	People      []PersonConfig  `yaml:"people"`      // who may see the page; empty: everybody on this machine
	Stations    []StationConfig `yaml:"stations"`

	base string
}

// StationConfig names one station of the plant.
type StationConfig struct {
	Name string `yaml:"name"`           // as in its station.yaml
	Log  string `yaml:"log"`            // verifier key of its audit log, as in pki/audit.vkey
	TLS  string `yaml:"tls_key_sha256"` // of its TLS key, as `station renew-hub` prints it
}

var stationName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// LoadConfig reads hub.yaml.
func LoadConfig(path string) (*Config, error) {
	text, err := workdir.ReadFile(path)
	if err != nil {
		return nil, reason.Usage(fmt.Errorf("--config: %w", err))
	}
	c := &Config{Listen: "127.0.0.1:8443", base: filepath.Dir(path)}
	if err := strict.Decode(path, text, c); err != nil {
		return nil, reason.Usage(err)
	}
	if err := c.validate(); err != nil {
		return nil, reason.Usage(fmt.Errorf("%s: %w", path, err))
	}
	return c, nil
}

func (c *Config) validate() error {
	var errs []error
	for _, one := range []struct{ key, value string }{{"database", c.Database}, {"certificate", c.Certificate}, {"key", c.Key}, {"ca", c.CA}, {"order_key", c.OrderKey}, {"mark", c.Mark}} {
		if one.value == "" {
			errs = append(errs, fmt.Errorf("%s: want a value; docs/hub.md explains each key", one.key))
		}
	}
	_, bad := c.audience()
	errs = append(errs, bad...)
	if len(c.Stations) == 0 || len(c.Stations) > maxStations {
		errs = append(errs, fmt.Errorf("stations: want 1 to %d", maxStations))
	}
	names, logs := map[string]bool{}, map[string]bool{}
	for i, one := range c.Stations {
		at := fmt.Sprintf("stations[%d].", i)
		if !stationName.MatchString(one.Name) || names[one.Name] {
			errs = append(errs, fmt.Errorf("%sname %q: want a name that no other station has, of letters, digits and . _ -", at, one.Name))
		}
		if audit.CheckVerifierKey(one.Log) != nil || logs[one.Log] {
			errs = append(errs, fmt.Errorf("%slog: want the text of pki/audit.vkey of the station, which no other station has", at))
		}
		if sum, err := hex.DecodeString(one.TLS); err != nil || len(sum) != sha256.Size {
			errs = append(errs, fmt.Errorf("%stls_key_sha256: want 64 hexadecimal digits, as `station renew-hub` prints them", at))
		}
		names[one.Name], logs[one.Log] = true, true
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *Config) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.base, name)
}

// options gives the Options of a Store, without its keys.
func (c *Config) options(log *slog.Logger) Options {
	o := Options{Database: c.Database, Mark: c.path(c.Mark), Now: time.Now, Log: log}
	for _, one := range c.Stations {
		o.Stations = append(o.Stations, Source{Name: one.Name, Key: one.Log})
	}
	return o
}

// clients gives the TLS keys of the stations.
func (c *Config) clients() map[string][sha256.Size]byte {
	all := map[string][sha256.Size]byte{}
	for _, one := range c.Stations {
		sum, err := hex.DecodeString(one.TLS)
		if err == nil { // validate has checked it
			all[one.Name] = [sha256.Size]byte(sum)
		}
	}
	return all
}

// files reads the certificates and keys of a server.
func (c *Config) files() (certificate tls.Certificate, cas *x509.CertPool, err error) {
	if err = errors.Join(workdir.Private(c.path(c.Key)), workdir.Private(c.path(c.OrderKey))); err != nil {
		return certificate, nil, err
	}
	if certificate, err = tls.LoadX509KeyPair(c.path(c.Certificate), c.path(c.Key)); err != nil {
		return certificate, nil, reason.Usage(fmt.Errorf("certificate and key: %w", err))
	}
	roots, err := workdir.ReadCertificates(c.path(c.CA))
	if err != nil {
		return certificate, nil, reason.Usage(fmt.Errorf("ca: %w", err))
	}
	cas = x509.NewCertPool()
	for _, root := range roots {
		cas.AddCert(root)
	}
	return certificate, cas, nil
}
