package sealedstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/sealedstore"
)

// FuzzOpen: whatever stands in the store, opening it ends with a record, or an
// error of one line, and never with something that was not sealed.
func FuzzOpen(f *testing.F) {
	keys := newKeys(f)
	f.Add("sealed:1:AAAA")
	f.Add("sealed:" + keys.Primary() + ":AAAA")
	f.Add("sealed:" + keys.Primary() + ":")
	f.Add("sealed:")
	f.Add("92_token")
	f.Add("sealed:" + keys.Primary() + ":" + strings.Repeat("A", 1000))
	f.Fuzz(func(t *testing.T, value string) {
		if value == "" {
			return
		}
		memory := storetest.NewMemory()
		now := time.Now()
		r := coordinator.Record{}.Child(coordinator.NewStamp(coordinator.Record{}, now))
		r.Grant = coordinator.Grant{Value: value, Generation: 1, IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
		memory.WriteRaw("shop", r.Fields())
		got, _, err := sealedstore.New(memory, keys).Load(t.Context(), "shop")
		switch {
		case err != nil:
			if !errors.Is(err, coordinator.ErrBadRecord) || got.Exists() || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%v, %v", got, err)
			}
		case got.Grant.Value != value:
			t.Errorf("%q was opened, though nobody sealed it", value)
		case strings.HasPrefix(value, coordinator.SealedPrefix+keys.Primary()+":"):
			t.Errorf("%q was taken for a token", value)
		}
	})
}

// BenchmarkLoad shows what opening costs, beside the same store without it.
func BenchmarkLoad(b *testing.B) {
	memory, keys := storetest.NewMemory(), newKeys(b)
	sealed := sealedstore.New(memory, keys)
	now := time.Now()
	r := coordinator.Record{}.Child(coordinator.NewStamp(coordinator.Record{}, now))
	r.Grant = coordinator.Grant{Value: strings.Repeat("x", 136), Generation: 1, IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
	if _, err := memory.Swap(b.Context(), "plain", coordinator.Stamp{}, r); err != nil {
		b.Fatal(err)
	}
	if _, err := sealed.Swap(b.Context(), "sealed", coordinator.Stamp{}, r); err != nil {
		b.Fatal(err)
	}
	for name, store := range map[string]coordinator.Store{"plain": memory, "sealed": sealed} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if got, _, err := store.Load(b.Context(), name); err != nil || got.Grant.Value != r.Grant.Value {
					b.Fatal(got, err)
				}
			}
		})
	}
}
