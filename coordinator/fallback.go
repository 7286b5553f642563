package coordinator

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"sync"
	"time"
)

// clockField is kept in the fallback's copy beside the record: by how many
// milliseconds the store's clock was ahead of this machine's. After a restart
// without the store, it makes up for a wall clock that is wrong.
const clockField = "store_clock_ahead_ms"

// copying is the state of the last-known-good copy.
type copying struct {
	io     sync.Mutex    // one copy at a time
	read   chan struct{} // closed when it was read; nil: not begun; guarded by Coordinator.mu
	unread bool          // it could not be, and may hold what nobody else has; guarded by Coordinator.mu
	told   bool          // of that; guarded by Coordinator.mu
	saved  Grant         // guarded by Coordinator.mu
}

// holds reports whether the copy has r's token. The caller holds
// Coordinator.mu.
func (k *copying) holds(r Record) bool { return k != nil && k.saved == r.Grant }

// isUnread reports whether the copy may hold what nobody else has. The caller
// holds Coordinator.mu.
func (k *copying) isUnread() bool { return k != nil && k.unread }

// copyRecord brings the copy up to date, if there is a fallback and a token
// that it does not have. A copy that could not be read so far is read first.
func (c *Coordinator) copyRecord() {
	if c.copying == nil {
		return
	}
	c.copying.io.Lock()
	defer c.copying.io.Unlock()
	err := c.readAgain()
	record, clock, fresh := c.uncopied()
	if err == nil && !fresh {
		return
	}
	saved := false
	if err == nil {
		saved, err = c.writeCopy(record, clock)
	}
	if err != nil {
		e := c.eventNow(EventCopyFailed)
		e.Detail = detail(err)
		c.emit(e)
		return
	}
	if !saved {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.copying.saved = record.Grant
	c.publish()
}

// uncopied is what the copy should hold; fresh is false if there is no token,
// or if it has that.
func (c *Coordinator) uncopied() (record Record, clock storeClock, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	record, clock = c.memory.record(), c.clock
	return record, clock, record.Grant.Value != "" && !clock.guessed && !c.copying.holds(record)
}

// writeCopy reports whether the copy has the record, or what came of it. Another
// process of this machine may have been faster; at a rotating source it may then
// have another refresh token, and ours is where it was.
func (c *Coordinator) writeCopy(record Record, clock storeClock) (saved bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.StoreTimeout)
	defer cancel()
	ahead := clock.now.Sub(clock.received.Round(0)).Milliseconds()
	record.unknown = maps.Clone(record.unknown)
	if record.unknown == nil {
		record.unknown = map[string]string{}
	}
	record.unknown[clockField] = strconv.FormatInt(ahead, 10)
	for try := range maxSwaps {
		there, _, err := c.cfg.Fallback.Load(ctx, c.name)
		if err == nil {
			err = there.opened(c.name)
		}
		if errors.Is(err, ErrBadRecord) {
			there, err = Record{}, c.quarantine(ctx, err)
		}
		if err != nil {
			return false, err
		}
		if there.Revision() >= record.Revision() {
			return c.traits.Kind != Rotating || Relate(record, there) == Level, nil
		}
		if _, err = c.cfg.Fallback.Swap(ctx, c.name, there.Stamp(), record); !errors.Is(err, ErrConflict) {
			return err == nil, err
		}
		pause(ctx, try)
	}
	return false, ErrConflict
}

// quarantine puts a damaged copy aside, for a new one to be made. It returns
// that error if the fallback cannot do that.
func (c *Coordinator) quarantine(ctx context.Context, damaged error) error {
	fallback, ok := As[Quarantiner](c.cfg.Fallback)
	if !ok {
		return damaged
	}
	where, err := fallback.Quarantine(ctx, c.name)
	if err != nil {
		return err
	}
	if where == "" {
		return damaged // sound for the fallback, and not for us; or another process was faster
	}
	e := c.eventNow(EventCopyFailed)
	e.Detail = "the copy was damaged; it is kept as " + where + ", and a new one is made"
	c.emit(e)
	return nil
}

