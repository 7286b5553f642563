package coordinator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// machine is one with a coordinator, which can be suspended.
type machine struct {
	t testing.TB
	*provider
	memory *storetest.Memory
	faults *storetest.Faults
	*coordinator.Coordinator
	first coordinator.Token
	slept time.Duration
}

func newMachine(t testing.TB) *machine {
	m := &machine{t: t, provider: newProvider(), memory: storetest.NewMemory()}
	var store coordinator.Store
	store, m.faults = storetest.NewFaulty(m.memory)
	var err error
	if m.Coordinator, err = coordinator.New("shop", m.provider, store, coordinator.Config{MaxWait: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if m.first, err = m.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

// suspend lets the world go on for d without this machine: the monotonic clock
// stands still. The wall clock is right when it wakes up. It returns when
// everybody who asks for tokens without pause has noticed.
func (m *machine) suspend(d time.Duration) {
	synctest.Wait()
	m.slept += d
	m.memory.Skew(m.slept)
	coordinator.SetWallClock(m.t, d)
	time.Sleep(10 * time.Millisecond)
}

// want checks what Token returns now.
func (m *machine) want(generation int64, mints int) {
	m.t.Helper()
	tok, err := m.Token(m.t.Context())
	if err != nil || tok.Generation != generation || m.minted() != mints {
		m.t.Errorf("%v, %v after %d mints; want generation %d after %d", tok, err, m.minted(), generation, mints)
	}
}

func TestSuspendedPastTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		time.Sleep(time.Minute)
		m.want(1, 1)
		m.suspend(3 * time.Hour)
		m.want(2, 2)
	})
}

// Nobody knows whether it slept or had its clock set. To serve nothing is the
// safe side.
func TestSuspendedPastTheEndWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		away(m.faults)
		m.suspend(3 * time.Hour)
		if tok, err := m.Token(t.Context()); !errors.Is(err, coordinator.ErrNoToken) || !errors.Is(err, coordinator.ErrStoreUnavailable) {
			t.Errorf("%v, %v without the store; want ErrNoToken and ErrStoreUnavailable", tok, err)
		}
		if tok, err := m.Peek(); err == nil {
			t.Errorf("Peek returns %v", tok)
		}
		m.faults.Heal()
		time.Sleep(2 * time.Second)
		m.want(2, 2)
	})
}

// A machine that has slept for a part of the token's life goes on serving it,
// with its end at the right moment.
func TestSuspendedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		before := m.first.ExpiresAt()
		m.suspend(time.Hour)
		m.want(1, 1)
		synctest.Wait() // the look in the background
		tok, err := m.Token(t.Context())
		if d := before.Sub(tok.ExpiresAt()); err != nil || d < time.Hour || d > time.Hour+time.Second {
			t.Errorf("the token ends %s earlier, %v; want an hour", d, err)
		}
	})
}

// A wall clock that was set is none of our business. It costs a look.
func TestWallClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			m := newMachine(t)
			time.Sleep(time.Minute)
			m.want(1, 1)
			loads := m.faults.Calls(storetest.Load)
			coordinator.SetWallClock(t, by)
			for range 100 {
				time.Sleep(100 * time.Millisecond)
				m.want(1, 1)
			}
			if n := m.faults.Calls(storetest.Load) - loads; n > 1 {
				t.Errorf("%d loads after the wall clock was set by %s, want one at most", n, by)
			}
			if tok, _ := m.Token(t.Context()); tok.ExpiresAt() != m.first.ExpiresAt() && tok.ExpiresAt().Before(m.first.ExpiresAt().Add(-time.Second)) {
				t.Errorf("the token ends at %v, want %v", tok.ExpiresAt(), m.first.ExpiresAt())
			}
		})
	}
}

// Run and a group refresh what ran out meanwhile, though nobody asks and their
// timers slept too.
func TestSuspendedAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		g := group(t, &platform{accounts: map[string]*provider{"shop": m.provider}}, m.memory, coordinator.GroupConfig{})
		if err := g.Keep("shop"); err != nil {
			t.Fatal(err)
		}
		for _, run := range []func(context.Context) error{m.Run, g.Run} {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- run(ctx) }()
			time.Sleep(time.Minute)
			mints := m.minted()
			m.suspend(3 * time.Hour)
			time.Sleep(40 * time.Second)
			if n := m.minted() - mints; n != 1 {
				t.Errorf("%d mints after a long sleep, want 1", n)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// While the store is away, a machine that woke up must not ask it without pause.
func TestSuspendedAtRestWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		time.Sleep(time.Minute)
		away(m.faults)
		loads := m.faults.Calls(storetest.Load)
		m.suspend(3 * time.Hour)
		time.Sleep(time.Minute)
		if n := m.faults.Calls(storetest.Load) - loads; n == 0 || n > 150 {
			t.Errorf("%d loads within a minute, want one or two a second", n)
		}
		cancel()
		<-done
	})
}
