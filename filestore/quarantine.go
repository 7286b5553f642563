package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/atomicfile"
)

// asideFile is what the ending of a damaged record file is followed by, once it
// was put aside.
const asideFile = recordFile + ".damaged-"

// maxAside bounds the files that are put aside of one name: a disk that damages
// more than that needs somebody to look at it.
const maxAside = 10

// Quarantine implements [coordinator.Quarantiner]. The damaged NAME.json is
// renamed to NAME.json.damaged-TIME, and never removed.
func (s *Store) Quarantine(ctx context.Context, name string) (where string, err error) {
	if err := begin(ctx, name); err != nil {
		return "", err
	}
	unlock, err := s.guard(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := s.read(name); !errors.Is(err, coordinator.ErrBadRecord) {
		return "", err // another process was faster, or it is a case for somebody else
	}
	kept, err := s.countAside(name)
	switch {
	case err != nil:
		return "", s.explain("read the folder", err)
	case kept >= maxAside:
		return "", fmt.Errorf("filestore: folder %s: there are %d damaged records of %s already: check the disk, then remove them", s.dir, kept, name)
	}
	where = s.path(name, asideFile+time.Now().UTC().Format("20060102T150405.000000000Z"))
	if err := os.Rename(s.path(name, recordFile), where); err != nil {
		return "", s.explain("put the damaged record of "+name+" aside", err)
	}
	if err := atomicfile.SyncDir(s.dir); err != nil {
		return where, s.explain("sync the folder", err)
	}
	return where, nil
}

func (s *Store) countAside(name string) (int, error) {
	entries, err := os.ReadDir(s.dir)
	n := 0
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), name+asideFile) {
			n++
		}
	}
	return n, err
}
