package sealedstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/mintonce/mintonce/sealedstore"
)

// source mints tokens with a state, one after the other.
type source struct{ mints int }

func (s *source) Traits() coordinator.Traits {
	return coordinator.Traits{Kind: coordinator.Rotating, Credential: "test:1", Overlap: time.Minute}
}

func (s *source) Mint(_ context.Context, prev coordinator.Token) (coordinator.Token, error) {
	if s.mints > 0 && prev.State() != fmt.Sprintf("REFRESH-secret-%d", s.mints) {
		return coordinator.Token{}, fmt.Errorf("mint %d with the state of length %d", s.mints+1, len(prev.State()))
	}
	s.mints++
	return coordinator.NewToken(fmt.Sprintf("ACCESS-secret-%d", s.mints), time.Now().Add(2*time.Hour)).WithState(fmt.Sprintf("REFRESH-secret-%d", s.mints)), nil
}

func newCoordinator(t testing.TB, source coordinator.Source, store coordinator.Store, cfg coordinator.Config) *coordinator.Coordinator {
	t.Helper()
	c, err := coordinator.New("shop", source, store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func token(t testing.TB, c *coordinator.Coordinator) string {
	t.Helper()
	tok, err := c.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tok.Value
}

func raw(t testing.TB, store coordinator.Store) coordinator.Grant {
	t.Helper()
	r, _, err := store.Load(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	return r.Grant
}

// wantSealed wants both secrets of the raw grant sealed by a key, and nothing
// of them to be seen.
func wantSealed(t testing.TB, g coordinator.Grant, key string) {
	t.Helper()
	for _, text := range []string{g.Value, g.State} {
		if !strings.HasPrefix(text, "sealed:"+key+":") || strings.Contains(text, "secret") {
			t.Errorf("stored as %.40q, want it sealed by key %s", text, key)
		}
	}
}

func TestSealsAndOpens(t *testing.T) {
	memory, keys := storetest.NewMemory(), newKeys(t)
	c := newCoordinator(t, &source{}, sealedstore.New(memory, keys), coordinator.Config{Instance: "one"})
	if got := token(t, c); got != "ACCESS-secret-1" {
		t.Errorf("token %q", got)
	}
	wantSealed(t, raw(t, memory), keys.Primary())
	first := raw(t, memory)
	if _, err := c.Rotate(t.Context()); err != nil { // with the state
		t.Fatal(err)
	}
	if second := raw(t, memory); second.Value == first.Value || second.State == first.State {
		t.Error("two sealed tokens look alike")
	}
	r, _, _ := memory.Load(t.Context(), "shop")
	if want := coordinator.Fingerprint("ACCESS-secret-1"); r.Previous.Fingerprint != want {
		t.Errorf("the fingerprint of the token before is %s, want %s", r.Previous.Fingerprint, want)
	}
	other := newCoordinator(t, nil, sealedstore.New(memory, keys), coordinator.Config{NeverMint: true})
	if got := token(t, other); got != "ACCESS-secret-2" {
		t.Errorf("another process reads %q", got)
	}
	st, err := other.Status(t.Context())
	if err != nil || st.Fingerprint != coordinator.Fingerprint("ACCESS-secret-2") || st.SealedBy != "" || len(st.History) == 0 {
		t.Errorf("status %+v, %v", st, err)
	}
}

// Whoever has no key is told everything but the token, and changes nothing.
func TestWithoutTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, keys := storetest.NewMemory(), newKeys(t)
		minter := newCoordinator(t, &source{}, sealedstore.New(memory, keys), coordinator.Config{Instance: "one"})
		token(t, minter)
		before, _, _ := memory.Load(t.Context(), "shop")
		for name, store := range map[string]coordinator.Store{
			"another key": sealedstore.New(memory, newKeys(t)),
			"no keys":     memory,
		} {
			time.Sleep(3 * time.Hour) // it expires, too
			other := &source{}
			c := newCoordinator(t, other, store, coordinator.Config{Instance: "two", MaxWait: 5 * time.Second})
			_, err := c.Token(t.Context())
			var sealed *coordinator.SealedError
			if !errors.As(err, &sealed) || sealed.Key != keys.Primary() || sealed.Name != "shop" || !strings.Contains(err.Error(), "key file") {
				t.Errorf("%s: %v, want a SealedError with the missing key and the remedy", name, err)
			}
			if _, err := c.Rotate(t.Context()); !errors.Is(err, coordinator.ErrSealed) {
				t.Errorf("%s: Rotate: %v", name, err)
			}
			if err := c.Report(t.Context(), "ACCESS-secret-1", nil); !errors.Is(err, coordinator.ErrSealed) {
				t.Errorf("%s: Report: %v", name, err)
			}
			st, err := c.Status(t.Context())
			if err != nil || st.SealedBy != keys.Primary() || st.Fingerprint != "" || st.MintedBy != "one" || len(st.History) == 0 {
				t.Errorf("%s: status %+v, %v", name, st, err)
			}
			group, err := coordinator.NewGroup(store, func(string) (coordinator.Source, error) { return other, nil }, coordinator.GroupConfig{})
			if err == nil {
				err = group.Keep("shop")
			}
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if err := group.Run(ctx); err != nil {
				t.Error(err)
			}
			cancel()
			if other.mints != 0 {
				t.Errorf("%s: minted %d times", name, other.mints)
			}
		}
		if after, _, _ := memory.Load(t.Context(), "shop"); after.Stamp() != before.Stamp() || after.Grant != before.Grant {
			t.Errorf("the record was changed from %v to %v", before, after)
		}
		// With the key, it goes on.
		if got := token(t, minter); got != "ACCESS-secret-2" {
			t.Errorf("token %q", got)
		}
	})
}

