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
	io    sync.Mutex    // one copy at a time
	read  chan struct{} // closed when it was read; nil: not begun; guarded by Coordinator.mu
	told  bool          // that it could not be read; guarded by Coordinator.mu
	saved Grant         // guarded by Coordinator.mu
}

// holds reports whether the copy has r's token. The caller holds
// Coordinator.mu.
func (k *copying) holds(r Record) bool { return k != nil && k.saved == r.Grant }

// copyRecord brings the copy up to date, if there is a fallback and a token
// that it does not have.
func (c *Coordinator) copyRecord() {
	if c.copying == nil {
		return
	}
	c.copying.io.Lock()
	defer c.copying.io.Unlock()
	c.mu.Lock()
	record, clock := c.memory.record(), c.clock
	fresh := record.Grant.Value != "" && !clock.guessed && !c.copying.holds(record)
	c.mu.Unlock()
	if !fresh {
		return
	}
	if err := c.writeCopy(record, clock); err != nil {
		e := c.eventNow(EventCopyFailed)
		e.Detail = detail(err)
		c.emit(e)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.copying.saved = record.Grant
	c.publish()
}

func (c *Coordinator) writeCopy(record Record, clock storeClock) error {
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
			return err
		}
		if there.Revision() >= record.Revision() {
			return nil // another process of this machine was faster
		}
		if _, err = c.cfg.Fallback.Swap(ctx, c.name, there.Stamp(), record); !errors.Is(err, ErrConflict) {
			return err
		}
		pause(ctx, try)
	}
	return ErrConflict
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

// couldNotRead has the next look try again, as long as nothing is known: a disk
// may be short of something for a moment.
func (c *Coordinator) couldNotRead(err error) {
	c.mu.Lock()
	told := c.copying.told
	c.copying.told = true
	if !lasting(err) && !c.memory.record().Exists() {
		c.copying.read = nil
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
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.StoreTimeout)
	defer cancel()
	sent := time.Now()
	record, _, err := c.cfg.Fallback.Load(ctx, c.name)
	if err == nil {
		err = record.opened(c.name)
	}
	if err != nil {
		c.couldNotRead(err)
		return
	}
	ahead, _ := strconv.ParseInt(record.unknown[clockField], 10, 64)
	delete(record.unknown, clockField)
	clock := storeClock{now: sent.Round(0).UTC().Add(time.Duration(ahead) * time.Millisecond), sent: sent, received: sent, apart: apart(sent), byWall: true}
	ours := c.traits.Credential
	refreshes := c.traits.Kind == Rotating && record.Grant.State != "" // of use though its token is over
	if !record.Usable(clock.now) && !refreshes || ours != "" && record.Credential != "" && record.Credential != ours {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.memory.record().Exists() {
		c.copying.saved = record.Grant
		c.remember(record, clock)
	}
}
