// Package explore visits every state that a handful of processes can reach
// with the transitions of package coordinator, while locks lapse at any
// moment, requests are processed late, processes die, and the store loses
// writes. In each state it checks what the mint protocol promises, and for a
// promise that is broken it keeps the shortest run that led there.
//
// It is the check of coordinator's doc: a test of chosen schedules shows that
// those schedules work, this shows that no schedule of that size fails.
package explore

import (
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// Rules are the transitions that are explored. Real returns coordinator's own;
// a test replaces one of them to show that the exploration notices.
type Rules struct {
	// Reconcile is what an idle process builds on.
	Reconcile func(memory, record coordinator.Record, at coordinator.Stamp) (coordinator.Record, coordinator.Relation)
	// BeforeWrite is what a process in the middle of a mint builds on.
	BeforeWrite func(memory, record coordinator.Record, at coordinator.Stamp) (coordinator.Record, coordinator.Relation)
	Begin       func(r coordinator.Record, a coordinator.Attempt, now time.Time, t coordinator.Traits) coordinator.Record
	Commit      func(r coordinator.Record, id string, g coordinator.Grant, t coordinator.Traits) (coordinator.Record, coordinator.EventKind)
	Abandon     func(r coordinator.Record, id string) coordinator.Record
	Expire      func(r coordinator.Record, now time.Time) (coordinator.Record, []coordinator.Attempt)
	Reported    func(r coordinator.Record, by string, now time.Time, t coordinator.Traits) coordinator.Record
}

// Real returns the transitions of package coordinator.
func Real() Rules {
	return Rules{
		Reconcile:   coordinator.Reconcile,
		BeforeWrite: coordinator.Reconcile,
		Begin:       coordinator.Record.Begin,
		Commit:      coordinator.Record.Commit,
		Abandon:     coordinator.Record.Abandon,
		Expire:      coordinator.Record.Expire,
		Reported:    coordinator.Record.Reported,
	}
}

// Scenario bounds what may happen. What it does not name happens never; a lock
// may lapse, and a request be late, in all of them.
type Scenario struct {
	Attempts  []int // how many mints each process may begin; one entry a process
	Fresh     bool  // start without a record, rather than with a token in doubt
	Crashes   int   // processes that die with a mint under way
	Timeouts  int   // processes that give up waiting for an answer
	Rollbacks int   // times that the store goes back to one of its last four records
	Flushes   int   // times that the store loses the record
	Reports   int   // rejections of the current token that are reported
	Lapses    int   // times that the current token expires
	// FrozenClock makes the store's clock stand still, so that after a
	// roll-back two different writes get the same revision.
	FrozenClock bool
	// AnyGeneration leaves out the promise that generations go back only where
	// two histories were joined. It breaks before the other one does.
	AnyGeneration bool
	// Limit is how many states are visited, or a few more at most.
	Limit int
}
