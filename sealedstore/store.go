package sealedstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// Store is a coordinator.Store whose tokens are sealed. It is safe for
// concurrent use, and a coordinator.Wrapper: hints, history and what else the
// store around which it is can do are found past it.
type Store struct {
	coordinator.Store
	keys atomic.Pointer[Keys]
}

// New returns store with its tokens sealed by keys.
func New(store coordinator.Store, keys *Keys) *Store {
	s := &Store{Store: store}
	s.keys.Store(keys)
	return s
}

// Use takes other keys from now on, such as those of a file that has changed.
func (s *Store) Use(keys *Keys) { s.keys.Store(keys) }

// Keys returns the keys in use.
func (s *Store) Keys() *Keys { return s.keys.Load() }

// Unwrap implements coordinator.Wrapper.
func (s *Store) Unwrap() coordinator.Store { return s.Store }

// Load implements coordinator.Store.
func (s *Store) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	record, now, err := s.Store.Load(ctx, name)
	if err == nil {
		err = s.open(name, &record)
	}
	if err != nil {
		return coordinator.Record{}, time.Time{}, err
	}
	return record, now, nil
}

// LoadAll implements coordinator.BulkLoader.
func (s *Store) LoadAll(ctx context.Context, names []string) ([]coordinator.Loaded, error) {
	all, err := coordinator.LoadAll(ctx, s.Store, names)
	if err != nil {
		return nil, err
	}
	for i := range all[:min(len(all), len(names))] {
		if all[i].Err != nil {
			continue
		}
		if err := s.open(names[i], &all[i].Record); err != nil {
			all[i] = coordinator.Loaded{Err: err}
		}
	}
	return all, nil
}

// Swap implements coordinator.Store.
func (s *Store) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	if key := next.SealedBy(); key != "" {
		return time.Time{}, &coordinator.SealedError{Name: name, Key: key} // what is sealed cannot be written by who has not opened it
	}
	keys := s.keys.Load()
	next.Spares = slices.Clone(next.Spares) // which are the caller's
	for _, secret := range secrets(&next) {
		sealed, err := keys.seal(name, secret.field, *secret.text)
		if err != nil {
			return time.Time{}, err
		}
		*secret.text = sealed
	}
	return s.Store.Swap(ctx, name, old, next, events...)
}

// secret is a text that is sealed, and the field that it is in.
type secret struct {
	field string
	text  *string
}

// secrets are all of r.
func secrets(r *coordinator.Record) []secret {
	all := []secret{{"value", &r.Grant.Value}, {"source_state", &r.Grant.State}}
	for i := range r.Spares {
		all = append(all, secret{"spare_states", &r.Spares[i]})
	}
	return all
}

// open opens what is sealed with a key that there is. The rest stays.
func (s *Store) open(name string, r *coordinator.Record) error {
	keys := s.keys.Load()
	for _, secret := range secrets(r) {
		opened, err := keys.open(name, secret.field, *secret.text)
		if err != nil {
			return err
		}
		*secret.text = opened
	}
	return nil
}

// binding is the associated data of a field.
func binding(name, field string) []byte {
	return []byte("mintonce sealed\x00" + name + "\x00" + field)
}

func (k *Keys) seal(name, field, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	sealed, err := k.aead.Encrypt([]byte(text), binding(name, field))
	if err != nil {
		return "", fmt.Errorf("sealedstore: the token of %s cannot be sealed with key %s", name, k.primary)
	}
	return coordinator.SealedPrefix + k.primary + ":" + base64.RawURLEncoding.EncodeToString(sealed), nil
}

func (k *Keys) open(name, field, text string) (string, error) {
	rest, sealed := strings.CutPrefix(text, coordinator.SealedPrefix)
	key, code, _ := strings.Cut(rest, ":")
	if !sealed || !k.known[key] {
		return text, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(code)
	if err == nil {
		data, err = k.aead.Decrypt(data, binding(name, field))
	}
	if err != nil {
		return "", fmt.Errorf("%w: field %s of %s does not open with its key %s: it was changed, or comes from another record", coordinator.ErrBadRecord, field, name, key)
	}
	return string(data), nil
}
