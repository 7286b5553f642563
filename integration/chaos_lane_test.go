package integration_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/faultproxy"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// setting is how a lane's Redis is set up.
type setting string

const (
	behindProxy    setting = "Redis"    // a primary and a replica behind one address
	threeSentinels setting = "Sentinel" // a primary and a replica, and three sentinels
	threeMasters   setting = "Cluster"
)

// The timings of a chaos fleet: those of the defaults, about ten times as fast,
// as far as the configuration lets them.
const (
	chaosOverlap = 20 * time.Second // of 5 minutes at WeChat
	chaosCalls   = 25 * time.Millisecond
	chaosFleet   = 3
)

var chaosConfig = replicaConfig{Calls: chaosCalls, MinimumAge: 100 * time.Millisecond, MintTimeout: time.Second, Lease: time.Second, Unrationed: true}

// lane is a world with a fleet under calls, on which one round of faults after
// another is played.
type lane struct {
	*world
	gate      *gate
	cfg       replicaConfig
	proxy     *faultproxy.Proxy     // behindProxy
	sentinels []*redistest.Server   // threeSentinels
	masters   redis.UniversalClient // threeMasters
	fleet     []*remote             // the replicas that live
	born      int
	asked     []chan struct{} // closed when what was asked of a replica has been answered
}

func newLane(t testing.TB, s setting) *lane {
	t.Helper()
	l := &lane{gate: newGate(t), cfg: chaosConfig}
	provider := wechattest.Config{Overlap: chaosOverlap, ClassicPerDay: -1}
	switch s {
	case threeSentinels:
		l.world, l.sentinels = newSentinelWorld(t, provider)
	case threeMasters:
		l.world = newClusterWorld(t, provider)
		l.masters = l.client()
	default:
		l.world, l.proxy = newPairWorld(t, provider)
	}
	l.cfg.Gate = l.gate.addr()
	for range chaosFleet {
		l.bear()
	}
	l.settle()
	return l
}

// bear adds a replica to the fleet.
func (l *lane) bear() {
	l.t.Helper()
	l.born++
	l.fleet = append(l.fleet, l.replicas(1, fmt.Sprintf("replica%d-", l.born), l.cfg)...)
}

// bury kills a replica.
func (l *lane) bury(r *remote) {
	l.t.Helper()
	r.kill()
	for i, other := range l.fleet {
		if other == r {
			l.fleet = append(l.fleet[:i:i], l.fleet[i+1:]...)
		}
	}
}

// named returns the replica of this name, or any if it is dead.
func (l *lane) named(name string) *remote {
	for _, r := range l.fleet {
		if r.name == name {
			return r
		}
	}
	return l.fleet[0]
}

// current is a client of the Redis that counts.
func (l *lane) current() redis.UniversalClient {
	if l.masters != nil {
		return l.masters
	}
	return l.at(l.redis)
}

// round plays one fault and returns what came of it.
func (l *lane) round(seed uint64, k kind) result {
	l.t.Helper()
	d, before := newDice(seed), l.books()
	struck := time.Now()
	k.strike(l, d)
	l.gate.openAll()
	l.provider.Clear()
	calm := time.Now()
	l.settle()
	r := result{Seed: seed, Kind: k.name, Setting: string(k.setting), Struck: calm.Sub(struck), Converged: time.Since(calm)}
	after := l.books()
	r.Mints, r.Rejected, r.Calls = after.mints-before.mints, after.rejected-before.rejected, after.accepted-before.accepted
	r.Extra = max(0, r.Mints-1)
	r.Failed, r.Back = after.failed-before.failed, after.back-before.back
	l.judge(r, k)
	return r
}

// judge fails the test for what a round must not show.
func (l *lane) judge(r result, k kind) {
	l.t.Helper()
	var wrong []string
	if r.Converged > k.limit() {
		wrong = append(wrong, fmt.Sprintf("converged after %s, want %s", r.Converged.Round(time.Millisecond), k.limit()))
	}
	if r.Extra > k.extra {
		wrong = append(wrong, fmt.Sprintf("%d mints, want at most %d\n%s", r.Mints, 1+k.extra, l.provider.told()))
	}
	if r.Failed > 0 {
		wrong = append(wrong, fmt.Sprintf("%d calls failed: %s", r.Failed, strings.Join(l.complaints(callFailed), "; ")))
	}
	if r.Back > 0 {
		wrong = append(wrong, strings.Join(l.complaints(wentBack), "; "))
	}
	for _, what := range wrong {
		l.t.Errorf("seed %d, %s: %s", r.Seed, r.Kind, what)
	}
}

// books are counts since the world began.
type books struct{ mints, rejected, accepted, failed, back int }

func (l *lane) books() books {
	minted, _ := l.provider.mints()
	return books{
		mints: minted, rejected: l.provider.rejected(), accepted: l.provider.App(appID).CallsAccepted,
		failed: len(l.complaints(callFailed)), back: len(l.complaints(wentBack)),
	}
}

// complaints are the lines that begin like this, of all replicas that ever were.
func (l *lane) complaints(begins string) []string {
	var found []string
	for _, p := range l.processes {
		for line := range strings.Lines(p.stdout.String()) {
			if strings.HasPrefix(line, begins) {
				found = append(found, p.name+": "+strings.TrimSpace(line))
			}
		}
	}
	return found
}

// settle waits until the fleet is in order and stays so: nothing is under way,
// the record holds the provider's newest token, and everybody serves that and
// makes calls with it.
func (l *lane) settle() {
	l.t.Helper()
	for _, asked := range l.asked {
		signalled(l.t, "what was asked of a replica is answered", asked)
	}
	l.asked = nil
	eventually(l.t, "the fleet is in order", l.inOrder)
	for _, r := range l.fleet {
		r.drain()
	}
	eventually(l.t, "the fleet is in order when nothing is under way", l.inOrder)
	moreCalls(l.t, l.fleet)
	eventually(l.t, "the fleet is still in order", l.inOrder)
}

func (l *lane) inOrder() error {
	record, err := l.record(l.current())
	failed := errors.Join(err,
		expect("attempts", record["attempts"], ""),
		expect("doubt_at", record["doubt_at"], ""),
		expect("the token of the record", coordinator.Fingerprint(record["value"]), l.provider.newest()))
	for _, r := range l.fleet {
		token, err := ask[held](r, "GET", "/token?wait=1s")
		failed = errors.Join(failed, err,
			expect(r.name+": the token", token.Fingerprint, l.provider.newest()),
			expect(r.name+": generation", fmt.Sprint(token.Generation), record["generation"]))
	}
	return failed
}
