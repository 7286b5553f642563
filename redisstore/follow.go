package redisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/redis/go-redis/v9"
)

const (
	// round is how long a read of the change stream blocks, and how often the
	// marker and the end of the stream are looked at: a flush or a roll-back
	// is noticed within this time.
	round = 2 * time.Second
	// replyTimeout bounds a command of the follower, beyond the time it blocks.
	replyTimeout = time.Second
	// breather is the pause after news, so that a busy stream costs a bounded
	// number of reads.
	breather = 20 * time.Millisecond
	// retryMin and retryMax bound the pause after an error.
	retryMin = 100 * time.Millisecond
	retryMax = 5 * time.Second
)

// follower reads the change stream for all watches of a Store.
type follower struct {
	store  *Store
	placed bool    // guarded by store.mu: it knows its place in the stream
	open   intents // used by its own goroutine only
	stop   context.CancelFunc
	done   chan struct{}
}

// position is what the follower knows of the stream.
type position struct {
	marker string   // the store's marker; another one means another store
	last   streamID // the newest entry that was seen
}

// follow starts a follower.
func (s *Store) follow() *follower {
	ctx, stop := context.WithCancel(context.Background())
	f := &follower{store: s, open: make(intents), stop: stop, done: make(chan struct{})}
	go f.run(ctx)
	return f
}

// end stops the follower and waits for it.
func (f *follower) end() {
	f.stop()
	<-f.done
}

// run follows the stream over one connection after another.
func (f *follower) run(ctx context.Context) {
	defer close(f.done)
	pause := retryMin
	for {
		err := f.connection(ctx, func() { pause = retryMin })
		if ctx.Err() != nil {
			return
		}
		f.store.place(f, false)
		if pause == retryMin { // the first failure of an outage
			f.store.warn(explain("follow the changes", err))
		}
		// Jitter keeps a fleet from coming back all at once.
		if !wait(ctx, pause/2+rand.N(pause/2)) {
			return
		}
		pause = min(2*pause, retryMax)
	}
}

// connection follows the stream over one connection until it breaks. It calls
// well after each round: a connection that breaks before its first is part of
// the same outage.
func (f *follower) connection(ctx context.Context, well func()) error {
	reader, err := dedicated(ctx, f.store.client, f.store.changesKey())
	if err != nil {
		return err
	}
	// A blocked read of go-redis heeds no cancellation, but it ends with its
	// connection.
	unhook := context.AfterFunc(ctx, func() { reader.Close() })
	defer func() {
		if unhook() {
			reader.Close()
		}
	}()
	at, err := f.look(ctx)
	if err != nil {
		return err
	}
	// A first read that does not block: a reader that cannot read is no reader.
	if err := f.touch(ctx, reader, at.last); err != nil {
		return err
	}
	f.store.place(f, true)
	return f.rounds(ctx, reader, at, well)
}

var (
	// errLost says that there is another marker, or that the stream ends
	// before an entry that was seen.
	errLost = errors.New("the store was flushed, or went back to older data")
	// errElsewhere says that the follower's connection leads to another server
	// than the Store's client, as after a failover to a new primary.
	errElsewhere = errors.New("the connection leads to a server that does not get the changes")
)

// rounds reads news, and compares marker and end of the stream once a round.
// It returns when its connection or its place in the stream is good no more:
// a new connection with a new place, and a hint to everybody, mends all cases.
func (f *follower) rounds(ctx context.Context, reader *redis.Client, at position, well func()) error {
	due := time.Now().Add(round)
	expected := at.last // what the store has, so what a read must deliver
	for {
		// Rounded up: 0 would block for ever, and less than is left would take
		// a second read.
		news, err := f.read(ctx, reader, at.last, max(time.Until(due), 0)+time.Millisecond)
		if err != nil {
			return err
		}
		if len(news) == 0 && at.last.before(expected) {
			return errElsewhere
		}
		if len(news) > 0 {
			at.last = parseStreamID(news[len(news)-1].ID)
			// What an intent announces comes at once, and is not to wait.
			if f.tell(news) && !wait(ctx, breather) {
				return ctx.Err()
			}
		}
		for _, missed := range f.open.overdue(time.Now()) {
			f.store.wake(missed)
		}
		if time.Now().Before(due) {
			continue
		}
		due = time.Now().Add(round)
		seen, err := f.look(ctx)
		if err != nil {
			return err
		}
		if seen.marker != at.marker || seen.last.before(at.last) {
			return errLost
		}
		well()
		expected = seen.last
	}
}

// tell wakes the watches of the names in news, and reports whether there was
// more than intents. A read that is full may end before, or have begun after,
// entries that were trimmed.
func (f *follower) tell(news []redis.XMessage) bool {
	writes := make(map[string]coordinator.Stamp, len(news))
	for _, entry := range news {
		name, _ := entry.Values["name"].(string)
		text, _ := entry.Values["stamp"].(string)
		write, _ := coordinator.ParseStamp(text) // zero if an older version has written it
		if _, intended := entry.Values[intentField]; intended {
			f.open[write] = intent{name, time.Now()}
			continue
		}
		delete(f.open, write)
		if _, several := writes[name]; several {
			write = coordinator.Stamp{} // to know the last does not mean to know all
		}
		writes[name] = write
	}
	if len(news) >= streamLength {
		f.store.wakeAll()
		return true
	}
	for name, write := range writes {
		f.store.wake(coordinator.Change{Name: name, Write: write})
	}
	return len(writes) > 0
}

// read returns the entries after last, the oldest first; none if there is no
// news for as long as block.
func (f *follower) read(ctx context.Context, reader *redis.Client, last streamID, block time.Duration) ([]redis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, max(block, 0)+replyTimeout)
	defer cancel()
	streams, err := reader.XRead(ctx, &redis.XReadArgs{
		Streams: []string{f.store.changesKey(), last.String()}, Count: streamLength, Block: block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if f.store.clustered() && (redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK")) {
		return nil, errElsewhere // the stream has moved: the next connection finds out where to
	}
	if err != nil || len(streams) == 0 {
		return nil, err
	}
	return streams[0].Messages, nil
}

// touch tries the reader.
func (f *follower) touch(ctx context.Context, reader *redis.Client, last streamID) error {
	const doNotBlock = -1
	_, err := f.read(ctx, reader, last, doNotBlock)
	return err
}

// look returns the marker and the end of the stream, through the client of the
// Store, whose commands see what this process writes.
func (f *follower) look(ctx context.Context) (position, error) {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	s := f.store
	pipe := s.client.Pipeline()
	marker := pipe.Get(ctx, s.markerKey())
	newest := pipe.XRevRangeN(ctx, s.changesKey(), "+", "-", 1)
	_, err := pipe.Exec(ctx)
	if err != nil && !errors.Is(err, redis.Nil) {
		return position{}, err
	}
	if err := newest.Err(); err != nil {
		return position{}, err
	}
	at := position{marker: marker.Val()}
	if entries := newest.Val(); len(entries) > 0 {
		at.last = parseStreamID(entries[0].ID)
	}
	if at.marker == "" {
		at.marker, err = s.mark(ctx)
	}
	return at, err
}

// wait pauses for d and reports whether ctx is still alive.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