// A group loads in bulk, and must not take what is sealed for a token.
func TestGroupWithoutTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		token(t, newCoordinator(t, &source{}, sealedstore.New(memory, newKeys(t)), coordinator.Config{Instance: "one"}))
		for name, store := range map[string]coordinator.Store{"another key": sealedstore.New(memory, newKeys(t)), "no keys": memory} {
			other := &source{}
			group, err := coordinator.NewGroup(store, func(string) (coordinator.Source, error) { return other, nil }, coordinator.GroupConfig{Config: coordinator.Config{MaxWait: time.Second}})
			if err == nil {
				err = group.Keep("shop")
			}
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- group.Run(ctx) }()
			time.Sleep(time.Minute)
			if got, err := group.Token(t.Context(), "shop"); !errors.Is(err, coordinator.ErrSealed) || got.Value != "" || other.mints != 0 {
				t.Errorf("%s: %v, %v after %d mints; want ErrSealed", name, got, err, other.mints)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}

// A process that loses its key goes on serving what it has.
func TestServesWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, keys := storetest.NewMemory(), newKeys(t)
		next, err := keys.Add()
		if err == nil {
			next, err = next.Promote()
		}
		if err != nil {
			t.Fatal(err)
		}
		shared := &source{}
		old := sealedstore.New(memory, keys)
		behind := newCoordinator(t, shared, old, coordinator.Config{Instance: "behind"})
		ahead := newCoordinator(t, shared, sealedstore.New(memory, next), coordinator.Config{Instance: "ahead"})
		token(t, behind)
		if _, err := ahead.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // with looks in between
		if got := token(t, behind); got != "ACCESS-secret-1" {
			t.Errorf("token %q", got)
		}
		if shared.mints != 2 {
			t.Errorf("%d mints", shared.mints)
		}
		old.Use(next)
		time.Sleep(time.Minute)
		token(t, behind) // starts a look
		time.Sleep(time.Second)
		if got := token(t, behind); got != "ACCESS-secret-2" {
			t.Errorf("token %q with the new keys", got)
		}
	})
}

func TestUnsealedRecordsAreSealedByTheNextWrite(t *testing.T) {
	memory, keys, shared := storetest.NewMemory(), newKeys(t), &source{}
	plain := newCoordinator(t, shared, memory, coordinator.Config{Instance: "one"})
	token(t, plain)
	if g := raw(t, memory); g.Value != "ACCESS-secret-1" {
		t.Fatalf("stored as %q", g.Value)
	}
	c := newCoordinator(t, shared, sealedstore.New(memory, keys), coordinator.Config{Instance: "two", MinimumAge: -1})
	if got := token(t, c); got != "ACCESS-secret-1" || shared.mints != 1 {
		t.Errorf("token %q after %d mints", got, shared.mints)
	}
	if _, err := c.Rotate(t.Context()); err != nil || shared.mints != 2 {
		t.Fatal(err, shared.mints)
	}
	wantSealed(t, raw(t, memory), keys.Primary())
}

