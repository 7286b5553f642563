// Package footprint keeps a process small that holds very many tokens and does
// little.
//
// Go collects garbage when as much of it has gathered as is in use. For a
// hundred thousand tokens that is twice the memory that they need, for a
// process that hardly makes any garbage. To collect more often from the start
// would make the start slow, where nearly all of the garbage is made: so memory
// is bounded while tokens are loaded, and garbage is kept low from then on.
package footprint

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// many is from how many tokens on it matters.
	many = 10_000
	// base and perToken make the bound while loading: 270 MB for 100,000 tokens
	// of WeChat, which need 175. It is a soft one: with larger tokens the
	// collector works harder until all are loaded.
	base     = 32 << 20
	perToken = 2400
	// percent is how much garbage may gather at rest, in percent of what is in
	// use. 100,000 tokens are 15 refreshes a second, and so a collection every
	// minute or two.
	percent = 40
	// calm is what a process at rest allocates in a second, at most.
	calm = 4 << 20
	// longest is how long memory is bounded, at rest or not.
	longest = 30 * time.Second
)

// Bound bounds the memory of this process while it loads very many tokens; few
// it leaves alone. settle waits until the process is at rest for the first time,
// or half a minute has passed, gives back what was needed until then, and has
// garbage collected early from then on. If ctx ends before, it changes nothing.
//
// GOMEMLIMIT and GOGC in the environment prevail.
func Bound(tokens int) (settle func(ctx context.Context)) {
	if tokens < many {
		return func(context.Context) {}
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(base + perToken*int64(tokens))
	}
	return func(ctx context.Context) {
		if !rest(ctx) {
			return
		}
		if os.Getenv("GOMEMLIMIT") == "" {
			debug.SetMemoryLimit(math.MaxInt64)
		}
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(percent)
		}
		debug.FreeOSMemory()
	}
}

// rest waits until this process has allocated little for a second. It returns
// false if ctx has ended before.
func rest(ctx context.Context) bool {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	end := time.After(longest)
	for before, grown := allocated(), uint64(calm); grown >= calm; {
		select {
		case <-ctx.Done():
			return false
		case <-end:
			return true
		case <-ticker.C:
		}
		now := allocated()
		before, grown = now, now-before
	}
	return true
}

// allocated is how many bytes this process has ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
