package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// Fixture is what one check works on: data that is empty at first and shared
// with nobody.
type Fixture struct {
	// Open opens one more handle onto the data, with connections, caches and
	// goroutines of its own, as another process would. It is called from the
	// check's own goroutine, and closes the handle with t.Cleanup. Required.
	Open func(t testing.TB) coordinator.Store

	// WriteRaw stores fields as the record of name, whatever they are, for the
	// checks of newer and damaged records. Nil skips these checks.
	WriteRaw func(t testing.TB, name string, fields map[string]string)

	// Flush removes all records behind the handles' backs, as an operator or
	// a failover to an empty server may. Nil skips the check of hints at it.
	Flush func(t testing.TB)

	// DropLock takes the lock of name from its holder behind its back, as a
	// failover may. Leave it nil where locks cannot lapse.
	DropLock func(t testing.TB, name string)
}

const (
	// ttl of the locks in the checks, and so the time scale of those that wait: a
	// machine may stand still for a second, and no lock may lapse for that.
	ttl = 3 * time.Second
	// soon bounds what has to happen soon. It is generous, as a busy machine
	// must not fail a check: nothing waits for it when all is well. An instance
	// whose leaving did not get through is forgotten by then, too.
	soon = coordinator.InstanceLifetime + 20*time.Second
	// name of the record, where one is enough.
	name = "shop"
)

// check is one test of the suite.
type check struct {
	name string
	run  func(t testing.TB, f Fixture)
}

// Run holds a Store to its contract. setup is called once per check. The checks
// are subtests, which run in parallel and take some seconds in all. Those of
// optional interfaces that the Store lacks are skipped.
func Run(t *testing.T, setup func(t testing.TB) Fixture) {
	RunWithin(t, func(t *testing.T, f func(*testing.T)) { f(t) }, setup)
}

// RunWithin is like Run, but runs setup and check inside of within, such as
// synctest.Test.
func RunWithin(t *testing.T, within func(*testing.T, func(*testing.T)), setup func(t testing.TB) Fixture) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			within(t, func(t *testing.T) { c.run(t, setup(t)) })
		})
	}
}

func checks() []check {
	return []check{
		{"Load/absent", loadAbsent},
		{"Load/every field", loadEveryField},
		{"Load/caller owns the result", loadOwned},
		{"Load/clock", loadClock},
		{"Load/newer format", loadNewer},
		{"Load/damaged", loadDamaged},
		{"Swap/create", swapCreate},
		{"Swap/replace", swapReplace},
		{"Swap/leaves no old field", swapLeavesNothing},
		{"Swap/conflict", swapConflict},
		{"Swap/repeated", swapRepeated},
		{"Swap/caller owns the arguments", swapOwned},
		{"Swap/race", swapRace},
		{"Swap/names are independent", swapNames},
		{"Context/ended", contextEnded},
		{"Lock/exclusive", lockExclusive},
		{"Lock/outlives its context and ttl", lockRenewed},
		{"Lock/release", lockRelease},
		{"Lock/race", lockRace},
		{"Lock/names are independent", lockNames},
		{"Lock/dropped", lockDropped},
		{"LockInspector/holder", holder},
		{"Watcher/hints", watchHints},
		{"Watcher/several", watchSeveral},
		{"Watcher/stop is final", watchStop},
		{"Watcher/lost writes", watchFlush},
		{"WatcherOfAll/hints", watchAll},
		{"BulkLoader/same as Load", loadAll},
		{"Historian/order", historyOrder},
		{"Historian/swap", historySwap},
		{"Historian/names are independent", historyNames},
		{"Lister/names", listedNames},
		{"Roster/coming and going", rosterJoin},
		{"Roster/one name", rosterOneName},
	}
}

// optional returns the store as the optional interface T, or skips the check.
func optional[T any](t testing.TB, store coordinator.Store) T {
	t.Helper()
	as, ok := coordinator.As[T](store)
	if !ok {
		t.Skipf("%T is no %s", store, reflect.TypeFor[T]())
	}
	return as
}