// couldNotRead has the copy read again, for a disk may be short of something for
// a moment: by the next look as long as nothing is known, and in any case before
// the copy is written, which would end what only the copy has, such as the one
// refresh token that is not spent.
func (c *Coordinator) couldNotRead(err error) {
	c.mu.Lock()
	told := c.copying.told
	c.copying.told = true
	if !lasting(err) {
		c.copying.unread = true
		if !c.memory.record().Exists() {
			c.copying.read = nil
		}
	}
	c.mu.Unlock()
	if !told {
		e := c.eventNow(EventCopyFailed)
		e.Detail = detail(err)
		c.emit(e)
	}
}

// readCopy remembers what the copy holds, once, before the first look. From
// then on it is memory like any other: reconciling tells what it is worth.
func (c *Coordinator) readCopy() {
	if c.copying == nil {
		return
	}
	c.mu.Lock()
	first := c.copying.read == nil
	if first {
		c.copying.read = make(chan struct{})
	}
	read := c.copying.read
	c.mu.Unlock()
	if !first {
		<-read // a look before that would hide what the copy has
		return
	}
	defer close(read)
	if err := c.takeCopy(); err != nil {
		c.couldNotRead(err)
	}
}

// readAgain reads the copy if that has failed so far. What makes it unusable for
// good is for writeCopy to find.
func (c *Coordinator) readAgain() error {
	c.mu.Lock()
	unread := c.copying.unread && !c.clock.guessed
	c.mu.Unlock()
	if !unread {
		return nil
	}
	err := c.takeCopy()
	if err == nil || !lasting(err) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.copying.unread = false
	return nil
}

// takeCopy reads the copy, and remembers what it holds. If the store was heard
// already, its record and the copy are reconciled as if the copy had been read
// before; what it adds is written back by the next look.
func (c *Coordinator) takeCopy() error {
	copied, clock, err := c.loadCopy()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.memory.record()
	if c.clock.guessed && known.Exists() {
		c.copying.unread = true // something was minted without the store: once that is heard
		return nil
	}
	c.copying.unread = false
	if !copied.Exists() {
		return nil
	}
	c.copying.saved = copied.Grant
	switch {
	case c.clock.guessed:
		c.remember(copied, clock)
	case Relate(copied, known) != Level:
		newer := known
		if copied.Revision() > known.Revision() {
			newer = copied
		}
		joined, relation := Reconcile(copied, known, NewStamp(newer, c.clock.at(time.Now())))
		if relation == Forked {
			joined = joined.Settled(copied, known, c.traits)
		}
		c.memory, c.ahead = memorize(joined), true
		c.publish()
	}
	return nil
}

// loadCopy loads the copy, and the clock that it is told by. The record is the
// zero Record if it is of no use.
func (c *Coordinator) loadCopy() (Record, storeClock, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.StoreTimeout)
	defer cancel()
	sent := time.Now()
	record, _, err := c.cfg.Fallback.Load(ctx, c.name)
	if err == nil {
		err = record.opened(c.name)
	}
	if err != nil {
		return Record{}, storeClock{}, err
	}
	ahead, _ := strconv.ParseInt(record.unknown[clockField], 10, 64)
	delete(record.unknown, clockField)
	clock := storeClock{now: sent.Round(0).UTC().Add(time.Duration(ahead) * time.Millisecond), sent: sent, received: sent, apart: apart(sent), byWall: true}
	ours := c.traits.Credential
	refreshes := c.traits.Kind == Rotating && record.Grant.State != "" // of use though its token is over
	if !record.Usable(clock.now) && !refreshes || ours != "" && record.Credential != "" && record.Credential != ours {
		return Record{}, storeClock{}, nil
	}
	return record, clock, nil
}
