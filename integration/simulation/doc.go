// Package simulation holds tests only: simulated days of a whole fleet, with
// faults drawn from a seed.
//
// A world (world_test.go) is a bubble of testing/synctest with a provider that
// is its own judge, a store, and machines on each of which one process after
// another runs a real coordinator. Two stores take part: storetest.Memory,
// which is fast, and the real redisstore with go-redis and redislock over
// miniredis. With the latter, processes also mint with package wechat, over
// net/http (web_test.go). Days of their own (rotating_test.go) have a provider
// whose refresh tokens rotate (families_test.go), an operator who logs in again
// where none is left, and a judge who asks why (losses_test.go).
//
// A process (process_test.go) can die or be paused at each of its awaits:
// before a request leaves it and before an answer is taken. A dead process
// does nothing any more; the same machine starts another one later. Between a
// process and its store or provider lies a wire (wire_test.go) that delays and
// loses requests and answers; a request that its sender has given up is
// carried out all the same when it arrives.
//
// Faults come in bursts (burst_test.go). Throughout, the judge
// (judge_test.go) checks every answer that a caller gets, and every step of a
// process that the protocol has a rule for (steps_test.go). After each burst the
// fleet must converge in a bounded time and then be at rest.
//
//	go test ./integration/simulation                           # a few seeds
//	MINTONCE_SEEDS=10000 go test -timeout 0 -run Memory -v ./integration/simulation  # many, and seeds/second
//	MINTONCE_BUDGET=10m go test -timeout 0 -v ./integration/simulation               # as many as fit, of each store
//	MINTONCE_SEED=42 go test -run Memory -v ./integration/simulation                 # one
//	MINTONCE_TRACE=60                                                                # minutes of trace of a failure
//	MINTONCE_REPORT=soak.md                                                          # a page of Markdown, appended
//	MINTONCE_PICTURE=day.svg MINTONCE_SEED=3                                         # the day as a picture; see picture_test.go
//
// docs/simulation.md shows such a picture, and lists the faults and the promises
// for people.
//
// # How far a seed determines a run
//
// All that the harness draws comes from the seed, each process and purpose with
// its own stream; what the code that ships draws comes from crypto/rand, which
// testing/cryptotest seeds. Latencies are drawn with nanoseconds, so that hardly
// two things happen at the same moment, and all of it runs on one processor. So
// a failing seed repeats: TestReplay runs days twice and compares them to the
// nanosecond, and some 23 of 24 are the same to the end. Where the scheduler has
// had the choice between two things of one moment, they are not: run a failing
// seed a second time before you doubt it. Over Redis, go-redis and miniredis have
// draws of their own, and only the schedule of faults repeats.
package simulation
