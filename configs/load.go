package configs

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"hallmark/configs/strict"
	"hallmark/devices"
	"hallmark/station/issuance"
	"hallmark/station/workdir"
)

//go:embed demo.yaml station.schema.json profiles/*.yaml boards/*.yaml
var files embed.FS

// Demo returns the configuration of `station init` without --config: SoftHSM and
// emulated boards, which protect no key.
func Demo() []byte { return embedded("demo.yaml") }

// embedded reads a file that the compiler put there.
func embedded(name string) []byte {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return text
}

// Parse reads a station's configuration. name is the file name in errors. The error has all mistakes of the file.
func Parse(name string, text []byte) (*Config, error) {
	config, _, err := ParseLines(name, text)
	return config, err
}

// ParseLines also gives the line of each key that the file has, by its dotted form: "hsm.module", "bays[0].port".
func ParseLines(name string, text []byte) (*Config, map[string]int, error) {
	config := Default()
	found, err := strict.Read(name, text, &config)
	if err != nil {
		return nil, nil, err
	}
	config.HSM.withoutDefaultLabel(found)
	if err := config.Validate(); err != nil {
		found.Invalid(err)
	}
	if err := found.Err(); err != nil {
		return nil, nil, err
	}
	return &config, found.Lines(), nil
}

// Load reads a station's configuration from a file.
func Load(path string) (*Config, error) {
	text, err := workdir.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, text)
}

// ProfileText returns the text of the configured profile: an embedded profile by its
// name, or a file. A relative path is below base.
func (c *Config) ProfileText(base string) (name string, text []byte, err error) {
	return profileText("profile", c.Profile, base)
}

// COSEProfileText returns the text of the profile of COSE keys, or nothing when no such
// profile is configured.
func (c *Config) COSEProfileText(base string) (name string, text []byte, err error) {
	if c.COSEProfile == "" {
		return "", nil, nil
	}
	return profileText("cose_profile", c.COSEProfile, base)
}

func profileText(key, value, base string) (name string, text []byte, err error) {
	if !isPath(value) {
		name = value
		text, err = files.ReadFile("profiles/" + name + ".yaml")
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil, &ValueError{key, fmt.Sprintf("%q", name), "one of " + strings.Join(ProfileNames(), ", ") + ", or the path of a file", "correct the name"}
		}
		return name, text, err
	}
	path := value
	if !filepath.IsAbs(path) {
		path = filepath.Join(base, path)
	}
	text, err = workdir.ReadInput(path, workdir.MaxFile)
	if err != nil {
		return "", nil, fmt.Errorf("reading the profile: %w", err)
	}
	return path, text, nil
}

// ReadProfile returns the name and the text of an embedded profile, or of the file at a path.
func ReadProfile(nameOrPath string) (name string, text []byte, err error) {
	return profileText("profile", nameOrPath, ".")
}

// ProfileNames returns the names of the embedded profiles.
func ProfileNames() []string { return embeddedNames(files, "profiles") }

// embeddedNames returns the names of the YAML files of an embedded folder, without .yaml.
func embeddedNames(from embed.FS, folder string) []string {
	entries, err := from.ReadDir(folder)
	if err != nil {
		panic(err) // cannot happen: the files are embedded
	}
	var names []string
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), ".yaml"))
	}
	slices.Sort(names) // with .yaml behind it, "linaro-cose" came before "linaro"
	return names
}

// ErrPurpose: the profile is for keys of another purpose.
var ErrPurpose = errors.New("profile is for keys of another purpose")

// ParseProfileFor is ParseProfile for keys of one purpose.
func ParseProfileFor(purpose devices.Purpose, name string, text []byte) (*issuance.Profile, error) {
	profile, err := ParseProfile(name, text)
	if err != nil {
		return nil, err
	}
	if profile.Purpose() != purpose {
		return nil, fmt.Errorf("%s: %w: it has purpose %s, want %s; name another profile", name, ErrPurpose, profile.Purpose(), purpose)
	}
	return profile, nil
}

// ParseProfile reads a profile. issuance.NewProfile checks its values.
func ParseProfile(name string, text []byte) (*issuance.Profile, error) {
	var config issuance.ProfileConfig
	if err := Decode(name, text, &config); err != nil {
		return nil, err
	}
	profile, err := issuance.NewProfile(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return profile, nil
}
