package redisstore_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

func tokens(n int) coordinator.Participant {
	return coordinator.Participant{Instance: "host-1", Mints: true, Tokens: func() int { return n }}
}

// TestRosterAtRest: a process that is alive costs four commands a minute. One
// that dies is forgotten within a minute, and its key with it.
func TestRosterAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, s := bubble(t)
		defer s.Join(tokens(100_000))()
		time.Sleep(time.Minute)
		before := server.CommandCount()
		time.Sleep(time.Hour)
		// A script counts for one, and each of its four commands for one more.
		if n := server.CommandCount() - before; n != 240 && n != 240*5 {
			t.Errorf("%d commands in an hour", n)
		}
		if alive, err := s.Instances(t.Context()); err != nil || len(alive) != 1 || alive[0].Tokens != 100_000 || time.Since(alive[0].Seen) > 16*time.Second {
			t.Errorf("%+v, %v", alive, err)
		}

		dies := enter(t, server)
		if _, err := server.ZAdd("mintonce:instances", float64(time.Now().UnixMilli()), `{"instance":"killed","id":"x"}`); err != nil {
			t.Fatal(err)
		}
		if alive, err := dies.Instances(t.Context()); err != nil || len(alive) != 2 {
			t.Errorf("%+v, %v", alive, err)
		}
		time.Sleep(coordinator.InstanceLifetime)
		if alive, err := dies.Instances(t.Context()); err != nil || len(alive) != 1 {
			t.Errorf("a minute later: %+v, %v", alive, err)
		}
		time.Sleep(time.Minute)
		if members, err := server.ZMembers("mintonce:instances"); err != nil || len(members) != 1 {
			t.Errorf("the key holds %v, %v", members, err)
		}
	})
}

// TestRosterKey: what redis-cli shows, and that nothing is left behind.
func TestRosterKey(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, s := dial(t, server.URL()), open(t, server.URL(), redisstore.Config{})
	leave := s.Join(tokens(3))
	for deadline := time.Now().Add(generous); client.ZCard(t.Context(), "mintonce:instances").Val() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not announced")
		}
	}
	if ttl := client.PTTL(t.Context(), "mintonce:instances").Val(); ttl <= 0 || ttl > coordinator.InstanceLifetime {
		t.Errorf("the key lives for %s", ttl)
	}
	// Whatever others have put there is left out.
	client.ZAdd(t.Context(), "mintonce:instances", z("no JSON"), z(`{"instance":"a-friend","id":"1"}`))
	if alive, err := s.Instances(t.Context()); err != nil || len(alive) != 2 || alive[0].Name != "a-friend" || alive[1].Tokens != 3 {
		t.Errorf("%+v, %v", alive, err)
	}
	client.ZRem(t.Context(), "mintonce:instances", "no JSON", `{"instance":"a-friend","id":"1"}`)
	leave()
	if n := client.Exists(t.Context(), "mintonce:instances").Val(); n != 0 {
		t.Error("the key is left")
	}
}

// z is a member that was heard of just now, or a bit later.
func z(member string) redis.Z {
	return redis.Z{Score: float64(time.Now().Add(10 * time.Second).UnixMilli()), Member: member}
}
