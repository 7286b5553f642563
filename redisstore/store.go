package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/bsm/redislock"
	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/roster"
	"github.com/redis/go-redis/v9"
)

// DefaultPrefix is what keys begin with unless Config says otherwise.
const DefaultPrefix = "mintonce"

// Config tunes a Store. The zero value works.
type Config struct {
	// Prefix is what every key begins with. It separates fleets that share one
	// Redis. Default DefaultPrefix; up to 64 of A-Z a-z 0-9 . _ : -
	Prefix string

	// Warn, if set, is told what is amiss but does not stop the Store: client
	// options that work but should be others, in New, and later the loss of
	// the connection for news, once per outage. It is called from several
	// goroutines and must not block. Default: nobody is told.
	Warn func(error)
}

// Store keeps records in Redis. It is safe for concurrent use, and processes
// with the same Redis and prefix share its records. It needs no Close: a
// connection of its own exists only while something is watched, and the client
// belongs to the caller.
type Store struct {
	client redis.UniversalClient
	locks  *redislock.Client
	prefix string
	warn   func(error)
	unfit  error // returned by every call, if the client or the prefix must not be used
	roster roster.Announcer

	mu       sync.Mutex // guards the fields below
	watches  map[string]map[*watch]struct{}
	follower *follower // of the change stream, while there are watches
}

var (
	_ coordinator.Store         = (*Store)(nil)
	_ coordinator.Watcher       = (*Store)(nil)
	_ coordinator.WatcherOfAll  = (*Store)(nil)
	_ coordinator.BulkLoader    = (*Store)(nil)
	_ coordinator.Historian     = (*Store)(nil)
	_ coordinator.LockInspector = (*Store)(nil)
	_ coordinator.Lister        = (*Store)(nil)
	_ coordinator.Roster        = (*Store)(nil)
)

var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// New returns a Store on client, which stays the caller's to close. A client
// with unsafe options (see [CheckClient]) or a bad prefix makes every call of
// the Store fail with an error that says so. [Open] makes a client that fits,
// and bounds what a server may answer; New changes nothing of a client, so give
// one of your own a Dialer of [BoundReplies].
func New(client redis.UniversalClient, cfg Config) *Store {
	s := &Store{
		client:  client,
		locks:   redislock.New(client),
		prefix:  cfg.Prefix,
		warn:    cfg.Warn,
		watches: make(map[string]map[*watch]struct{}),
	}
	s.roster.Backend = announcing{s}
	if s.prefix == "" {
		s.prefix = DefaultPrefix
	}
	if s.warn == nil {
		s.warn = func(error) {}
	}
	if !prefixPattern.MatchString(s.prefix) {
		s.unfit = fmt.Errorf("redisstore: Config.Prefix %.80q: must be 1 to 64 characters of A-Z a-z 0-9 . _ : -", s.prefix)
	}
	for _, problem := range inspectOptions(client) {
		if problem.Unsafe {
			s.unfit = errors.Join(s.unfit, problem)
		} else {
			s.warn(problem)
		}
	}
	return s
}

// check is the first step of every call about a record.
func (s *Store) check(name string) error {
	if s.unfit != nil {
		return s.unfit
	}
	return coordinator.CheckName(name)
}

// The hash tag puts all keys of one credential into one slot of a cluster.
func (s *Store) recordKey(name string) string  { return s.prefix + ":{" + name + "}" }
func (s *Store) lockKey(name string) string    { return s.recordKey(name) + ":lock" }
func (s *Store) historyKey(name string) string { return s.recordKey(name) + ":history" }
func (s *Store) changesKey() string            { return s.prefix + ":changes" }
func (s *Store) markerKey() string             { return s.prefix + ":marker" }

// clustered reports whether a script may not touch the change stream, which is
// in another slot than the record.
func (s *Store) clustered() bool {
	_, ok := s.client.(*redis.ClusterClient)
	return ok
}

var (
	//go:embed load.lua
	loadSource string
	//go:embed swap.lua
	swapSource string
	//go:embed unlock.lua
	unlockSource string

	loadScript   = redis.NewScript(loadSource)
	swapScript   = redis.NewScript(swapSource)
	unlockScript = redis.NewScript(unlockSource)
)

// run executes a script by its hash, and by its source where Redis does not
// have it.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) ([]any, error) {
	return script.Run(ctx, s.client, keys, args...).Slice()
}
