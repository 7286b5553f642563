package filestore

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/atomicfile"
	"github.com/mintonce/mintonce/internal/roster"
)

// instanceFile is the ending of the file that says that a process is alive. Its
// name is the instance's ID, its modification time when it was last heard of.
const instanceFile = ".instance"

// maxInstanceSize is far above what an instance takes.
const maxInstanceSize = 4 << 10

// Join implements [coordinator.Roster]: every 15 seconds, the time of a file is
// set.
func (s *Store) Join(p coordinator.Participant) (leave func()) { return s.roster.Join(p) }

// Instances implements [coordinator.Roster]. It removes the files of processes
// that were not heard of for long.
func (s *Store) Instances(ctx context.Context) ([]coordinator.Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, s.explain("list the instances", err)
	}
	var found []coordinator.Instance
	for _, entry := range entries {
		id, ok := strings.CutSuffix(entry.Name(), instanceFile)
		if !ok {
			continue
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		path := filepath.Join(s.dir, entry.Name())
		// A clock that was set back must not keep the dead alive.
		if age := time.Since(info.ModTime()); age >= coordinator.InstanceLifetime || age <= -coordinator.InstanceLifetime {
			os.Remove(path)
			continue
		}
		data, err := readUpTo(path, maxInstanceSize)
		var i coordinator.Instance
		if err != nil || json.Unmarshal(data, &i) != nil || i.ID != id {
			continue // it is for people: what cannot be read is left out
		}
		i.Seen = info.ModTime().UTC()
		found = append(found, i)
	}
	return roster.Alive(found), nil
}

// announcing is the roster.Backend of a Store.
type announcing struct{ *Store }

func (s announcing) path(i coordinator.Instance) string {
	return filepath.Join(s.dir, i.ID+instanceFile)
}

func (s announcing) Now(context.Context) (time.Time, error) { return now(), nil }

func (s announcing) Announce(_ context.Context, i, before coordinator.Instance) error {
	if i == before {
		now := now()
		if err := os.Chtimes(s.path(i), now, now); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return atomicfile.Write(s.path(i), encode(i, ""))
}

func (s announcing) Withdraw(_ context.Context, i coordinator.Instance) error {
	return os.Remove(s.path(i))
}
