package sealedstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/filestore"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/mintonce/mintonce/sealedstore"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis writes what it cannot reach to stderr
	goleak.VerifyTestMain(m)
}

var (
	_ coordinator.Wrapper    = (*sealedstore.Store)(nil)
	_ coordinator.BulkLoader = (*sealedstore.Store)(nil)
)

func newKeys(t testing.TB) *sealedstore.Keys {
	t.Helper()
	keys, err := sealedstore.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestStoreInMemory(t *testing.T) {
	storetest.RunWithin(t, synctest.Test, func(t testing.TB) storetest.Fixture {
		m := storetest.NewMemory()
		store := sealedstore.New(m, newKeys(t))
		return storetest.Fixture{
			Open:     func(testing.TB) coordinator.Store { return store },
			WriteRaw: func(_ testing.TB, name string, fields map[string]string) { m.WriteRaw(name, fields) },
			Flush:    func(testing.TB) { m.Flush() },
			DropLock: func(_ testing.TB, name string) { m.DropLock(name) },
		}
	})
}

func openFiles(t testing.TB, dir string) *filestore.Store {
	t.Helper()
	s, err := filestore.New(dir, filestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStore is the conformance on files.
func TestStore(t *testing.T) {
	keys := newKeys(t)
	storetest.Run(t, func(t testing.TB) storetest.Fixture {
		dir := t.TempDir()
		return storetest.Fixture{
			Open: func(t testing.TB) coordinator.Store { return sealedstore.New(openFiles(t, dir), keys) },
			Flush: func(t testing.TB) {
				records, err := filepath.Glob(filepath.Join(dir, "*.json"))
				for _, path := range records {
					err = errors.Join(err, os.Remove(path))
				}
				if err != nil {
					t.Fatal(err)
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

func dial(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	client, err := redisstore.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestStoreOnRedis(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	server := redistest.Start(t)
	var mu sync.Mutex
	t.Run("group", func(t *testing.T) { // ends after its parallel subtests
		db := 0
		storetest.Run(t, func(t testing.TB) storetest.Fixture {
			mu.Lock()
			defer mu.Unlock()
			db++
			prefix := fmt.Sprint("check", db)
			return storetest.Fixture{
				Open: func(t testing.TB) coordinator.Store {
					return sealedstore.New(redisstore.New(dial(t, server.URL()), redisstore.Config{Prefix: prefix}), keys)
				},
				WriteRaw: func(t testing.TB, name string, fields map[string]string) {
					client, key := dial(t, server.URL()), prefix+":{"+name+"}"
					if err := errors.Join(client.Del(t.Context(), key).Err(), client.HSet(t.Context(), key, fields).Err()); err != nil {
						t.Fatal(err)
					}
				},
				DropLock: func(t testing.TB, name string) {
					if err := dial(t, server.URL()).Del(t.Context(), prefix+":{"+name+"}:lock").Err(); err != nil {
						t.Fatal(err)
					}
				},
			}
		})
	})
}