func TestRotationOfKeys(t *testing.T) {
	memory, one := storetest.NewMemory(), newKeys(t)
	two, err := one.Add()
	if err != nil {
		t.Fatal(err)
	}
	if two.Primary() != one.Primary() || len(two.Names()) != 2 {
		t.Errorf("%v after Add to %v", two, one)
	}
	three, err := two.Promote()
	if err != nil || three.Primary() == one.Primary() {
		t.Fatal(three, err)
	}
	shared := &source{}
	store := sealedstore.New(memory, one)
	c := newCoordinator(t, shared, store, coordinator.Config{Instance: "one"})
	token(t, c)
	wantSealed(t, raw(t, memory), one.Primary())
	store.Use(three)
	// Whoever has the key that was added reads what the promoted one seals.
	if _, err := c.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSealed(t, raw(t, memory), three.Primary())
	reader := newCoordinator(t, nil, sealedstore.New(memory, two), coordinator.Config{NeverMint: true})
	if got := token(t, reader); got != "ACCESS-secret-2" {
		t.Errorf("a process that has not got the promotion reads %q", got)
	}
	four, err := three.Drop(one.Primary())
	if err != nil {
		t.Fatal(err)
	}
	if got := token(t, newCoordinator(t, nil, sealedstore.New(memory, four), coordinator.Config{NeverMint: true})); got != "ACCESS-secret-2" {
		t.Errorf("without the old key: %q", got)
	}
}

