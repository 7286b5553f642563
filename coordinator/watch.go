package coordinator

import "sync"

// watching shares one subscription to the store's hints among all who need it.
type watching struct {
	mu    sync.Mutex // guards users and stop
	users int
	stop  func()
}

// hint returns a channel that is closed at the next hint. Take it before
// looking, wait for it afterwards, and no hint is missed.
func (c *Coordinator) hint() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.news
}

// notify passes a hint on to all who wait.
func (c *Coordinator) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.news)
	c.news = make(chan struct{})
}

// watch subscribes to hints, if the store has any, until unwatch.
func (c *Coordinator) watch() {
	w, ok := c.store.(Watcher)
	if !ok {
		return
	}
	c.watching.mu.Lock()
	defer c.watching.mu.Unlock()
	if c.watching.users++; c.watching.users == 1 {
		c.watching.stop = w.Watch(c.name, c.notify)
	}
}

func (c *Coordinator) unwatch() {
	if _, ok := c.store.(Watcher); !ok {
		return
	}
	c.watching.mu.Lock()
	defer c.watching.mu.Unlock()
	if c.watching.users--; c.watching.users == 0 {
		c.watching.stop()
	}
}
