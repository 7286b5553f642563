package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/mintonce/mintonce/wechat"
)

// merchantNames are the credentials of a platform.
func merchantNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("merchant-%06d", i)
	}
	return names
}

// merchantSource is the source that a platform would have for each of them. It
// costs memory and is never asked: nothing of what it is for falls due.
func merchantSource() coordinator.Source {
	return wechat.NewClassicToken("wx00000000sandbox0", "sandbox-secret-0123456789abcdef", wechat.Config{API: "http://127.0.0.1:9"})
}

// quickSource stands for the same accounts and mints in no time, so that only
// the work of coordination is measured.
type quickSource struct {
	traits coordinator.Traits
	life   time.Duration
	mints  *atomic.Int64
}

func (s quickSource) Traits() coordinator.Traits { return s.traits }

func (s quickSource) Mint(context.Context, coordinator.Token) (coordinator.Token, error) {
	return coordinator.NewToken(tokenValue("merchant", s.mints.Add(1)), time.Now().Add(s.life)), nil
}

// prepare writes the records that a fleet which has run for days would have
// left: a full lineage, a token with most of its life ahead. Those before due
// fall due at that moment.
func prepare(ctx context.Context, server *redisServer, names []string, due int, at time.Time) error {
	template := agedRecord()
	began := time.Now()
	const bulk = 500
	for i := 0; i < len(names); i += bulk {
		pipe := server.Pipeline()
		for j := i; j < min(i+bulk, len(names)); j++ {
			r := template
			r.Grant.Value = tokenValue(names[j], int64(j))
			r.RefreshAt = began.Add(80*time.Minute + rand.N(20*time.Minute)).UTC().Truncate(time.Millisecond)
			if j < due {
				r.RefreshAt = at.UTC().Truncate(time.Millisecond)
			}
			pipe.HSet(ctx, redisstore.DefaultPrefix+":{"+names[j]+"}", r.Fields())
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// agedRecord is a record after many mints, the last of them a moment ago.
func agedRecord() coordinator.Record {
	traits := merchantSource().Traits()
	const life, mints = 2 * time.Hour, 20
	var r coordinator.Record
	for i := range mints {
		at := time.Now().Add(time.Duration(i-mints) * time.Second).UTC().Truncate(time.Millisecond)
		id := fmt.Sprintf("%016x", i)
		r = r.Child(coordinator.NewStamp(r, at)).Begin(coordinator.Attempt{ID: id, By: "refresher-1", Reason: coordinator.ReasonDue, Deadline: at.Add(10 * time.Second)}, at, traits)
		grant := coordinator.Grant{Value: tokenValue("aged", int64(i)), IssuedAt: at, ExpiresAt: at.Add(life), MintedBy: "refresher-1", Reason: coordinator.ReasonDue}
		r, _ = r.Child(coordinator.NewStamp(r, at.Add(300*time.Millisecond))).Commit(id, grant, traits)
	}
	return r
}
