package coordinator

import "sync"

// hub is the Watcher of a group's members: one subscription to all changes,
// whatever the number of members. A member subscribes only while it waits.
type hub struct {
	all WatcherOfAll // nil: the store tells of single names only, or of none
	one Watcher      // nil: it tells of none

	mu      sync.Mutex // guards waiting and on
	on      bool       // the group follows all changes
	waiting map[string]map[*func()]struct{}
}

func newHub(store Store) *hub {
	h := &hub{waiting: make(map[string]map[*func()]struct{})}
	h.all, _ = As[WatcherOfAll](store)
	h.one, _ = As[Watcher](store)
	return h
}

// follow subscribes to all changes, if the store can tell them.
func (h *hub) follow(notify func(Change)) (stop func()) {
	if h.all == nil {
		return func() {}
	}
	end := h.all.WatchAll(func(news Change) {
		h.tell(news.Name)
		notify(news)
	})
	h.set(true)
	return func() {
		end()
		h.set(false)
	}
}

// attend subscribes to the changes of one member that Run keeps, where the
// store cannot tell of all at once.
func (h *hub) attend(name string, notify func(Change)) (stop func()) {
	if h.all != nil || h.one == nil {
		return func() {}
	}
	// Some stores give the first hint before Watch returns, to a caller that
	// holds its lock.
	return h.one.Watch(name, func() { go notify(Change{Name: name}) })
}

// watcher returns what members subscribe at: nil if the store tells nothing.
func (h *hub) watcher() Watcher {
	if h.one == nil {
		return nil
	}
	return h
}

func (h *hub) set(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on = on
}

// Watch implements Watcher for members.
func (h *hub) Watch(name string, notify func()) (stop func()) {
	h.mu.Lock()
	if !h.on {
		h.mu.Unlock()
		if h.one == nil {
			return func() {}
		}
		return h.one.Watch(name, notify)
	}
	if h.waiting[name] == nil {
		h.waiting[name] = make(map[*func()]struct{})
	}
	h.waiting[name][&notify] = struct{}{}
	h.mu.Unlock()
	notify() // the group is watching already
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.waiting[name], &notify)
		if len(h.waiting[name]) == 0 {
			delete(h.waiting, name)
		}
	}
}

// tell passes a hint on to the members that wait for it; an empty name is
// meant for all.
func (h *hub) tell(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if name != "" {
		tellAll(h.waiting[name])
		return
	}
	for _, notifies := range h.waiting {
		tellAll(notifies)
	}
}

func tellAll(notifies map[*func()]struct{}) {
	for notify := range notifies {
		(*notify)()
	}
}
