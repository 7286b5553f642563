package coordinator_test

import (
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// day is noon in Greenwich, on the store's clock, on which these tests happen.
var day = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// lastWins is a provider like WeChat's /cgi-bin/token.
var lastWins = coordinator.Traits{Credential: "wechat:wx1#aa", Overlap: 5 * time.Minute}

// stamp is that of a write at the moment.
func stamp(at time.Time) coordinator.Stamp {
	return coordinator.Stamp{Revision: at.UnixMilli(), ID: uint64(at.UnixNano())}
}

// grantOf is a token that was asked for at the moment and lives for life.
func grantOf(value string, issued time.Time, life time.Duration) coordinator.Grant {
	return coordinator.Grant{Value: value, IssuedAt: issued, ExpiresAt: issued.Add(life), MintedBy: "host-1", Reason: coordinator.ReasonMissing}
}

// announce begins an attempt on r at the moment.
func announce(r coordinator.Record, id string, at time.Time, t coordinator.Traits) coordinator.Record {
	return r.Child(stamp(at)).Begin(coordinator.Attempt{ID: id, By: "host-" + id, Reason: coordinator.ReasonDue, Deadline: at.Add(10 * time.Second)}, at, t)
}

// minted is a record whose only mint began at the moment, took a second, and
// brought a token that lives for life.
func minted(tb testing.TB, value string, at time.Time, life time.Duration, t coordinator.Traits) coordinator.Record {
	tb.Helper()
	r, kind := announce(coordinator.Record{}, "first", at, t).Child(stamp(at.Add(time.Second))).Commit("first", grantOf(value, at, life), t)
	if kind != coordinator.EventMinted {
		tb.Fatalf("the first mint is %q", kind)
	}
	return r
}

// around are the moments just before, at, and just after a boundary.
var around = []time.Duration{-time.Millisecond, 0, time.Millisecond}
