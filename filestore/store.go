package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/atomicfile"
	"github.com/mintonce/mintonce/internal/roster"
)

// Config tunes a Store. The zero value works.
type Config struct {
	// History is how many entries of history are kept of each name, or fewer
	// if they take more than 2 MB. Default 1000, at most 10,000; 0 means the
	// default, and -1 keeps none.
	History int
}

const defaultHistory, maxHistory = 1000, 10_000

// Store keeps records in a folder. It implements coordinator.Store, Watcher,
// Historian, LockInspector, Lister, Roster and Quarantiner. It is safe for
// concurrent use, by any number of processes of one machine, and needs no closing:
// it keeps nothing open but while a lock is held or a name is watched.
type Store struct {
	dir     string
	history int // entries; 0 keeps none
	news    news
	roster  roster.Announcer
}

var (
	_ coordinator.Store         = (*Store)(nil)
	_ coordinator.Watcher       = (*Store)(nil)
	_ coordinator.Historian     = (*Store)(nil)
	_ coordinator.LockInspector = (*Store)(nil)
	_ coordinator.Lister        = (*Store)(nil)
	_ coordinator.Roster        = (*Store)(nil)
	_ coordinator.Quarantiner   = (*Store)(nil)
)

// The kinds of files, by the end of their names. A credential may be named
// "shop.json": that is why each kind has an ending.
const (
	recordFile  = ".json"
	historyFile = ".history"
	lockFile    = ".lock"
	guardFile   = ".guard"
)

// New returns a Store in the folder dir, which it creates with permissions 0700
// if it is missing. It fails if the folder cannot be written, and removes
// temporary files that killed processes left in it.
func New(dir string, cfg Config) (*Store, error) {
	switch {
	case dir == "":
		return nil, errors.New("filestore: dir is empty: name a folder")
	case cfg.History < -1 || cfg.History > maxHistory:
		return nil, fmt.Errorf("filestore: Config.History is %d: it must be from -1 to %d", cfg.History, maxHistory)
	case cfg.History == 0:
		cfg.History = defaultHistory
	}
	path, err := filepath.Abs(dir) // the process may change its folder later
	if err != nil {
		return nil, fmt.Errorf("filestore: folder %s: %w; name it by its whole path", dir, err)
	}
	s := &Store{dir: path, history: max(0, cfg.History)}
	s.news.dir = path
	s.roster.Backend = announcing{s}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, s.explain(createFolder, err)
	}
	if err := s.probe(); err != nil {
		return nil, s.explain("write to the folder", err)
	}
	s.sweep()
	return s, nil
}

// probe finds out whether files can be written, renamed and synced.
func (s *Store) probe() error {
	f, err := os.CreateTemp(s.dir, "probe"+recordFile+".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.WriteString("mintonce\n"); err != nil {
		return err
	}
	if err := f.Sync(); err != nil { // some file systems find out only now that they are full
		return err
	}
	return atomicfile.SyncDir(s.dir)
}

// path returns the file of this kind for name.
func (s *Store) path(name, kind string) string { return filepath.Join(s.dir, name+kind) }

// begin checks what every method checks first.
func begin(ctx context.Context, name string) error {
	if err := coordinator.CheckName(name); err != nil {
		return err
	}
	return ctx.Err()
}

// Load implements [coordinator.Store]. It takes no lock. The clock is that of
// the machine.
func (s *Store) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	if err := begin(ctx, name); err != nil {
		return coordinator.Record{}, time.Time{}, err
	}
	stored, err := s.read(name)
	if err != nil {
		return coordinator.Record{}, time.Time{}, err
	}
	return stored.record, now(), nil
}

// Swap implements [coordinator.Store].
func (s *Store) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	if err := begin(ctx, name); err != nil {
		return time.Time{}, err
	}
	if !next.Exists() {
		return time.Time{}, fmt.Errorf("filestore: record of %s: has no stamp to write it with; make it with Record.Child", name)
	}
	unlock, err := s.guard(ctx, name)
	if err != nil {
		return time.Time{}, err
	}
	defer unlock()
	stored, err := s.read(name)
	if err != nil {
		return time.Time{}, err
	}
	switch stored.record.Stamp() {
	case next.Stamp():
		// The write before may have failed at the very last: syncing the folder.
		if err := atomicfile.SyncDir(s.dir); err != nil {
			return time.Time{}, s.explain("sync the folder", err)
		}
		return now(), nil
	case old:
	default:
		return time.Time{}, coordinator.ErrConflict
	}
	// The record that is replaced may be all that holds its events.
	if err := s.log(name, stored); err != nil {
		return time.Time{}, err
	}
	stored = content{record: next}
	if s.history > 0 {
		stored.events = events
	}
	if err := s.write(name, stored); err != nil {
		return time.Time{}, err
	}
	s.log(name, stored) // if it fails, the next Swap or Append makes up for it
	return now(), nil
}

// now is the machine's clock, as whoever reads it from a file would have it:
// without the monotonic reading, which means nothing to other processes.
func now() time.Time { return time.Now().Round(0).UTC() }
