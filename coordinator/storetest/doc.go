// Package storetest checks implementations of [coordinator.Store] and helps to
// test what is built on one.
//
// [Run] is the conformance suite. It holds an implementation to every sentence
// of the comments on Store, Lease, Watcher, Historian, LockInspector and Roster:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) storetest.Fixture {
//			dir := t.TempDir()
//			return storetest.Fixture{Open: func(t testing.TB) coordinator.Store {
//				return open(t, dir)
//			}}
//		})
//	}
//
// A store that needs no socket and no file can run it inside testing/synctest,
// where the checks that wait for time take none:
//
//	storetest.RunWithin(t, synctest.Test, setup)
//
// [Memory] is a faithful Store for tests, and for trying things out. It can be
// flushed and rolled back as a real one may be. [NewFaulty] puts a bad network
// before any Store: calls that fail, hang, or lose their reply.
package storetest
