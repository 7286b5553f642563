package redisstore

import (
	"context"
	_ "embed"
	"encoding/json"
	"strconv"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/roster"
	"github.com/redis/go-redis/v9"
)

var (
	//go:embed announce.lua
	announceSource string
	//go:embed instances.lua
	instancesSource string

	announceScript  = redis.NewScript(announceSource)
	instancesScript = redis.NewScript(instancesSource)
)

func (s *Store) instancesKey() string { return s.prefix + ":instances" }

// Join implements coordinator.Roster with one command every 15 seconds for
// each instance, whatever the number of its participants. A user who may not
// write takes part unseen.
func (s *Store) Join(p coordinator.Participant) (leave func()) {
	if s.unfit != nil {
		return func() {} // every other call says so
	}
	return s.roster.Join(p)
}

// Instances implements coordinator.Roster with one command.
func (s *Store) Instances(ctx context.Context) ([]coordinator.Instance, error) {
	if s.unfit != nil {
		return nil, s.unfit
	}
	reply, err := s.run(ctx, instancesScript, []string{s.instancesKey()}, coordinator.InstanceLifetime.Milliseconds(), coordinator.MostInstances)
	if err != nil {
		return nil, explain("read the instances", err)
	}
	var found []coordinator.Instance
	for i := 0; i+1 < len(reply); i += 2 {
		text, _ := reply[i].(string)
		seen, _ := reply[i+1].(string)
		var member instance
		ms, err := strconv.ParseInt(seen, 10, 64)
		if err != nil || json.Unmarshal([]byte(text), &member) != nil {
			continue // it is for people: what cannot be read is left out
		}
		found = append(found, coordinator.Instance{
			Name: member.Name, ID: member.ID, Mints: member.Mints, Tokens: member.Tokens, Since: member.Since, Seen: time.UnixMilli(ms).UTC(),
		})
	}
	return roster.Alive(found), nil
}

// instance is a member of the sorted set. When it was last seen is its score.
type instance struct {
	Name   string    `json:"instance"`
	ID     string    `json:"id"`
	Mints  bool      `json:"mints"`
	Tokens int       `json:"tokens"`
	Since  time.Time `json:"since"`
}

func member(i coordinator.Instance) string {
	if i.ID == "" {
		return ""
	}
	text, _ := json.Marshal(instance{i.Name, i.ID, i.Mints, i.Tokens, i.Since}) // it has no value that JSON has not
	return string(text)
}

// announcing is the roster.Backend of a Store.
type announcing struct{ *Store }

func (s announcing) Now(ctx context.Context) (time.Time, error) {
	return s.client.Time(ctx).Result()
}

func (s announcing) Announce(ctx context.Context, i, before coordinator.Instance) error {
	keys := []string{s.instancesKey()}
	return announceScript.Run(ctx, s.client, keys, member(i), member(before), coordinator.InstanceLifetime.Milliseconds()).Err()
}

func (s announcing) Withdraw(ctx context.Context, i coordinator.Instance) error {
	return s.client.ZRem(ctx, s.instancesKey(), member(i)).Err()
}
