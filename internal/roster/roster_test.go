package roster_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/roster"
)

// backend notes what it is told.
type backend struct {
	mu        sync.Mutex
	announced []coordinator.Instance
	before    []coordinator.Instance
	withdrawn []coordinator.Instance
	hang      bool // until the context ends
	err       error
}

func (b *backend) Now(context.Context) (time.Time, error) { return time.Now(), nil }

func (b *backend) Announce(ctx context.Context, i, before coordinator.Instance) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	b.announced, b.before = append(b.announced, i), append(b.before, before)
	return b.err
}

func (b *backend) Withdraw(_ context.Context, i coordinator.Instance) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.withdrawn = append(b.withdrawn, i)
	return nil
}

func (b *backend) count() (announced, withdrawn int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.announced), len(b.withdrawn)
}

func one(name string, tokens int) coordinator.Participant {
	return coordinator.Participant{Instance: name, Mints: true, Tokens: func() int { return tokens }}
}

// A process costs the same for one participant as for a thousand.
func TestCostIsConstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b backend
		a := &roster.Announcer{Backend: &b}
		var leave []func()
		for range 1000 {
			leave = append(leave, a.Join(one("host-1", 2)))
		}
		time.Sleep(time.Hour + time.Second)
		if n, _ := b.count(); n != 241 {
			t.Errorf("%d announcements in an hour, want 241", n)
		}
		synctest.Wait()
		first, last := b.announced[0], b.announced[240]
		if first.Tokens != 2000 || first != last || b.before[0] != (coordinator.Instance{}) || b.before[240] != first {
			t.Errorf("the first is %+v, the last %+v instead of %+v", first, last, b.before[240])
		}
		for _, f := range leave[1:] {
			f()
		}
		time.Sleep(roster.Every)
		synctest.Wait()
		if i := b.announced[len(b.announced)-1]; i.Tokens != 2 || i.ID != first.ID || !i.Since.Equal(first.Since) {
			t.Errorf("after 999 have left, it is %+v", i)
		}
		leave[0]()
		announced, withdrawn := b.count()
		if withdrawn != 1 || b.withdrawn[0] != b.announced[announced-1] {
			t.Errorf("withdrawn are %+v", b.withdrawn)
		}
		time.Sleep(time.Hour)
		if n, _ := b.count(); n != announced {
			t.Errorf("%d announcements after the end", n-announced)
		}
	})
}

// Whoever begins a moment later is announced soon, with a start of its own.
func TestSecondInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b backend
		a := &roster.Announcer{Backend: &b}
		defer a.Join(one("host-1", 1))()
		time.Sleep(5 * time.Second)
		defer a.Join(one("host-2", 1))()
		time.Sleep(time.Second)
		synctest.Wait()
		began := map[string]time.Time{}
		for _, i := range b.announced {
			began[i.Name] = i.Since
		}
		if len(began) != 2 || began["host-2"].Sub(began["host-1"]) != 5*time.Second {
			t.Errorf("after a second: %v", began)
		}
	})
}

// A store that hangs holds up neither who joins nor, for long, who leaves.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backend{hang: true}
		a := &roster.Announcer{Backend: &b}
		began := time.Now()
		leave := a.Join(one("host-1", 1))
		if took := time.Since(began); took != 0 {
			t.Errorf("Join took %s", took)
		}
		time.Sleep(100 * time.Millisecond) // an announcement is under way
		began = time.Now()
		leave()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("leave took %s", took)
		}
	})
}

// An announcement that failed may have been received: it is replaced by the
// next one, and withdrawn at the end.
func TestLostReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backend{err: errors.New("no answer")}
		a := &roster.Announcer{Backend: &b}
		leave := a.Join(one("host-1", 1))
		time.Sleep(roster.Every + time.Second)
		leave()
		if len(b.announced) != 2 || b.before[1] != b.announced[0] || len(b.withdrawn) != 1 {
			t.Errorf("announced %+v, withdrawn %+v", b.announced, b.withdrawn)
		}
	})
}

func TestAlive(t *testing.T) {
	at := time.Unix(1700000000, 0)
	found := []coordinator.Instance{
		{Name: "b", ID: "3", Since: at}, {Name: "a", ID: "2", Since: at.Add(time.Second)}, {Name: "a", ID: "1", Since: at, Seen: at.Add(time.Second), Tokens: 1},
		{Name: "a", ID: "1", Since: at, Seen: at.Add(2 * time.Second), Tokens: 2},
	}
	got := roster.Alive(found)
	if len(got) != 3 || got[0].Tokens != 2 || got[1].ID != "2" || got[2].ID != "3" {
		t.Errorf("%+v", got)
	}
	if got := roster.Alive(make([]coordinator.Instance, 0)); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
