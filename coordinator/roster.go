package coordinator

import (
	"context"
	"time"
)

// Roster is a Store that knows which processes are at work on it. It is for
// people: nothing of the protocol depends on it, so a store that cannot be
// reached keeps nobody from joining.
type Roster interface {
	// Join makes the participant known until leave is called, and sees to it by
	// itself that it stays known. It does not wait. leave may be called twice;
	// it waits for a moment, so that a process that ends is forgotten at once.
	//
	// What a process costs the store does not depend on how many participants
	// it has: those of the same Instance are one.
	Join(p Participant) (leave func())

	// Instances returns the processes that are alive, sorted by name, up to
	// MostInstances of them. One that was killed is among them for up to
	// InstanceLifetime.
	Instances(ctx context.Context) ([]Instance, error)
}

const (
	// InstanceLifetime is how long a process is taken for alive after it was
	// last heard of.
	InstanceLifetime = time.Minute
	// MostInstances bounds what a Roster tells.
	MostInstances = 1000
)

// Participant is a Coordinator or a Group that runs.
type Participant struct {
	Instance string     // Config.Instance
	Mints    bool       // not Config.NeverMint
	Tokens   func() int // how many it keeps fresh, asked from time to time by any goroutine
}

// Instance is a process that is alive. Its times are on the store's clock.
type Instance struct {
	Name   string    `json:"instance"`
	ID     string    `json:"id"`     // random: tells apart processes that were given the same name
	Mints  bool      `json:"mints"`  // false: it reads what others mint
	Tokens int       `json:"tokens"` // that it keeps fresh
	Since  time.Time `json:"since"`  // when it began, whole seconds
	Seen   time.Time `json:"seen"`   // when it was last heard of
}

// takePart makes this process known to a store that has a Roster.
func takePart(store Store, cfg *Config, tokens func() int) (leave func()) {
	roster, ok := As[Roster](store)
	if !ok {
		return func() {}
	}
	return roster.Join(Participant{Instance: cfg.Instance, Mints: !cfg.NeverMint, Tokens: tokens})
}
