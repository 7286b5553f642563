package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// longestRead is the longest ReadTimeout that fits a lease of a few seconds.
const longestRead = 3 * time.Second

// OptionError says that a client has an option that does not suit a Store.
type OptionError struct {
	Option  string // as go-redis calls it; empty for the kind of client
	Problem string
	Remedy  string
	Unsafe  bool // a Store refuses such a client, and otherwise only warns
}

func (e *OptionError) Error() string {
	if e.Option == "" {
		return fmt.Sprintf("redisstore: redis client: %s: %s", e.Problem, e.Remedy)
	}
	return fmt.Sprintf("redisstore: redis client option %s: %s: %s", e.Option, e.Problem, e.Remedy)
}

// CheckClient returns what is wrong with the client's options, each as an
// *[OptionError], joined; nil for a client that fits, as those of [Open] do.
// It sends nothing.
//
// It cannot see FailoverOptions.ReplicaOnly, which go-redis does not tell. Such
// a client fails at its first write; [Store.Inspect] tells the role.
func CheckClient(client redis.UniversalClient) error {
	var all error
	for _, problem := range inspectOptions(client) {
		all = errors.Join(all, problem)
	}
	return all
}

// options are those that matter, of any kind of client, as go-redis has
// normalized them: for MaxRetries and ReadTimeout, 0 means none.
type options struct {
	contextTimeout bool
	maxRetries     int
	readTimeout    time.Duration
	cached         bool
}

func inspectOptions(client redis.UniversalClient) []*OptionError {
	switch c := client.(type) {
	case *redis.Client:
		o := c.Options()
		return options{o.ContextTimeoutEnabled, o.MaxRetries, o.ReadTimeout, o.ClientSideCache != nil || o.ClientSideCacheConfig != nil}.problems()
	case *redis.ClusterClient:
		o := c.Options()
		problems := options{o.ContextTimeoutEnabled, o.MaxRetries, o.ReadTimeout, false}.problems()
		return append(problems, replicaReads(o)...)
	default:
		return []*OptionError{{
			Problem: fmt.Sprintf("a %T is not supported", client),
			Remedy:  "use redis.NewClient, NewFailoverClient or NewClusterClient, or redisstore.Open", Unsafe: true,
		}}
	}
}

func (o options) problems() []*OptionError {
	var found []*OptionError
	if !o.contextTimeout {
		found = append(found, &OptionError{
			Option: "ContextTimeoutEnabled", Problem: "is false, so that calls outlast their context, and a lease its trust",
			Remedy: "set it to true", Unsafe: true,
		})
	}
	if o.maxRetries > 0 {
		found = append(found, &OptionError{
			Option: "MaxRetries", Problem: "lets go-redis repeat commands whose reply was lost, so that calls take longer and history entries may appear twice",
			Remedy: "set it to -1",
		})
	}
	if o.readTimeout <= 0 || o.readTimeout > longestRead {
		found = append(found, &OptionError{
			Option: "ReadTimeout", Problem: fmt.Sprintf("is more than %s, so that a call whose context is cancelled may go on for long", longestRead),
			Remedy: "set it to 1s",
		})
	}
	if o.cached {
		found = append(found, &OptionError{
			Option: "ClientSideCache", Problem: "may show the store's marker as it was, so that a flush is noticed late",
			Remedy: "use a client without a cache",
		})
	}
	return found
}

// replicaReads: a replica may be behind, and show a record or a lock that is
// gone.
func replicaReads(o *redis.ClusterOptions) []*OptionError {
	var found []*OptionError
	for _, option := range []struct {
		name string
		set  bool
	}{
		// go-redis sets ReadOnly along with the others: name the cause only.
		{"ReadOnly", o.ReadOnly && !o.RouteByLatency && !o.RouteRandomly},
		{"RouteByLatency", o.RouteByLatency},
		{"RouteRandomly", o.RouteRandomly},
	} {
		if option.set {
			found = append(found, &OptionError{Option: option.name, Problem: "reads from replicas, which may be behind", Remedy: "set it to false", Unsafe: true})
		}
	}
	return found
}

// dedicated returns a client of the same server for one connection that may
// block: it is not taken from the caller's pool, and closing it breaks off a
// read. On a cluster it leads to the node that has key.
func dedicated(ctx context.Context, client redis.UniversalClient, key string) (*redis.Client, error) {
	node, err := nodeOf(ctx, client, key)
	if err != nil {
		return nil, err
	}
	o := *node.Options()
	// NewClient normalizes once more, and would take 0 for "unset".
	o.MaxRetries = -1
	o.ReadTimeout, o.WriteTimeout = replyTimeout, replyTimeout
	o.ContextTimeoutEnabled = true
	o.DialTimeout = min(o.DialTimeout, replyTimeout)
	o.DialerRetries = 1
	o.MinIdleConns, o.PipelinePoolSize = 0, -1
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.PushNotificationProcessor = nil // the one of node is not for sharing
	o.ClientSideCache, o.ClientSideCacheConfig = nil, nil
	return redis.NewClient(&o), nil
}

// nodeOf returns the client of the one server that has key.
func nodeOf(ctx context.Context, client redis.UniversalClient, key string) (*redis.Client, error) {
	switch c := client.(type) {
	case *redis.ClusterClient:
		c.ReloadState(ctx) // in the background: what follows a move of the slot
		return c.MasterForKey(ctx, key)
	case *redis.Client:
		return c, nil
	default: // New has refused it
		return nil, fmt.Errorf("redisstore: a %T is not supported", client)
	}
}
