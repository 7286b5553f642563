package feed

import (
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

const (
	// kept is how many entries are kept for those who come back.
	kept = 512
	// buffer is how many entries a subscriber may be behind.
	buffer = 128
	// mostSubscribers and mostOfOne bound how many there are, and how many of
	// them one client may be.
	mostSubscribers, mostOfOne = 256, 32
	// linger is how long the feed goes on after the last subscriber.
	linger = 30 * time.Second
)

// The reasons why there is no subscription.
var (
	ErrFull   = errors.New("feed: too many subscribers")
	ErrClosed = errors.New("feed: closed")
)

// Entry is something that subscribers are told.
type Entry struct {
	ID    string
	Event coordinator.Event
	Gap   bool // there is no Event: some may be missing
}

// Feed publishes events. All of its methods are safe for concurrent use.
type Feed struct {
	store coordinator.Store

	mu          sync.Mutex // guards all below
	closed      bool
	epoch       string // part of ids: those of another epoch say nothing
	next        int    // number of the next entry
	entries     []Entry
	seen        recent
	names       map[string]bool
	subscribers map[*Subscription]struct{}
	follower    *follower   // nil while nobody looks
	idle        *time.Timer // ends the follower
}

// New returns a feed of what happens in a store.
func New(store coordinator.Store) *Feed {
	return &Feed{store: store, epoch: rand.Text()[:8], subscribers: make(map[*Subscription]struct{})}
}

// Keep sets the names whose events are published.
func (f *Feed) Keep(names []string) {
	all := make(map[string]bool, len(names))
	for _, name := range names {
		all[name] = true
	}
	f.mu.Lock()
	f.names = all
	follower := f.follower
	f.mu.Unlock()
	if follower != nil {
		follower.keep() // not under mu: observers must not wait for the store
	}
}

// kept returns the names whose events are published. They are not changed, but
// replaced.
func (f *Feed) kept() map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.names
}

// Observe is a coordinator.Config.Observer.
func (f *Feed) Observe(e coordinator.Event) { f.publish(e) }

// publish tells the subscribers of events that none of them was told before,
// the oldest first.
func (f *Feed) publish(events ...coordinator.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		e = normal(e)
		if f.closed || !f.names[e.Name] || !f.seen.add(e) {
			continue
		}
		f.add(Entry{Event: e})
	}
}

// gap tells the subscribers that events may be missing.
func (f *Feed) gap() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.add(Entry{Gap: true})
	}
}

// add gives an entry its id, keeps it and passes it on. The caller holds mu.
func (f *Feed) add(entry Entry) {
	entry.ID = f.epoch + "-" + strconv.Itoa(f.next)
	f.next++
	f.entries = append(f.entries, entry)
	if len(f.entries) >= 2*kept {
		f.entries = append([]Entry(nil), f.entries[len(f.entries)-kept:]...)
	}
	for s := range f.subscribers {
		if entry.Gap || s.may(entry.Event.Name) {
			select {
			case s.entries <- entry:
			default:
				f.remove(s) // it comes back when it has caught up
			}
		}
	}
}

// after returns the entries that came after the one with this id, if that is
// known. The caller holds mu.
func (f *Feed) after(id string) ([]Entry, bool) {
	epoch, number, _ := strings.Cut(id, "-")
	n, err := strconv.Atoi(number)
	first := f.next - len(f.entries)
	if err != nil || epoch != f.epoch || n < first-1 || n >= f.next {
		return nil, false
	}
	return f.entries[n+1-first:], true
}

// Subscription is one who looks.
type Subscription struct {
	feed    *Feed
	client  string
	may     func(name string) bool
	entries chan Entry
	resumed bool
}

// Subscribe begins a subscription of a client, which ends by Close, or by
// itself: when its reader is too slow, and with Disconnect. may says whether
// the client may know of a name. last is the id of the last entry that it has
// seen; empty for none.
func (f *Feed) Subscribe(client, last string, may func(name string) bool) (*Subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	own := 0
	for s := range f.subscribers {
		if s.client == client {
			own++
		}
	}
	if len(f.subscribers) >= mostSubscribers || own >= mostOfOne {
		return nil, ErrFull
	}
	missed, resumed := f.after(last)
	s := &Subscription{feed: f, client: client, may: may, resumed: resumed, entries: make(chan Entry, len(missed)+buffer)}
	for _, entry := range missed {
		if entry.Gap || may(entry.Event.Name) {
			s.entries <- entry
		}
	}
	f.subscribers[s] = struct{}{}
	if f.idle != nil {
		f.idle.Stop()
		f.idle = nil
	}
	if f.follower == nil {
		f.follower = f.follow()
	}
	return s, nil
}

// Resumed reports whether the subscription goes on where the last one ended.
func (s *Subscription) Resumed() bool { return s.resumed }

// Entries is closed when the subscription has ended.
func (s *Subscription) Entries() <-chan Entry { return s.entries }

// Close ends the subscription. It may be called twice.
func (s *Subscription) Close() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.feed.remove(s)
}

// remove ends a subscription. The caller holds mu.
func (f *Feed) remove(s *Subscription) {
	if _, ok := f.subscribers[s]; !ok {
		return
	}
	delete(f.subscribers, s)
	close(s.entries)
	if len(f.subscribers) == 0 && !f.closed {
		f.idle = time.AfterFunc(linger, f.rest)
	}
}

// rest ends the following of the store if still nobody looks.
func (f *Feed) rest() {
	f.mu.Lock()
	var ended *follower
	if len(f.subscribers) == 0 {
		ended, f.follower = f.follower, nil
		// What other processes do from now on will be missing.
		f.epoch, f.entries, f.seen = rand.Text()[:8], nil, recent{}
	}
	f.mu.Unlock()
	if ended != nil {
		ended.end()
	}
}

// Disconnect ends all subscriptions, so that those who may come back do so with
// the rights that they have by now.
func (f *Feed) Disconnect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subscribers {
		f.remove(s)
	}
}

// Close ends the feed, and waits until it no longer uses the store.
func (f *Feed) Close() {
	f.Disconnect()
	f.mu.Lock()
	f.closed = true
	ended := f.follower
	f.follower = nil
	if f.idle != nil {
		f.idle.Stop()
	}
	f.mu.Unlock()
	if ended != nil {
		ended.end()
	}
}
