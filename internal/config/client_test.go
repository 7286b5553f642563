package config_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/mintonce/mintonce/internal/config"
)

func TestByKey(t *testing.T) {
	hash := func(key string) string {
		sum := sha256.Sum256([]byte(key))
		return hex.EncodeToString(sum[:])
	}
	clients := []config.Client{{Name: "a", KeySHA256: hash("key-a")}, {Name: "b", KeySHA256: hash("key-b")}}
	for key, want := range map[string]string{"key-a": "a", "key-b": "b", "key-c": "", "": "", hash("key-a"): ""} {
		got := ""
		if client := config.ByKey(clients, key); client != nil {
			got = client.Name
		}
		if got != want {
			t.Errorf("key %q is that of %q, want %q", key, got, want)
		}
	}
}
