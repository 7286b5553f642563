package linearizability_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/mintonce/mintonce/coordinator"
)

const (
	clients = 6
	calls   = 40 // of each client
)

// rounds is how many histories are recorded of each store.
func rounds(t *testing.T) int {
	text := os.Getenv("MINTONCE_ROUNDS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("MINTONCE_ROUNDS is %q: it must be a number of rounds", text)
	}
	return n
}

// history records the calls of all clients.
type history struct {
	epoch time.Time

	mu   sync.Mutex // guards all below
	all  []porcupine.Operation
	lost int
}

func (h *history) add(client int, c call, a answer, began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ended := int64(time.Since(h.epoch))
	if a.outcome == unknown {
		h.lost++
		ended = math.MaxInt64 // it may be carried out at any later time
	}
	h.all = append(h.all, porcupine.Operation{ClientId: client, Input: c, Call: int64(began.Sub(h.epoch)), Output: a, Return: ended})
}

// client makes random calls: loads, swaps from what it has loaded last, and
// swaps once more, as after a lost reply.
type client struct {
	*history
	id    int
	store coordinator.Store
	dice  *rand.Rand

	known      coordinator.Record
	last       call // the last swap
	lastRecord coordinator.Record
}

func (c *client) run(t *testing.T, name string, trouble func(*rand.Rand)) {
	for range calls {
		trouble(c.dice)
		switch n := c.dice.IntN(10); {
		case n < 4:
			c.load(t, name)
		case n < 9 || !c.lastRecord.Exists():
			next := c.known.Child(coordinator.NewStamp(c.known, time.Now()))
			next.Grant = coordinator.Grant{Value: "token-" + next.Stamp().String(), ExpiresAt: time.Now().Add(time.Hour)}
			c.swap(t, name, call{old: c.known.Stamp(), next: next.Stamp()}, next)
		default:
			c.swap(t, name, c.last, c.lastRecord)
		}
	}
}

// bounded is how long a client waits.
func bounded(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 5*time.Second)
}

func (c *client) load(t *testing.T, name string) {
	ctx, cancel := bounded(t)
	defer cancel()
	began := time.Now()
	r, _, err := c.store.Load(ctx, name)
	if err != nil {
		return // a load without an answer says nothing
	}
	if r.Exists() && r.Grant.Value != "token-"+r.Stamp().String() {
		t.Errorf("the record %s holds the token of another write", r.Stamp())
	}
	c.known = r
	c.add(c.id, call{load: true}, answer{found: r.Stamp()}, began)
}

func (c *client) swap(t *testing.T, name string, swap call, next coordinator.Record) {
	ctx, cancel := bounded(t)
	defer cancel()
	c.last, c.lastRecord = swap, next
	began := time.Now()
	_, err := c.store.Swap(ctx, name, swap.old, next, coordinator.Event{Kind: coordinator.EventMinted, Name: name})
	a := answer{}
	switch {
	case err == nil:
		c.known = next
	case errors.Is(err, coordinator.ErrConflict):
		a.outcome = conflict
	default:
		a.outcome = unknown
	}
	c.add(c.id, swap, a, began)
}

// record has clients of the stores work on one record at once.
func record(t *testing.T, name string, open func() (coordinator.Store, func(*rand.Rand))) *history {
	t.Helper()
	h := &history{epoch: time.Now()}
	var group sync.WaitGroup
	for id := range clients {
		store, trouble := open()
		c := &client{history: h, id: id, store: store, dice: rand.New(rand.NewPCG(rand.Uint64(), uint64(id)))}
		group.Go(func() { c.run(t, name, trouble) })
	}
	group.Wait()
	return h
}

// verdict checks a history, and draws it if it is not linearizable.
func (h *history) verdict(t *testing.T) porcupine.CheckResult {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(register, h.all, 2*time.Minute)
	if result == porcupine.Illegal {
		page := filepath.Join(os.TempDir(), "mintonce-history-"+strconv.FormatInt(time.Now().UnixNano(), 36)+".html")
		if err := porcupine.VisualizePath(register, info, page); err == nil {
			t.Logf("the history is drawn in %s", page)
		}
	}
	return result
}
