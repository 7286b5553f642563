package filestore

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/mintonce/mintonce/coordinator"
)

// Names implements [coordinator.Lister].
func (s *Store) Names(ctx context.Context) (names []string, all bool, err error) {
	if ctx.Err() != nil {
		return nil, false, nil
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, false, s.explain("list the records", err)
	}
	for _, entry := range entries {
		if name, isRecord := strings.CutSuffix(entry.Name(), recordFile); isRecord && coordinator.CheckName(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names) // the files are sorted with their endings
	return names, true, nil
}
