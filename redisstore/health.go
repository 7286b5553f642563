package redisstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Health is what matters of a Redis server. A field is zero where the user may
// not ask for it; Unknown says so.
type Health struct {
	Version         string        // "7.2.4"
	Mode            string        // "standalone", "cluster" or "sentinel"
	User            string        // who we are to the server; empty before Redis 6, and where the user may not ask
	Role            string        // "master" or "slave", as Redis calls them
	Replicas        int           // connected to this server
	MaxmemoryPolicy string        // should be "noeviction"
	AppendOnly      bool          // every write is logged to disk
	RoundTrip       time.Duration // of one command, the fastest of some
	ClockSkew       time.Duration // the server's clock less ours, give or take half of RoundTrip
	Unknown         []error       // one per question that was not answered
}

// Inspect asks the server for its state. On a cluster that is the one with the
// change stream; MaxmemoryPolicy and AppendOnly are those of the worst master,
// for records are on all of them. It returns an error only if the server does
// not serve at all; a command that the user may not run is noted in
// Health.Unknown.
func (s *Store) Inspect(ctx context.Context) (Health, error) {
	if s.unfit != nil {
		return Health{}, s.unfit
	}
	server, err := nodeOf(ctx, s.client, s.changesKey())
	if err != nil {
		return Health{}, explain("inspect", err)
	}
	var h Health
	h.User, _ = server.Do(ctx, "ACL", "WHOAMI").Text() // whoever may not ask has a user of its own
	for _, question := range []func(context.Context, *redis.Client) error{h.askTime, h.askInfo} {
		if err := h.note(question(ctx, server)); err != nil {
			return Health{}, err
		}
	}
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		var mu sync.Mutex
		err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			var other Health
			err := other.askInfo(ctx, master)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				h.worsen(other)
			}
			return h.note(err)
		})
		if err != nil {
			return Health{}, explain("inspect", err)
		}
	}
	return h, nil
}

// note keeps what the user may not ask, and returns any other error.
func (h *Health) note(err error) error {
	switch {
	case err == nil:
		return nil
	case redis.HasErrorPrefix(err, "NOPERM"), redis.HasErrorPrefix(err, "ERR unknown command"):
		err = explain("inspect", err)
		told := func(other error) bool { return other.Error() == err.Error() } // by another master
		if !slices.ContainsFunc(h.Unknown, told) {
			h.Unknown = append(h.Unknown, err)
		}
		return nil
	default:
		return explain("inspect", err)
	}
}

// worsen takes over what another master has worse.
func (h *Health) worsen(other Health) {
	const good = "noeviction"
	if h.MaxmemoryPolicy == good && other.MaxmemoryPolicy != good && other.MaxmemoryPolicy != "" {
		h.MaxmemoryPolicy = other.MaxmemoryPolicy
	}
	h.AppendOnly = h.AppendOnly && other.AppendOnly
}

// askTime measures the fastest of some round trips: the first may connect, and
// any may wait for a busy machine instead of the network.
func (h *Health) askTime(ctx context.Context, server *redis.Client) error {
	for range 5 {
		sent := time.Now()
		theirs, err := server.Time(ctx).Result()
		if err != nil {
			return err
		}
		if took := time.Since(sent); h.RoundTrip == 0 || took < h.RoundTrip {
			h.RoundTrip = took
			h.ClockSkew = theirs.Sub(sent.Add(took / 2)).Round(time.Millisecond)
		}
	}
	return nil
}

// askInfo reads INFO. It has the eviction policy too, so that CONFIG, which
// managed servers forbid, is not needed.
func (h *Health) askInfo(ctx context.Context, server *redis.Client) error {
	text, err := server.Info(ctx).Result()
	if err != nil {
		return err
	}
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			info[name] = value
		}
	}
	h.Version, h.Mode, h.Role = info["redis_version"], info["redis_mode"], info["role"]
	h.MaxmemoryPolicy = info["maxmemory_policy"]
	h.AppendOnly = info["aof_enabled"] == "1"
	h.Replicas, _ = strconv.Atoi(info["connected_slaves"])
	if h.MaxmemoryPolicy == "" {
		h.Unknown = append(h.Unknown, errors.New("redisstore: inspect: INFO does not tell maxmemory_policy"))
	}
	return nil
}
