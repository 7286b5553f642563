package storetest

import (
	"context"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/roster"
)

// Join implements [coordinator.Roster]. It runs one goroutine for all
// participants, which ends with the last of them.
func (m *Memory) Join(p coordinator.Participant) (leave func()) { return m.roster.Join(p) }

// Instances implements [coordinator.Roster].
func (m *Memory) Instances(ctx context.Context) ([]coordinator.Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []coordinator.Instance
	for id, i := range m.instances {
		if m.now().Sub(i.Seen) >= coordinator.InstanceLifetime {
			delete(m.instances, id)
			continue
		}
		found = append(found, i)
	}
	return roster.Alive(found), nil
}

// announcing is the roster.Backend of a Memory.
type announcing struct{ *Memory }

func (m announcing) Now(ctx context.Context) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now(), ctx.Err()
}

func (m announcing) Announce(ctx context.Context, i, _ coordinator.Instance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i.Seen = m.now()
	m.instances[i.ID] = i
	return ctx.Err()
}

func (m announcing) Withdraw(ctx context.Context, i coordinator.Instance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.instances, i.ID)
	return ctx.Err()
}
