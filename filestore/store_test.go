package filestore_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/filestore"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("FILESTORE_TEST_ROLE"); role != "" {
		os.Exit(play(role))
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, dir string) *filestore.Store {
	t.Helper()
	s, err := filestore.New(dir, filestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Fixture {
		dir := t.TempDir()
		return storetest.Fixture{
			Open: func(t testing.TB) coordinator.Store { return open(t, dir) },
			Flush: func(t testing.TB) {
				records, err := filepath.Glob(filepath.Join(dir, "*.json"))
				if err != nil {
					t.Fatal(err)
				}
				for _, path := range records {
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
				}
			},
			WriteRaw: func(t testing.TB, name string, fields map[string]string) {
				data, err := json.Marshal(fields)
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, name+".json"), data, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}
