package redisstore_test

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// eventually repeats try, whose success no signal tells, until it returns nil.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(2 * generous); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// TestFailover: a sentinel hands over to a replica. The old primary lives on
// as a replica, so that a follower could stay with it.
func TestFailover(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	primary := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	host, port, _ := net.SplitHostPort(primary.Addr())
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	sentinel := redistest.StartSentinel(t, primary)
	s, other := open(t, sentinel.SentinelURL(), redisstore.Config{}), open(t, replica.URL(), redisstore.Config{})
	w := watch(t, s, "shop")
	w.want(t, generous, "at first")
	r := write(t, s, "shop", coordinator.Record{})
	w.want(t, generous, "after a write")
	eventually(t, "the replica gets the record", func() error {
		got, _, err := other.Load(ctx, "shop")
		if err == nil && got.Stamp() != r.Stamp() {
			err = fmt.Errorf("it has %v", got.Stamp())
		}
		return err
	})

	control := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr()})
	defer control.Close()
	// One that is slow is given up by the sentinel, and has to be asked for again.
	eventually(t, "the replica is the primary", func() error {
		now, err := control.GetMasterAddrByName(ctx, "main").Result()
		if err == nil && net.JoinHostPort(now[0], now[1]) == replica.Addr() {
			return nil
		}
		return errors.Join(err, control.Failover(ctx, "main").Err(), errors.New("it is not"))
	})
	w.want(t, generous, "after the failover")
	eventually(t, "Swap on the new primary", func() error {
		next := child(r)
		_, err := s.Swap(ctx, "shop", r.Stamp(), next)
		if err == nil {
			r = next
		}
		return err
	})
	if got, _, err := other.Load(ctx, "shop"); err != nil || got.Stamp() != r.Stamp() {
		t.Errorf("the replica that was promoted has %v, %v; want %v", got.Stamp(), err, r.Stamp())
	}
	if h, err := s.Inspect(ctx); err != nil || h.Role != "master" {
		t.Errorf("Inspect: %+v, %v", h, err)
	}
	// The hints of the failover itself may still be coming: only a reader that
	// follows the new primary hears of each of these.
	for range 3 {
		r = write(t, other, "shop", r)
		w.want(t, generous, "after a write to the new primary")
	}
}
