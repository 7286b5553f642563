package feed

import "github.com/mintonce/mintonce/coordinator"

// memory is how many events are recognized when they come a second time. Those
// of one event are moments apart.
const memory = 1024

// recent knows the events of late. The zero value knows none.
type recent struct {
	known map[coordinator.Event]bool
	order []coordinator.Event // a ring, once it is full
	at    int
}

// add reports whether the event is new.
func (r *recent) add(e coordinator.Event) bool {
	if r.known[e] {
		return false
	}
	if r.known == nil {
		r.known = make(map[coordinator.Event]bool, memory)
	}
	if len(r.order) < memory {
		r.order = append(r.order, e)
	} else {
		delete(r.known, r.order[r.at])
		r.order[r.at] = e
		r.at = (r.at + 1) % memory
	}
	r.known[e] = true
	return true
}

// normal is an event as a history would return it, whether it comes from one or
// not.
func normal(e coordinator.Event) coordinator.Event { return coordinator.ParseEvent(e.Fields()) }
