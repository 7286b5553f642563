package redisstore_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
)

// createUser creates a user as the package's documentation says, and returns
// a store that works as that user.
func createUser(t *testing.T, server *redistest.Server, user string) *redisstore.Store {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(doc)) {
		words := strings.Fields(strings.TrimPrefix(line, "//"))
		if len(words) < 3 || strings.Join(words[:2], " ") != "ACL SETUSER" || words[2] != user {
			continue
		}
		args := make([]any, len(words))
		for i, word := range words {
			args[i] = word
		}
		if err := dial(t, server.URL()).Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
		return open(t, "redis://"+user+":PASSWORD@"+server.Addr(), redisstore.Config{Warn: func(err error) {
			// A marker that appears looks like a loss to a reader, which cannot write it.
			if (user != "mintonce-reader" || !strings.Contains(err.Error(), "was flushed")) && !late(err) {
				t.Error(err)
			}
		}})
	}
	t.Fatalf("doc.go has no ACL SETUSER %s", user)
	return nil
}

// TestAccessRules: they are those of the documentation, and what Inspect needs.
func TestAccessRules(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t)
	rules := open(t, server.URL(), redisstore.Config{}).AccessRules()
	documented, isMore := strings.CutSuffix(rules, " +info")
	if !isMore || !strings.Contains(string(doc), "ACL SETUSER mintonce on >PASSWORD "+documented+"\n") {
		t.Errorf("doc.go does not have %s", documented)
	}
	other := open(t, server.URL(), redisstore.Config{Prefix: "fleet-2"}).AccessRules()
	if other != strings.Replace(rules, "~mintonce:*", "~fleet-2:*", 1) {
		t.Errorf("for another prefix: %s", other)
	}
}

// TestDocumentedAccess: the rules in the documentation are enough.
func TestDocumentedAccess(t *testing.T) {
	t.Parallel()
	ctx, server := t.Context(), redistest.Start(t)
	s, reader := createUser(t, server, "mintonce"), createUser(t, server, "mintonce-reader")

	// The reader comes first, to a store without a marker, which it may not write.
	reading := watch(t, reader, "shop")
	reading.want(t, generous, "at first")
	w := watch(t, s, "shop")
	w.want(t, generous, "at first")
	reading.want(t, generous, "after the marker was written")

	event := coordinator.Event{Kind: coordinator.EventMinted}
	const ttl = 3 * time.Second
	lease, err := s.Lock(ctx, "shop", "me", ttl)
	if err != nil {
		t.Fatal(err)
	}
	r := write(t, s, "shop", coordinator.Record{}, event)
	w.want(t, generous, "after a write")
	reading.want(t, generous, "after a write")
	r = write(t, s, "shop", r, event)
	if err := s.Append(ctx, "shop", event); err != nil {
		t.Error(err)
	}
	if _, err := s.Lock(ctx, "shop", "other", time.Second); err == nil || !strings.Contains(err.Error(), "held by me") {
		t.Errorf("Lock that is held: %v", err)
	}
	select {
	case <-lease.Lost():
		t.Error("the lease was lost: it cannot be renewed")
	case <-time.After(ttl):
	}
	if locked, err := reader.Holder(ctx, "shop"); err != nil || locked == nil {
		t.Errorf("Holder by the reader: %v, %v", locked, err)
	}
	if err := lease.Release(ctx); err != nil {
		t.Error(err)
	}
	got, _, err := reader.Load(ctx, "shop")
	if err != nil || got.Stamp() != r.Stamp() {
		t.Errorf("Load by the reader: %v, %v", got.Stamp(), err)
	}
	if history, err := reader.History(ctx, "shop", 10); err != nil || len(history) != 3 {
		t.Errorf("History by the reader: %d entries, %v", len(history), err)
	}
	if _, err := reader.Swap(ctx, "shop", r.Stamp(), child(r)); err == nil {
		t.Error("the reader may write")
	}
	leave := s.Join(coordinator.Participant{Instance: "me", Tokens: func() int { return 1 }})
	defer reader.Join(coordinator.Participant{Instance: "reader", Tokens: func() int { return 1 }})() // unseen
	for deadline := time.Now().Add(generous); ; time.Sleep(10 * time.Millisecond) {
		alive, err := reader.Instances(ctx)
		if err == nil && len(alive) == 1 {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("Instances by the reader: %+v, %v", alive, err)
		}
	}
	leave()
	if alive, err := s.Instances(ctx); err != nil || len(alive) != 0 {
		t.Errorf("Instances after leaving: %+v, %v", alive, err)
	}
	if h, err := s.Inspect(ctx); err != nil || len(h.Unknown) != 1 {
		t.Errorf("Inspect: %+v, %v", h, err)
	}
}

// TestDocumentedAccessCluster: so they are on a cluster, with the two more.
func TestDocumentedAccessCluster(t *testing.T) {
	t.Parallel()
	server := startCluster(t)
	createUser(t, server, "mintonce")
	if err := dial(t, server.URL()).Do(t.Context(), "ACL", "SETUSER", "mintonce", "+cluster", "+command").Err(); err != nil {
		t.Fatal(err)
	}
	s := open(t, "redis+cluster://mintonce:PASSWORD@"+server.Addr(), redisstore.Config{Warn: func(err error) {
		if !late(err) {
			t.Error(err)
		}
	}})
	w := watch(t, s, "shop")
	w.want(t, generous, "at first")
	write(t, s, "shop", coordinator.Record{}, coordinator.Event{Kind: coordinator.EventMinted})
	w.want(t, generous, "after a write")
	lease, err := s.Lock(t.Context(), "shop", "me", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Error(err)
	}
}
