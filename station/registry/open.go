package registry

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"hallmark/station/audit"
)

// Open compares a registry, and begins it.
func Open(ctx context.Context, c Config) (*Registry, error) {
	r, err := Compare(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := r.Begin(ctx); err != nil {
		return nil, errors.Join(err, r.Shutdown())
	}
	return r, nil
}

// Compare locks and opens a registry, and refuses one that was changed or that is older than
// its mark. It reads the file in its own schema and writes nothing into it, so a registry that is
// refused, here or by Covers, stays as it was. One thing is written: an entry about a clock
// that is behind, because the registry itself is good. A file that does not exist is made.
//
// Until Begin the registry can be read. The first call that writes begins it.
func Compare(ctx context.Context, c Config) (_ *Registry, err error) {
	r := &Registry{config: c.completed(), acts: &acts{told: make(chan struct{}, 1)}, signing: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening registry %s: %w", c.Path, errors.Join(err, r.release()))
		}
	}()
	if r.lock, err = lock(c.Path); err != nil {
		return nil, err
	}
	for _, stage := range []func(context.Context) error{r.makeNew, r.compare, r.openReader, r.clock} {
		if err := stage(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (c Config) completed() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return c
}

// makeNew makes the tables of a file that does not exist, or that has none because a crash came
// before they were made.
func (r *Registry) makeNew(ctx context.Context) error {
	if err := regularFiles(r.config.Path); err != nil {
		return err
	}
	if info, err := os.Stat(r.config.Path); err == nil && info.Size() > 0 {
		if empty, err := isEmpty(ctx, r.config.Path); !empty || err != nil {
			return err
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return r.connect(ctx)
}

// compare reads the registry in its own schema, without a connection that could write.
func (r *Registry) compare(ctx context.Context) (err error) {
	original := &Reader{}
	defer func() { err = errors.Join(err, original.Close()) }()
	if _, _, r.version, err = original.open(ctx, r.config.Path); err != nil {
		return err
	}
	if r.files, err = newWatch(r.config.Path); err != nil {
		return err
	}
	return r.compareAll(ctx, original.db)
}

func (r *Registry) compareAll(ctx context.Context, db *sql.DB) error {
	// 1. The tables are those of their schema.
	if err := checkSchema(ctx, db, int(r.version)); err != nil {
		return err
	}
	// 2. The log fits its newest checkpoint, and is no older than its mark.
	started, err := newestStartup(ctx, db)
	if err != nil {
		return err
	}
	r.log, err = audit.Read(ctx, db, audit.Config{Station: r.config.Station, Now: r.config.Now, Random: r.config.Random,
		Seek: typeStartup, SeekFrom: started + 1, Beyond: r.beyond})
	if err != nil {
		return err
	}
	if err := r.compareMark(ctx, db); err != nil {
		return err
	}
	// 3. Nobody changed a row that a start changes.
	if err := compareStartup(r.version, started, r.log.Sought()); err != nil {
		return err
	}
	if err := compareArchives(ctx, db, r.version); err != nil {
		return err
	}
	if err := compareProfiles(ctx, db, r.version); err != nil {
		return err
	}
	if err := stillOpen(ctx, db); err != nil {
		return err
	}
	return keptBays(ctx, db, r.version)
}

func (r *Registry) openReader(ctx context.Context) (err error) {
	r.Reader, err = OpenReader(ctx, r.config.Path)
	return err
}

// Begin writes what a start writes: what an operator accepted, the migration of an older
// registry, the ends of what the last process left open, and the entry of the start. A registry that
// Covers refused does not begin. A second call does nothing, and returns what the first one returned. A
// call whose ctx has ended begins nothing. Later ctx cuts nothing, because a start has no half.
func (r *Registry) Begin(ctx context.Context) error {
	r.beginning.Lock()
	defer r.beginning.Unlock()
	if r.begun || r.refused != nil {
		return cmp.Or(r.refused, r.unbegun)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("opening registry %s: %w", r.config.Path, err)
	}
	ctx = context.WithoutCancel(ctx)
	r.begun = true
	for _, stage := range []func(context.Context) error{r.attach, r.acceptClock, r.migrate, r.keepWatch, r.openMarkThatFits, r.recover, r.openMark} {
		if err := stage(ctx); err != nil {
			r.unbegun = fmt.Errorf("opening registry %s: %w", r.config.Path, err)
			break
		}
	}
	return r.unbegun
}

// isBegun reports whether entries can be written.
func (r *Registry) isBegun() bool {
	r.beginning.Lock()
	defer r.beginning.Unlock()
	return r.begun && r.unbegun == nil
}

// Waits reports whether the registry waits for Begin. A registry that Covers refused waits for nothing.
func (r *Registry) Waits() bool {
	r.beginning.Lock()
	defer r.beginning.Unlock()
	return !r.begun && r.refused == nil
}

// Begun reports whether Begin was called.
func (r *Registry) Begun() bool {
	r.beginning.Lock()
	defer r.beginning.Unlock()
	return r.begun
}

// IsOlder reports whether Begin migrates the registry.
func (r *Registry) IsOlder() bool { return r.version < schemaVersion }

// attach opens the connection that writes. The files are still those that were compared.
func (r *Registry) attach(ctx context.Context) error {
	if r.writer != nil {
		return nil
	}
	if err := r.files.check(); err != nil {
		return err
	}
	if err := r.connect(ctx); err != nil {
		return err
	}
	conn, err := r.pool.Conn(ctx)
	if err != nil {
		return named(err)
	}
	if err := r.log.AppendTo(ctx, conn); err != nil {
		return errors.Join(err, conn.Close())
	}
	r.writer = newWriter(conn, r.log, r.acts, &r.orders)
	return nil
}

// keepWatch watches the files from now on, which are still those that were compared.
func (r *Registry) keepWatch(context.Context) error {
	if err := r.files.committed(); err != nil {
		return err
	}
	r.writer.watch = r.files
	return r.files.remember()
}

// openMarkThatFits makes the mark anew, from where on each commit brings it up to date. A mark that
// the log does not fit stays until the acceptance is on record.
func (r *Registry) openMarkThatFits(ctx context.Context) error {
	if len(r.accepted) > 0 {
		return nil
	}
	return r.openMark(ctx)
}
