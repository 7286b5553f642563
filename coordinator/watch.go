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
	return c.news.wait()
}

// notify passes a hint on to all who wait.
func (c *Coordinator) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.news.send()
}

// watch subscribes to hints, if the store has any, until unwatch.
func (c *Coordinator) watch() {
	if c.cfg.hints == nil {
		return
	}
	c.watching.mu.Lock()
	defer c.watching.mu.Unlock()
	if c.watching.users++; c.watching.users == 1 {
		c.watching.stop = c.cfg.hints.Watch(c.name, c.notify)
	}
}

func (c *Coordinator) unwatch() {
	if c.cfg.hints == nil {
		return
	}
	c.watching.mu.Lock()
	defer c.watching.mu.Unlock()
	if c.watching.users--; c.watching.users == 0 {
		c.watching.stop()
	}
}

// signal tells all who wait for it. The zero value is ready; it is guarded by
// the lock of what it belongs to.
type signal struct{ waited chan struct{} }

// wait returns a channel that is closed by the next send.
func (s *signal) wait() <-chan struct{} {
	if s.waited == nil {
		s.waited = make(chan struct{})
	}
	return s.waited
}

func (s *signal) send() {
	if s.waited != nil {
		close(s.waited)
		s.waited = nil
	}
}
