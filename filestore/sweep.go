package filestore

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/atomicfile"
)

// sweep removes the temporary files of processes that were killed in the middle
// of a write. It does what it can: they are in nobody's way.
func (s *Store) sweep() {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		target, ok := atomicfile.Target(entry.Name())
		if !ok || !entry.Type().IsRegular() {
			continue
		}
		if strings.HasSuffix(target, instanceFile) {
			s.removeOld(entry)
			continue
		}
		name, isRecord := strings.CutSuffix(target, recordFile)
		if !isRecord {
			var isHistory bool
			if name, isHistory = strings.CutSuffix(target, historyFile); !isHistory {
				continue
			}
		}
		if coordinator.CheckName(name) == nil {
			s.removeLeftover(name, entry.Name())
		}
	}
}

// removeLeftover removes a temporary file of name. Its writer would hold the
// guard, so whoever has the guard knows that there is no writer.
func (s *Store) removeLeftover(name, temp string) {
	guard := flock.New(s.path(name, guardFile))
	if locked, err := guard.TryLock(); err != nil || !locked {
		return
	}
	defer guard.Unlock()
	os.Remove(filepath.Join(s.dir, temp))
}

// removeOld removes a temporary file that no writer can be at any more.
func (s *Store) removeOld(entry os.DirEntry) {
	if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > coordinator.InstanceLifetime {
		os.Remove(filepath.Join(s.dir, entry.Name()))
	}
}
