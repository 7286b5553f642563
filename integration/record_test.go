package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mintonce/mintonce/coordinator"
)

// Keys as the design fixes them.
const (
	recordKey  = "mintonce:{shop}"
	lockKey    = "mintonce:{shop}:lock"
	historyKey = "mintonce:{shop}:history"
)

// client is for looking at Redis from outside.
func (w *world) client() redis.UniversalClient {
	if w.cluster != nil {
		return w.clusterClient()
	}
	c := redis.NewClient(&redis.Options{Addr: w.redis.Addr(), Password: w.password})
	w.t.Cleanup(func() { c.Close() })
	return c
}

// onRedis reports whether the store is one, and not a folder.
func (w *world) onRedis() bool { return len(w.servers()) > 0 }

// record is the record of shop, one field per fact; empty if there is none.
func (w *world) record(client redis.UniversalClient) (map[string]string, error) {
	if w.onRedis() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return client.HGetAll(ctx, recordKey).Result()
	}
	data, err := os.ReadFile(filepath.Join(w.folders[0], "shop.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var fields map[string]string
	return fields, errors.Join(err, json.Unmarshal(data, &fields))
}

// holder is the instance that holds the lock, or empty.
func (w *world) holder(client redis.UniversalClient) string {
	if w.onRedis() {
		value, _ := client.Get(context.Background(), lockKey).Result()
		return value[:max(0, strings.LastIndexByte(value, '/'))]
	}
	data, _ := os.ReadFile(filepath.Join(w.folders[0], "shop.lock"))
	return strings.TrimSpace(string(data))
}

// atRest waits until nothing is under way or in doubt, and the record holds the
// very token that the provider has minted last. It returns the record.
func (w *world) atRest(client redis.UniversalClient) map[string]string {
	w.t.Helper()
	var record map[string]string
	eventually(w.t, "the record is at rest and agrees with the provider", func() (err error) {
		if record, err = w.record(client); err != nil {
			return err
		}
		return errors.Join(
			expect("attempts", record["attempts"], ""),
			expect("doubt_at", record["doubt_at"], ""),
			expect("the token", coordinator.Fingerprint(record["value"]), w.provider.newest()),
		)
	})
	return record
}

// wantField fails the test unless a field of the record has this value.
func wantField(t testing.TB, record map[string]string, field, want string) {
	t.Helper()
	if record[field] != want {
		t.Errorf("field %s of the record is %q, want %q", field, record[field], want)
	}
}

// lookingClient is client, or nil in a world of files.
func (w *world) lookingClient() redis.UniversalClient {
	if !w.onRedis() {
		return nil
	}
	return w.client()
}
