package verifier

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"sync"

	"hallmark/station/workdir"
)

// A Memory has the newest number of each kind of signed file that a verifier accepted, so that nobody can put an older file
// back. With a path it outlives a restart.
type Memory struct {
	path string

	mu     sync.Mutex
	newest map[string]version
}

// A version is one signed file.
type version struct {
	Number string `json:"number"` // decimal
	SHA256 string `json:"sha256"` // of the file, hexadecimal
}

// OpenMemory reads the memory from a file. A file that does not exist is an empty memory. Without a path the memory is
// lost when the program ends.
func OpenMemory(path string) (*Memory, error) {
	m := &Memory{path: path, newest: map[string]version{}}
	if path == "" {
		return m, nil
	}
	text, err := workdir.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m.newest); err != nil || m.newest == nil || decoder.More() {
		return nil, fmt.Errorf("%w: %s holds no versions: %v", ErrState, path, err)
	}
	for _, v := range m.newest {
		if _, ok := new(big.Int).SetString(v.Number, 10); !ok {
			return nil, fmt.Errorf("%w: %s: the number %q", ErrState, path, v.Number)
		}
	}
	return m, nil
}

// accept refuses content that is older than the newest that it accepted, and remembers it otherwise. Another file with the
// number of the newest is refused, too, because a station gives each file a number of its own.
func (m *Memory) accept(content signedStatus) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	number, sum := content.version()
	now := version{number.String(), hex.EncodeToString(sum[:])}
	key := fmt.Sprintf("%s %x", content.kind(), content.authorityKey())
	before, known := m.newest[key]
	if !known { // a version of before had one bundle, and did not note its CA
		before, known = m.newest[content.kind()]
	}
	if known {
		newest, _ := new(big.Int).SetString(before.Number, 10) // OpenMemory has checked it
		order := number.Cmp(newest)
		if order < 0 || order == 0 && now != before {
			return fmt.Errorf("%w: its number is %v, and a file with the number %v was accepted", ErrStatusOlder, number, newest)
		}
		if order == 0 && m.newest[key] == now {
			return nil
		}
	}
	return m.remember(key, content.kind(), now)
}

// remember writes the newest version under its key, in the place of the one whose CA was not noted.
func (m *Memory) remember(key, old string, now version) error {
	newest := maps.Clone(m.newest)
	newest[key] = now
	delete(newest, old)
	if m.path != "" {
		text, err := json.MarshalIndent(newest, "", "  ")
		if err == nil {
			err = workdir.WriteFile(m.path, append(text, '\n'))
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
	}
	m.newest = newest
	return nil
}
