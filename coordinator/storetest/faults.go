package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// ErrInjected is the error of a fault that was given none of its own.
var ErrInjected = errors.New("storetest: injected fault")

// Op is a method of a Store, to be counted and disturbed. [Any] stands for all
// of them.
type Op string

// The methods that can be disturbed. Release is that of the leases.
const (
	Any     Op = "any"
	Load    Op = "Load"
	Swap    Op = "Swap"
	Lock    Op = "Lock"
	Release Op = "Release"
	History Op = "History"
	Append  Op = "Append"
	Holder  Op = "Holder"
)

// Always is a number of calls without end, until [Faults.Heal].
const Always = -1

// Faults controls what goes wrong between one process and its Store. Each
// method adds a fault for the next n calls of op. Faults of one op take effect
// one after another, before those of Any. It is safe for concurrent use.
type Faults struct {
	mu      sync.Mutex // guards all below
	pending map[Op][]*fault
	calls   map[Op]int
	healed  chan struct{} // closed by Heal: frees the calls that hang
	cut     bool
	hints   map[*cuttable]struct{}
}

// fault is what happens to some calls.
type fault struct {
	left   int // calls; Always for no end
	before func(ctx context.Context) error
	after  func(ctx context.Context) error // its error replaces the reply
}

// NewFaulty returns a Store that works on store, with its optional interfaces,
// and is disturbed by the faults. It stands for the view of one process: wrap
// one Store several times to disturb one process and not another.
func NewFaulty(store coordinator.Store) (coordinator.Store, *Faults) {
	f := &Faults{pending: make(map[Op][]*fault), calls: make(map[Op]int), healed: make(chan struct{}), hints: make(map[*cuttable]struct{})}
	return passThrough(&faulty{store: store, faults: f}), f
}

// Fail makes calls fail without reaching the store. err may be nil.
func (f *Faults) Fail(op Op, n int, err error) {
	f.add(op, &fault{left: n, before: func(context.Context) error { return orInjected(err) }})
}

// Hang makes calls block, without reaching the store, until their context ends
// or Heal is called.
func (f *Faults) Hang(op Op, n int) {
	f.add(op, &fault{left: n, before: func(ctx context.Context) error {
		f.mu.Lock()
		healed := f.healed
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-healed:
			return ErrInjected
		}
	}})
}

// DropReply makes calls fail after the store has carried them out. err may be
// nil.
func (f *Faults) DropReply(op Op, n int, err error) {
	f.add(op, &fault{left: n, after: func(context.Context) error { return orInjected(err) }})
}

// Delay makes replies arrive d later. A call whose context ends before returns
// without it.
func (f *Faults) Delay(op Op, n int, d time.Duration) {
	f.add(op, &fault{left: n, after: func(ctx context.Context) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		}
	}})
}

// Before runs do in each call before it reaches the store: to let somebody
// else act at just that moment.
func (f *Faults) Before(op Op, n int, do func()) {
	f.add(op, &fault{left: n, before: func(context.Context) error { do(); return nil }})
}

// Heal removes all faults that are pending, frees calls that hang, and has
// hints pass again.
func (f *Faults) Heal() {
	f.mu.Lock()
	clear(f.pending)
	close(f.healed)
	f.healed = make(chan struct{})
	f.mu.Unlock()
	f.PassHints()
}

// Calls returns how many calls of op were made so far, those that failed too.
func (f *Faults) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

func (f *Faults) add(op Op, added *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending[op] = append(f.pending[op], added)
}

// take counts a call of op and returns the fault that it meets.
func (f *Faults) take(op Op) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	f.calls[Any]++
	for _, key := range []Op{op, Any} {
		queue := f.pending[key]
		if len(queue) == 0 {
			continue
		}
		met := queue[0]
		if met.left > 0 {
			met.left--
		}
		if met.left == 0 {
			f.pending[key] = queue[1:]
		}
		return *met
	}
	return fault{}
}

// disturb makes one call, with the fault that it meets. The reply of a call
// that returns an error of disturb's own must not be used.
func (f *Faults) disturb(ctx context.Context, op Op, call func() error) error {
	met := f.take(op)
	if met.before != nil {
		if err := met.before(ctx); err != nil {
			return err
		}
	}
	err := call()
	if met.after != nil {
		if lost := met.after(ctx); lost != nil {
			return lost
		}
	}
	return err
}

func orInjected(err error) error {
	if err == nil {
		return ErrInjected
	}
	return err
}
