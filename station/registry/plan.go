package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// A Migration is what a start does to a registry of an older schema. From and To are equal for a registry that needs none.
type Migration struct {
	From, To int
	Steps    []Step // in order
	Size     uint64 // octets of the registry, with what its write-ahead log has
	Required uint64 // octets of free space
	Free     uint64 // octets that are free for ordinary users
	Copy     string // path of the copy that is made before the first step
}

// A Step leads from the schema before it to Schema.
type Step struct {
	Schema int
	What   string // one sentence, for people
}

// PlanMigration says what a start would do to a registry. It only reads, and takes no lock. It refuses what a start refuses: a file
// that is no registry, a newer schema, a schema that somebody has changed.
func PlanMigration(ctx context.Context, path string) (_ *Migration, err error) {
	r := &Reader{}
	defer func() {
		if err = errors.Join(err, r.Close()); err != nil {
			err = fmt.Errorf("reading registry %s: %w", path, err)
		}
	}()
	_, _, version, err := r.open(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, r.db, int(version)); err != nil {
		return nil, err
	}
	return plan(ctx, r.db, path, int(version))
}

func plan(ctx context.Context, q querier, path string, from int) (*Migration, error) {
	m := &Migration{From: from, To: schemaVersion, Copy: path + ".schema" + strconv.Itoa(from)}
	for version := from + 1; version <= schemaVersion; version++ {
		what, err := about(version)
		if err != nil {
			return nil, err
		}
		m.Steps = append(m.Steps, Step{version, what})
	}
	if err := q.QueryRowContext(ctx, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`).Scan(&m.Size); err != nil {
		return nil, unread(err)
	}
	if from < schemaVersion {
		m.Required = spaceFor(m.Size)
	}
	var err error
	m.Free, err = freeAt(filepath.Dir(path))
	return m, err
}

// spaceFor gives the free space for a migration: the copy, and as much again for the pages that change, which are in the write-ahead
// log first. The steps from schema 2 on changed 7 % of a registry with 30,000 boards. The last part is for a registry that is nearly empty.
func spaceFor(size uint64) uint64 { return 2*size + 1<<20 }

func freeAt(dir string) (uint64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	return disk.Bavail * uint64(disk.Bsize), nil
}

// HasRoom refuses a migration for which the disk has too little room.
func (m *Migration) HasRoom() error {
	if m.Free >= m.Required {
		return nil
	}
	return fmt.Errorf("%w: the migration of the registry needs %s MiB, and %s MiB are free", ErrDiskFull, mib(m.Required), mib(m.Free))
}

func mib(octets uint64) string { return strconv.FormatFloat(float64(octets)/(1<<20), 'f', 1, 64) }

// about gives the first sentence of the file of a step, behind its number.
func about(version int) (string, error) {
	text, err := fs.ReadFile(schemaFiles, "schema/"+strconv.Itoa(version)+".sql")
	if err != nil {
		return "", fmt.Errorf("reading the step to schema %d: %w", version, err)
	}
	var words []string
	for line := range strings.Lines(string(text)) {
		comment, is := strings.CutPrefix(strings.TrimSpace(line), "-- ")
		if !is {
			break
		}
		words = append(words, comment)
	}
	_, sentence, _ := strings.Cut(strings.Join(words, " "), ": ")
	sentence, _, _ = strings.Cut(sentence, ". ")
	return strings.TrimSuffix(sentence, "."), nil
}

// Text says the plan for people, with the way back.
func (m *Migration) Text() string {
	if m.From == m.To {
		return fmt.Sprintf("registry.db has schema %d, as this program wants it: there is nothing to migrate\n", m.To)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "registry.db has schema %d, and this program works with schema %d: %s, in one transaction\n", m.From, m.To, reason.Count(len(m.Steps), "step", "steps"))
	for _, step := range m.Steps {
		fmt.Fprintf(&text, "  %2d  %s\n", step.Schema, step.What)
	}
	fmt.Fprintf(&text, "size      %s MiB\n", mib(m.Size))
	fmt.Fprintf(&text, "space     %s MiB are needed for the copy and the transaction, %s MiB are free\n", mib(m.Required), mib(m.Free))
	fmt.Fprintf(&text, "copy      %s, made before the first step\n", m.Copy)
	fmt.Fprintf(&text, "way back  end the station, remove registry.db-wal and registry.db-shm, put the copy in the place of registry.db, and install the former\n"+
		"          program; what happened since is missing in the copy, so its first start says registry-older, and\n"+
		"          `station accept-registry` goes on with the copy, on record\n")
	return text.String()
}
