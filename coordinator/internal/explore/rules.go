// Package explore visits every state that a handful of processes can reach
// with the transitions of package coordinator, while locks lapse at any
// moment, requests are processed late, processes die, and the store loses
// writes, at each kind of source. In each state it checks what the mint protocol
// promises, and for a promise that is broken it keeps the shortest run that led
// there. The promises:
//
//   - When nothing is under way, the record holds a token that the provider
//     accepts, or says itself that a mint is needed.
//   - One mint that nobody disturbs then settles whatever is open.
//   - Every attempt ends, and a mint that is needed comes, for whoever decides
//     anew when Plan says so; one that is spaced out, too.
//   - A rotating source keeps a refresh token with which it can go on, and uses
//     none that the provider would take for stolen while it has another.
//   - A generation goes back only where two histories were joined.
//   - No mint begins that is not needed, and no rejection of a token that was
//     replaced asks for one.
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
	Refused     func(r coordinator.Record, id string) (coordinator.Record, bool)
	Spend       func(r coordinator.Record, carried, brought string) coordinator.Record
	Expire      func(r coordinator.Record, now time.Time) (coordinator.Record, []coordinator.Attempt)
	// Settled is what a fork comes to.
	Settled  func(joined, memory, record coordinator.Record, t coordinator.Traits) coordinator.Record
	Judge    func(r coordinator.Record, value string, now time.Time, minimumAge time.Duration) coordinator.Verdict
	Reported func(r coordinator.Record, by string, now time.Time, t coordinator.Traits) coordinator.Record
	// LooksAgain: a process that has the lock looks again before it begins.
	LooksAgain bool
}

// Real returns the transitions of package coordinator.
func Real() Rules {
	return Rules{
		Reconcile:   coordinator.Reconcile,
		BeforeWrite: coordinator.Reconcile,
		Begin:       coordinator.Record.Begin,
		Commit:      coordinator.Record.Commit,
		Abandon:     coordinator.Record.Abandon,
		Refused:     func(r coordinator.Record, id string) (coordinator.Record, bool) { return r.Refused(id, 400) },
		Spend:       coordinator.Record.Spend,
		Settled:     coordinator.Record.Settled,
		Judge:       coordinator.Record.Judge,
		LooksAgain:  true,
		Expire:      coordinator.Record.Expire,
		Reported:    coordinator.Record.Reported,
	}
}

// Scenario bounds what may happen. What it does not name happens never; a lock
// may lapse, and a request be late, in all of them.
type Scenario struct {
	// Kind is that of the source. At a LastMintWins one, the last mint that the
	// provider processes wins; see provider.go for the others.
	Kind      coordinator.Kind
	Attempts  []int // how many mints each process may begin; one entry a process
	Fresh     bool  // start without a record, rather than with a token in doubt
	Crashes   int   // processes that die with a mint under way
	Timeouts  int   // processes that give up waiting for an answer
	Rollbacks int   // times that the store goes back to one of its last four records
	Flushes   int   // times that the store loses the record
	Reports   int   // rejections of the current token that are reported
	Lapses    int   // times that the current token expires
	Renewals  int   // times that an idempotent provider issues the next token ahead of time
	Rotations int   // mints that force an idempotent provider to issue another token
	Graces    int   // times that the grace of all refresh tokens that were spent ends
	// Forks: the second use of a rotating refresh token leaves what the first
	// one brought alive, rather than ending it.
	Forks bool
	// Overlapped: start after two mints of a rotating source have overlapped, with
	// the refresh tokens of both. Unless Forks, that of the later one has ended
	// that of the other, which the record holds to be the better one.
	Overlapped bool
	// FrozenClock makes the store's clock stand still, so that after a
	// roll-back two different writes get the same revision.
	FrozenClock bool
	// AnyGeneration leaves out the promise that generations go back only where
	// two histories were joined. It breaks before the other one does.
	AnyGeneration bool
	// Limit is how many states are visited, or a few more at most.
	Limit int
}
