// Package integration holds tests only: of the command and of the library in
// real processes, over a real redis-server, with the fake WeChat of package
// wechattest beside them. They need redis-server and redis-cli, and nothing
// beyond loopback.
//
//	go test ./integration -race
//
// Without a redis-server the tests are skipped, unless MINTONCE_REQUIRE_REDIS
// is 1: then they fail.
//
// Every test gets a world of its own (world_test.go). At its end, the books
// are audited (audit_test.go): nothing that any process printed, nothing in
// Redis and no file may hold the AppSecret, or a token in another place than
// the one field that is for it.
//
// chaos_test.go plays rounds of faults, each kind once in every run of the
// tests and as many as one likes with "make chaos". Beside that, the exact
// points at which a holder can be stopped are in stopped_holder_test.go, the
// loss of a primary in sentinel_test.go, the move of a slot in slot_test.go.
//
// Tests wait for conditions, not for times. Where the requirement itself states
// a limit in seconds, it is checked with the margin that is named in
// wait_test.go.
package integration