// A sealed text opens only where it was sealed.
func TestCopiedAndChangedTexts(t *testing.T) {
	memory, keys := storetest.NewMemory(), newKeys(t)
	store := sealedstore.New(memory, keys)
	token(t, newCoordinator(t, &source{}, store, coordinator.Config{Instance: "one"}))
	r, _, err := memory.Load(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	fields := r.Fields()
	changed := func(change func(map[string]string)) map[string]string {
		copied := make(map[string]string)
		for k, v := range fields {
			copied[k] = v
		}
		change(copied)
		return copied
	}
	for name, f := range map[string]map[string]string{
		"of another record": changed(func(map[string]string) {}),
		"of another field":  changed(func(m map[string]string) { m["value"] = m["source_state"] }),
		"cut short":         changed(func(m map[string]string) { m["value"] = m["value"][:len(m["value"])-4] }),
		"not base64":        changed(func(m map[string]string) { m["value"] = "sealed:" + keys.Primary() + ":*" }),
		"empty":             changed(func(m map[string]string) { m["value"] = "sealed:" + keys.Primary() + ":" }),
	} {
		record := "shop"
		if name == "of another record" {
			record = "other"
		}
		memory.WriteRaw(record, f)
		got, _, err := store.Load(t.Context(), record)
		if !errors.Is(err, coordinator.ErrBadRecord) || got.Exists() || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, %v; want ErrBadRecord", name, got, err)
		}
		all, err := store.LoadAll(t.Context(), []string{record})
		if err != nil || !errors.Is(all[0].Err, coordinator.ErrBadRecord) || all[0].Record.Exists() {
			t.Errorf("%s: LoadAll %v, %v", name, all, err)
		}
		shared := &source{}
		c, err := coordinator.New(record, shared, store, coordinator.Config{Instance: "two"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Token(t.Context()); !errors.Is(err, coordinator.ErrBadRecord) || shared.mints > 0 {
			t.Errorf("%s: Token %v after %d mints", name, err, shared.mints)
		}
		if after, _, err := memory.Load(t.Context(), record); err != nil || after.Fields()["value"] != f["value"] {
			t.Errorf("%s: the record was overwritten (%v)", name, err)
		}
	}
}

func TestFallbackIsSealed(t *testing.T) {
	dir, keys, shared := t.TempDir(), newKeys(t), &source{}
	memory := storetest.NewMemory()
	with := func(keys *sealedstore.Keys, store coordinator.Store) *coordinator.Coordinator {
		return newCoordinator(t, shared, store, coordinator.Config{Instance: "one", Fallback: sealedstore.New(openFiles(t, dir), keys)})
	}
	first := with(keys, sealedstore.New(memory, keys))
	token(t, first)
	if err := first.Drain(t.Context()); err != nil { // the copy is written after the token is served
		t.Fatal(err)
	}
	wantNoSecret(t, filesIn(t, dir))
	away, faults := storetest.NewFaulty(memory)
	faults.Fail(storetest.Any, 1000, nil)
	if got := token(t, with(keys, sealedstore.New(away, keys))); got != "ACCESS-secret-1" {
		t.Errorf("from the copy: %q", got)
	}
	before := filesIn(t, dir)
	c := with(newKeys(t), memory) // neither the store nor the copy can be opened
	if _, err := c.Token(t.Context()); !errors.Is(err, coordinator.ErrSealed) {
		t.Errorf("with another key: %v", err)
	}
	if after := filesIn(t, dir); after != before || shared.mints != 1 {
		t.Errorf("the copy was changed, or %d mints", shared.mints)
	}
}

// A copy that cannot be opened is not overwritten either; it is told of.
func TestFallbackOfAnotherKey(t *testing.T) {
	dir, shared, memory := t.TempDir(), &source{}, storetest.NewMemory()
	first := newCoordinator(t, shared, memory, coordinator.Config{Instance: "one", Fallback: sealedstore.New(openFiles(t, dir), newKeys(t))})
	token(t, first)
	if err := first.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := filesIn(t, dir)
	var mu sync.Mutex
	var told []string
	observe := func(e coordinator.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == coordinator.EventCopyFailed {
			told = append(told, e.Detail)
		}
	}
	c := newCoordinator(t, shared, memory, coordinator.Config{Instance: "two", Observer: observe, Fallback: sealedstore.New(openFiles(t, dir), newKeys(t))})
	if _, err := c.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if after := filesIn(t, dir); after != before || len(told) == 0 || !strings.Contains(told[0], "is sealed with key") {
		t.Errorf("the copy was changed, or nobody told of it: %q", told)
	}
}

func filesIn(t testing.TB, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s\n%s\n", path, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func wantNoSecret(t testing.TB, text string) {
	t.Helper()
	if !strings.Contains(text, "sealed:") {
		t.Errorf("nothing is sealed in\n%s", text)
	}
	for _, secret := range []string{"ACCESS-secret", "REFRESH-secret"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is readable in\n%s", secret, text)
		}
	}
}

// Everything that Redis and its dump hold, after mints, reports and rotations.
func TestNoTokenAtRest(t *testing.T) {
	server := redistest.Start(t)
	client := dial(t, server.URL())
	c := newCoordinator(t, &source{}, sealedstore.New(redisstore.New(client, redisstore.Config{}), newKeys(t)), coordinator.Config{Instance: "one", MinimumAge: -1})
	value := token(t, c)
	if err := c.Report(t.Context(), value, &coordinator.RejectedError{Code: 40001}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := token(t, c); got != "ACCESS-secret-3" {
		t.Fatalf("token %q", got)
	}
	var all strings.Builder
	names, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		switch kind := client.Type(t.Context(), name).Val(); kind {
		case "hash":
			fmt.Fprintln(&all, name, client.HGetAll(t.Context(), name).Val())
		case "stream":
			fmt.Fprintln(&all, name, client.XRange(t.Context(), name, "-", "+").Val())
		default:
			fmt.Fprintln(&all, name, client.Get(t.Context(), name).Val())
		}
	}
	wantNoSecret(t, all.String())
	if len(names) < 3 || !strings.Contains(all.String(), "generation:3") || !strings.Contains(all.String(), "minted_by:one") {
		t.Errorf("redis-cli is told less than it should:\n%s", all.String())
	}
	if err := client.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	wantNoSecret(t, filesIn(t, server.Dir()))
}

// TestSparesAreSealed: the refresh tokens of mints that overlapped are as secret
// as the one that is used.
func TestSparesAreSealed(t *testing.T) {
	memory, keys := storetest.NewMemory(), newKeys(t)
	store := sealedstore.New(memory, keys)
	spares := []string{"REFRESH-secret-2", "REFRESH-secret-1"}
	r := coordinator.Record{}.Child(coordinator.NewStamp(coordinator.Record{}, time.Now()))
	r.Grant = coordinator.Grant{Value: "ACCESS-secret-3", State: "REFRESH-secret-3", Generation: 1, ExpiresAt: time.Now().Add(time.Hour).UTC()}
	r.Spares = slices.Clone(spares)
	if _, err := store.Swap(t.Context(), "shop", coordinator.Stamp{}, r); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Spares, spares) {
		t.Error("Swap changed the record that it was given")
	}
	kept, _, err := memory.Load(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range kept.Spares {
		if !strings.HasPrefix(text, coordinator.SealedPrefix) || strings.Contains(text, "secret") {
			t.Errorf("stored as %.40q, want it sealed", text)
		}
	}
	got, _, err := store.Load(t.Context(), "shop")
	if err != nil || !slices.Equal(got.Spares, spares) || got.SealedBy() != "" {
		t.Errorf("%v; opened as %d spares", err, len(got.Spares))
	}
	if kept.Grant.Value, kept.Grant.State = "", ""; kept.SealedBy() == "" {
		t.Error("a record whose spares alone are sealed does not say so")
	}
}
