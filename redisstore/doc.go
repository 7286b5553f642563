// Package redisstore keeps records in Redis, so that all processes that use
// the same Redis and prefix share one token.
//
//	client, err := redisstore.Open("redis://127.0.0.1:6379/0")
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	store := redisstore.New(client, redisstore.Config{})
//
// # Keys
//
// All keys begin with Config.Prefix, here mintonce. A name in braces is a hash
// tag: all keys of a credential are in one slot of a cluster.
//
//	mintonce:{NAME}          hash    the record, one readable field per fact
//	mintonce:{NAME}:lock     string  HOLDER/RANDOM, with a time to live
//	mintonce:{NAME}:history  stream  what happened, about 1,000 entries, never a token
//	mintonce:changes         stream  name, generation and stamp of each swap, about 1,000 entries
//	mintonce:marker          string  random, written once
//	mintonce:instances       zset    the processes that are alive, by when each was last heard of
//
// The token is the field value of the record, in clear: whoever may read the
// record has it. No secret of an app is ever in Redis.
//
// # Records
//
// A load is one round trip that reads first the clock and then the record, so
// that the record is never older than it is said to be. On a cluster, whose
// nodes have clocks of their own, it is a script. A swap is always one: it
// compares revision and write id with what the caller has seen,
// and then replaces the record, adds to the history and announces the change.
// Its own repetition after a lost reply is recognized by the write id, and
// succeeds without doing anything. The scripts know nothing of the protocol.
//
// A swap with events is announced, in the same step (but see below of Cluster).
// One without, the beginning of a mint, is no news to anybody.
//
// # Locks
//
// Locks are those of github.com/bsm/redislock, taken without retries, with a
// value that is new for every attempt. A lease is renewed every quarter of its
// time to live. Trust in it ends nine tenths of that time after the last
// successful command was sent, also when Redis hangs; the answer that it is not
// held ends it at once. A lock whose reply was lost is given back in the
// background, and lapses if that fails too. Locks keep mints rare; that no
// token is lost does not depend on them.
//
// # News
//
// A Store that watches anything follows mintonce:changes over one connection of
// its own, whatever the number of names: a read that blocks for up to two
// seconds, from the last entry seen. Once per round it looks at the marker and
// at the newest entry. If there is another marker, or none, or if the newest
// entry is older than one that was seen, then Redis was flushed or went back to
// older data; then, and after every lost connection, all watchers are told to
// look again. So they are when more entries came at once than the stream keeps.
//
// At rest that is 90 commands a minute for each process that watches (GET,
// XREVRANGE and XREAD, every two seconds), for 10 names as for 100,000, and 4
// more while it says in mintonce:instances that it is alive. A load is 2
// commands in one round trip (1 on a cluster), many loads are 1 each and 1 for
// all, a swap is 1 (3 on a cluster, if it is announced), a lock 1 (3 when it is
// held by somebody else), a renewal 1, a release 1; a script that Redis does not
// have in its cache costs one more, once. So a refresh is 4 commands and a mint,
// or 6 on a cluster: lock, begin, commit, release.
//
// # Who is alive
//
// While a coordinator of the process runs, one command every 15 seconds puts
// the process into mintonce:instances, with what it does, and removes those
// that have not been heard of for a minute. One that ends removes itself.
// Nothing depends on it: it is for people, and for the dashboard.
//
// # The server
//
// Redis 5.0 or later; tested with 7.0. [Store.Inspect] reads the state that
// this section asks for.
//
// Eviction: set maxmemory-policy to noeviction. Any other policy may evict a
// record, which then is put back by a process that remembers it; if none does,
// it takes a mint.
//
// Persistence: with appendonly yes and appendfsync everysec, a crash loses at
// most about a second of writes. Without persistence a restart is a flush.
// Neither loses a token while any process that has seen it is alive: it notices
// within seconds and writes the record back.
//
// Access: with Redis 6 or later, give the processes a user of their own, with
// the prefix in use:
//
//	ACL SETUSER mintonce on >PASSWORD ~mintonce:* +@connection +eval +evalsha +time +exists +hgetall +hmget +hset +hkeys +hdel +del +get +set +getrange +pexpire +pttl +xadd +xread +xrevrange +zadd +zrem +zrangebyscore +zremrangebyscore
//
// A cluster client also needs +cluster and +command, and Inspect needs +info:
// [Store.AccessRules] returns them all for a store. [Store.Names] needs +scan, by
// which a user sees the names of all keys of the database: give it only to whom
// that may be shown. A process that never mints nor reports needs less:
//
//	ACL SETUSER mintonce-reader on >PASSWORD ~mintonce:* +@connection +eval +evalsha +time +hgetall +get +pttl +xread +xrevrange +zrangebyscore
//
// # What answers
//
// Whatever listens at the address may be no Redis, or no honest one. go-redis
// makes room for any length that a reply claims to have, so the connections of
// [Open] and [ParseURL] end with an error when a reply has, or claims, more than
// any that is read here, or is none. Nothing of it is in the error, nor in those
// of replies that have another form than was asked for. Clients that are made in
// another way have no such bounds, unless their Dialer is one of [BoundReplies].
//
// # Sentinel and Cluster
//
// With Sentinel, use redis.NewFailoverClient or a redis+sentinel URL, never
// replicas for reading. A failover may lose the newest writes, the lock among
// them: records are written back, and at most one more mint takes place.
//
// On Redis Cluster, mintonce:changes and mintonce:marker are in other slots
// than the records, so that swap and announcement cannot be one step. A change is
// announced twice: as an intent before the swap, an entry with the field intent,
// and as news after it. Where no news follow upon an intent within five seconds,
// because the process was killed in between for example, watchers look by
// themselves. If the server of the changes takes in neither, they learn of the
// change when they next look. The marker tells of a flush of
// its own shard; losses of another shard are found when its records are looked
// at.
//
// # Contexts
//
// go-redis heeds the deadline of a context and, once a command is sent, not its
// cancellation: a call that is cancelled returns at its deadline, or after the
// client's ReadTimeout, a second for those of [Open]. That is why a client
// without ContextTimeoutEnabled is refused, and others are warned of; see
// [CheckClient].
//
// # What is not guaranteed
//
//   - A swap that succeeded may be lost, if Redis crashes before it is on disk
//     or on a replica. The protocol of package coordinator expects that.
//   - Two processes may hold the same lock, after a failover or when one is
//     paused. The protocol expects that, too.
//   - A history entry that is appended by itself, not by a swap, may appear
//     twice or be missing.
package redisstore
