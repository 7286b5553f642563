package integration_test

import (
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// kind is a kind of fault.
type kind struct {
	name    string
	setting setting
	// extra is how many mints it may cost beside the one that is asked for: one
	// that nobody knows of, and one to make sure.
	extra  int
	strike func(l *lane, d dice) // returns when the fault is over
	// forgotten: the attempt is lost with the only process that knows of it.
	// Nothing is promised then but that a report heals, when the provider has
	// ended the token that is served; see coordinator/doc.go.
	forgotten bool
}

// limit is how soon after a fault everything must be in order: an attempt
// without an answer is given up after 4 s, with a pause and a mint after that.
// It is inside the overlap, so that nobody is left with a dead token.
func (k kind) limit() time.Duration {
	const limit = 12*time.Second + machineMargin
	if k.forgotten {
		return chaosOverlap + limit
	}
	return limit
}

var kinds = []kind{
	{name: "process killed, at any moment", setting: behindProxy, extra: 2, strike: func(l *lane, d dice) { l.killAt(d, anywhere) }},
	{name: "process killed, before sending", setting: behindProxy, extra: 2, strike: func(l *lane, d dice) { l.killAt(d, beforeSending) }},
	{name: "process killed, after sending", setting: behindProxy, extra: 2, strike: func(l *lane, d dice) { l.killAt(d, afterSending) }},
	{name: "process killed, after the answer", setting: behindProxy, extra: 2, strike: func(l *lane, d dice) { l.killAt(d, afterAnswer) }},
	{name: "all processes killed", setting: behindProxy, extra: 2, strike: (*lane).killAll},
	{name: "process stopped, at any moment", setting: behindProxy, extra: 2, strike: func(l *lane, d dice) { l.stopAt(d, anywhere) }},
	{name: "process stopped, before sending", setting: behindProxy, extra: 2, strike: func(l *lane, d dice) { l.stopAt(d, beforeSending) }},
	{name: "process stopped, after sending", setting: behindProxy, extra: 2, strike: func(l *lane, d dice) { l.stopAt(d, afterSending) }},
	{name: "process stopped, after the answer", setting: behindProxy, extra: 2, strike: func(l *lane, d dice) { l.stopAt(d, afterAnswer) }},
	{name: "Redis flushed", setting: behindProxy, extra: 2, strike: (*lane).flush},
	{name: "failover, lock and newest writes lost", setting: behindProxy, extra: 2, strike: (*lane).failover},
	{name: "failover by three sentinels, the same", setting: threeSentinels, extra: 2, strike: (*lane).sentinelFailover},
	{name: "slot of the record or of the changes moved", setting: threeMasters, extra: 2, strike: (*lane).moveSlot},
	{name: "Redis hung", setting: behindProxy, extra: 2, strike: (*lane).hang},
	{name: "Redis slow", setting: behindProxy, extra: 2, strike: (*lane).slow},
	{name: "Redis out of memory", setting: behindProxy, extra: 2, strike: (*lane).outOfMemory},
	{name: "Redis read-only", setting: behindProxy, extra: 2, strike: (*lane).readOnly},
	{name: "Redis restarted, with its data", setting: behindProxy, extra: 2, strike: func(l *lane, d dice) { l.restart(d, false) }},
	{name: "Redis restarted, empty", setting: behindProxy, extra: 2, strike: func(l *lane, d dice) { l.restart(d, true) }},
	{name: "replies lost", setting: behindProxy, extra: 2, strike: (*lane).loseReplies},
	{name: "connections cut", setting: behindProxy, extra: 2, strike: (*lane).cut},
	{name: "scripts forgotten", setting: behindProxy, extra: 2, strike: (*lane).forgetScripts},
	{name: "kill and flush at once", setting: behindProxy, extra: 2, strike: (*lane).killAndFlush, forgotten: true},
	{name: "stop and failover at once", setting: behindProxy, extra: 3, strike: (*lane).stopAndFailover},
}

// More moments; see gate_test.go and stopped_holder_test.go for the others.
const (
	atRest      = "at rest"
	anywhere    = "at any moment"
	afterCommit = "after the commit"
)

// someMoment is one at which a fault of the store strikes.
func someMoment(d dice) string {
	return pick(d, atRest, anywhere, beforeSending, afterSending, afterAnswer, afterCommit)
}

// moment has a mint get to a moment. It returns who mints, or anybody, and what lets
// it go on.
func (l *lane) moment(d dice, moment string) (minter *remote, goOn func()) {
	l.t.Helper()
	someone, wait := pick(d, l.fleet...), d.between(0, 40*time.Millisecond)
	switch moment {
	case atRest:
	case anywhere:
		const latency = 20 * time.Millisecond
		l.provider.Inject(wechattest.Fault{Kind: wechattest.Slow, Delay: latency})
		l.provoke(d)
		time.Sleep(wait) // the moment is meant to be any
	case afterCommit:
		before, _ := l.record(l.current())
		l.provoke(d)
		eventually(l.t, "a mint is committed", func() error {
			now, err := l.record(l.current())
			if err == nil && now["generation"] == before["generation"] {
				err = errNotYet
			}
			return err
		})
	default:
		c := l.catch(l.gate, moment)
		l.provoke(d)
		return l.named(c.caught(l.t)), c.release
	}
	return someone, func() {}
}

// provoke has one of the fleet mint, as when an operator rotates. (A report of a
// token that the provider accepts would be taken for the work of a foreign
// minter, after two of them.)
func (l *lane) provoke(d dice) {
	r, answered := pick(d, l.fleet...), make(chan struct{})
	l.asked = append(l.asked, answered)
	go func() {
		defer close(answered)
		_, _ = ask[held](r, "POST", "/rotate") // it may be killed, or overtaken
	}()
}

func (l *lane) killAt(d dice, moment string) {
	victim, goOn := l.moment(d, moment)
	l.bury(victim)
	goOn()
	time.Sleep(d.between(0, time.Second)) // as an orchestrator takes to notice
	l.bear()
}

func (l *lane) killAll(d dice) {
	_, goOn := l.moment(d, someMoment(d))
	for len(l.fleet) > 0 {
		l.bury(l.fleet[0])
	}
	goOn()
	for range chaosFleet {
		l.bear()
	}
}

// stopAt stops the minter for a moment, past its lease, or until the others
// have given up its attempt.
func (l *lane) stopAt(d dice, moment string) {
	victim, goOn := l.moment(d, moment)
	victim.freeze()
	goOn()
	time.Sleep(pick(d, d.between(100*time.Millisecond, 800*time.Millisecond), d.between(1200*time.Millisecond, 2500*time.Millisecond), d.between(4500*time.Millisecond, 6*time.Second)))
	victim.thaw()
}

func (l *lane) flush(d dice) {
	_, goOn := l.moment(d, someMoment(d))
	l.tell(l.redis, "FLUSHALL")
	goOn()
}

// failover has the replica take over behind the address. It lacks what was
// written since a moment before the mint.
func (l *lane) failover(d dice) {
	l.stopReplication()
	_, goOn := l.moment(d, someMoment(d))
	l.takeOver()
	goOn()
	l.standbyFollows()
}

func (l *lane) takeOver() {
	l.tell(l.standby, "REPLICAOF", "NO", "ONE")
	l.redis, l.standby = l.standby, l.redis
	l.proxy.Retarget(l.redis.Addr())
}

func (l *lane) sentinelFailover(d dice) {
	l.stopReplication()
	_, goOn := l.moment(d, someMoment(d))
	old, hung, early := l.redis, d.chance(0.5), d.chance(0.5)
	if hung {
		old.Pause()
	} else {
		old.Stop()
	}
	if early {
		goOn()
	}
	l.promoted(l.sentinels)
	if !early {
		goOn()
	}
	if hung {
		old.Resume()
		time.Sleep(d.between(0, 500*time.Millisecond)) // there are two primaries now
	} else {
		old.Restart()
	}
	l.standbyFollows()
}

func (l *lane) moveSlot(d dice) {
	key := pick(d, recordKey, changesKey)
	m := l.moving(key)
	_, goOn := l.moment(d, someMoment(d))
	if d.chance(0.5) {
		m.key(key)
		time.Sleep(d.between(0, 300*time.Millisecond))
	}
	m.rest()
	goOn()
	time.Sleep(d.between(0, 300*time.Millisecond))
	m.done()
}

// hang stops the server: connections stay open and get no answer.
func (l *lane) hang(d dice) {
	_, goOn := l.moment(d, someMoment(d))
	l.redis.Pause()
	goOn()
	time.Sleep(d.between(200*time.Millisecond, 4*time.Second))
	l.redis.Resume()
}

func (l *lane) slow(d dice) {
	l.proxy.Slow(d.between(50*time.Millisecond, 400*time.Millisecond))
	l.provoke(d)
	time.Sleep(d.between(500*time.Millisecond, 3*time.Second))
	l.proxy.Slow(0)
}

func (l *lane) outOfMemory(d dice) {
	_, goOn := l.moment(d, someMoment(d))
	l.tell(l.redis, "CONFIG", "SET", "maxmemory", "1")
	goOn()
	l.provoke(d)
	time.Sleep(d.between(200*time.Millisecond, 3*time.Second))
	l.tell(l.redis, "CONFIG", "SET", "maxmemory", "0")
}

// readOnly has the server refuse to write, because it lacks replicas or because
// it takes itself for the replica of a server that does not exist.
func (l *lane) readOnly(d dice) {
	_, goOn := l.moment(d, someMoment(d))
	lacking := d.chance(0.5)
	if lacking {
		l.tell(l.redis, "CONFIG", "SET", "min-replicas-to-write", "5")
	} else {
		const nowhere = "1"
		l.tell(l.redis, "REPLICAOF", "127.0.0.1", nowhere)
	}
	goOn()
	l.provoke(d)
	time.Sleep(d.between(200*time.Millisecond, 3*time.Second))
	if lacking {
		l.tell(l.redis, "CONFIG", "SET", "min-replicas-to-write", "0")
	} else {
		l.tell(l.redis, "REPLICAOF", "NO", "ONE")
	}
	l.wantReplicated()
}

func (l *lane) restart(d dice, empty bool) {
	_, goOn := l.moment(d, someMoment(d))
	l.redis.Stop()
	goOn()
	if empty {
		l.redis.Forget()
	}
	time.Sleep(d.between(0, time.Second))
	l.redis.Restart()
	l.standbyFollows()
}

// loseReplies lets requests through and loses what Redis answers.
func (l *lane) loseReplies(d dice) {
	for range 1 + d.IntN(3) {
		lost := l.proxy.LoseReply(pick(d, lockKey, recordKey, historyKey, "evalsha"))
		l.provoke(d)
		select {
		case <-lost:
		case <-time.After(d.between(500*time.Millisecond, 2*time.Second)):
		}
	}
	l.proxy.KeepReplies()
}

func (l *lane) cut(d dice) {
	_, goOn := l.moment(d, someMoment(d))
	l.proxy.Refuse()
	goOn()
	time.Sleep(d.between(0, 2*time.Second))
	l.proxy.Accept()
}

func (l *lane) forgetScripts(d dice) {
	_, goOn := l.moment(d, someMoment(d))
	l.tell(l.redis, "SCRIPT", "FLUSH")
	goOn()
}

func (l *lane) killAndFlush(d dice) {
	victim, goOn := l.moment(d, pick(d, beforeSending, afterSending, afterAnswer))
	l.bury(victim)
	l.tell(l.redis, "FLUSHALL")
	goOn()
	l.bear()
}

func (l *lane) stopAndFailover(d dice) {
	l.stopReplication()
	victim, goOn := l.moment(d, pick(d, beforeSending, afterSending, afterAnswer))
	victim.freeze()
	l.takeOver()
	goOn()
	time.Sleep(d.between(100*time.Millisecond, 6*time.Second))
	victim.thaw()
	l.standbyFollows()
}
