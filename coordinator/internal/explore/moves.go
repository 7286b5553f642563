package explore

import (
	"fmt"
	"slices"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// move is one thing that happens; it becomes words only when a run is printed.
type move struct {
	who  int8 // a process, or nobody
	what string
	n    int16 // the attempt, revision or token that it is about; 0: none
}

// world makes the moves of one scenario.
type world struct {
	rules    Rules
	scenario Scenario
	archive  *archive
	traits   coordinator.Traits
	emit     func(move, state)
	broken   string // a promise that the last move broke
}

func newWorld(rules Rules, scenario Scenario) *world {
	const grace = time.Hour // longer than any run
	return &world{rules: rules, scenario: scenario, archive: newArchive(), traits: coordinator.Traits{Kind: scenario.Kind, Overlap: grace}}
}

func (w *world) start() state {
	s := state{
		next: 1, lock: nobody, valid: 1, renewals: uint8(w.scenario.Renewals), rotations: uint8(w.scenario.Rotations), crashes: uint8(w.scenario.Crashes), timeouts: uint8(w.scenario.Timeouts),
		rollbacks: uint8(w.scenario.Rollbacks), flushes: uint8(w.scenario.Flushes), reports: uint8(w.scenario.Reports), lapses: uint8(w.scenario.Lapses), graces: uint8(w.scenario.Graces),
	}
	if !w.scenario.Fresh {
		first := coordinator.Record{
			Lineage: []coordinator.Stamp{{Revision: 1, ID: 1}}, DoubtAt: 1, Grant: coordinator.Grant{Value: tokenValue(0), State: w.stateOf(0)},
		}
		if w.scenario.Overlapped {
			first.Grant.State, first.Spares = w.stateOf(1), []string{w.stateOf(0)}
			s.next = 2
			if w.scenario.Forks {
				s.valid |= 1 << 1
			}
		}
		s.writes = 1
		s.record = w.archive.add(first)
	}
	for i := range s.procs {
		s.procs[i].step = dead
		if i < len(w.scenario.Attempts) {
			s.procs[i] = process{step: idle, left: uint8(w.scenario.Attempts[i])}
			s.memories[i] = s.record
		}
	}
	return s
}

// stateOf is the refresh token that comes with a token, if any does.
func (w *world) stateOf(token uint8) string {
	if w.scenario.Kind == coordinator.Rotating {
		return tokenValue(token)
	}
	return ""
}

// moves emits every state that may follow s.
func (w *world) moves(s state) {
	w.store(s)
	w.provider(s)
	w.grace(s)
	for i, p := range s.procs {
		switch p.step {
		case idle:
			w.look(s, i)
			w.expire(s, i)
			w.report(s, i)
			w.lock(s, i)
		case locked:
			w.begin(s, i)
		case begun:
			w.send(s, i)
		case sent:
			w.timeout(s, i)
		case answered:
			w.commit(s, i)
		case refused:
			w.refused(s, i)
		}
		w.crash(s, i)
	}
}

// store: what happens to the store by itself.
func (w *world) store(s state) {
	if s.lock != nobody {
		to := s
		to.lock = nobody
		w.emit(move{nobody, "the lock lapses", 0}, to)
	}
	if s.rollbacks > 0 {
		for _, old := range s.earlier[:s.past] {
			to := lose(s, old)
			to.rollbacks--
			w.emit(move{nobody, "the store is rolled back to", int16(w.archive.records[old].Revision())}, to)
		}
	}
	if s.flushes > 0 && s.record != 0 {
		to := lose(s, 0)
		to.flushes--
		w.emit(move{nobody, "the store is flushed", 0}, to)
	}
	if token := tokenNumber(w.archive.records[s.record].Grant.Value); s.lapses > 0 && token < maxTokens && s.expired&(1<<token) == 0 {
		to := s
		to.lapses--
		to.expired |= 1 << token
		w.emit(move{nobody, "time passes and ends token", int16(token)}, to)
	}
}

func lose(s state, now recordID) state {
	s.record, s.lock, s.earlier, s.past = now, nobody, [remembered]recordID{}, 0
	s.writes++
	return s
}

// base returns what process i builds on, and the stamp of its next write.
func (w *world) base(s state, i int) (coordinator.Record, coordinator.Stamp, coordinator.Relation) {
	memory, record := w.archive.get(s.memories[i], s.expired), w.archive.get(s.record, s.expired)
	at := coordinator.Stamp{Revision: int64(s.writes) + 1, ID: uint64(s.writes) + 1}
	if w.scenario.FrozenClock {
		at.Revision = max(memory.Revision(), record.Revision()) + 1
	}
	reconcile := w.rules.Reconcile
	if s.procs[i].step != idle {
		reconcile = w.rules.BeforeWrite
	}
	base, relation := reconcile(memory, record, at)
	if relation == coordinator.Forked {
		at.ID |= forkFlag
		base, relation = reconcile(memory, record, at)
		base = w.rules.Settled(base, memory, record, w.traits)
	}
	return base, at, relation
}

// write makes r the record, and what process i remembers.
func (w *world) write(s state, i int, r coordinator.Record, m move) {
	if s.rollbacks > 0 {
		copy(s.earlier[1:], s.earlier[:remembered-1])
		s.earlier[0] = s.record
		s.past = min(s.past+1, remembered)
	}
	s.writes++
	s.record = w.archive.add(r)
	w.remember(s, i, m)
}

// remember makes the record what process i remembers.
func (w *world) remember(s state, i int, m move) {
	old, now := w.archive.records[s.memories[i]], w.archive.records[s.record]
	joined := func(at coordinator.Stamp) bool { return at.ID&forkFlag != 0 && !slices.Contains(old.Lineage, at) }
	if !w.scenario.AnyGeneration && now.Grant.Generation < old.Grant.Generation && !slices.ContainsFunc(now.Lineage, joined) {
		w.broken = "a process goes back to an older generation, and nothing was joined"
	}
	s.memories[i] = s.record
	w.emit(m, s)
}

func (w *world) look(s state, i int) {
	if s.memories[i] == s.record {
		return
	}
	base, at, relation := w.base(s, i)
	if relation == coordinator.Level {
		w.remember(s, i, move{int8(i), "sees the record", 0})
		return
	}
	w.write(s, i, base.Child(at), move{int8(i), "reconciles", 0})
}

// expire: the owner of the attempt is gone and nothing is under way, or it is
// paused before it sends. What a paused process does later is explored too.
func (w *world) expire(s state, i int) {
	base, at, _ := w.base(s, i)
	for k, a := range base.Attempts {
		n := attemptNumber(a.ID)
		owner := s.procs[processNumber(a.By)]
		theirs := owner.attempt == n && owner.step != dead
		if (theirs && owner.step != begun) || (!theirs && s.wire[n] != 0) {
			continue
		}
		child := base.Child(at)
		child.Attempts = slices.Clone(child.Attempts)
		for j := range child.Attempts {
			child.Attempts[j].Deadline = moment(at).Add(time.Minute)
		}
		child.Attempts[k].Deadline = longAgo
		r, _ := w.rules.Expire(child, moment(at))
		to := s
		if token := carriedBy(a); token != none {
			to.tried |= 1 << token
		}
		w.write(to, i, r, move{int8(i), "expires", int16(n)})
	}
}

func (w *world) report(s state, i int) {
	held := w.archive.records[s.memories[i]].Grant.Value
	if s.reports == 0 || held == "" || s.accepts(w.scenario.Kind, tokenNumber(held)) {
		return
	}
	base, at, _ := w.base(s, i)
	if w.rules.Judge(base, held, moment(at), 0) != coordinator.Acted {
		return
	}
	if s.accepts(w.scenario.Kind, tokenNumber(base.Grant.Value)) && !w.needed(base, at) {
		w.broken = "the rejection of a token that was replaced costs a mint"
	}
	s.reports--
	w.write(s, i, w.rules.Reported(base.Child(at), processName(i), moment(at), w.traits), move{int8(i), "reports token", int16(tokenNumber(held))})
}

func (w *world) lock(s state, i int) {
	base, at, _ := w.base(s, i)
	if s.procs[i].left == 0 || s.lock != nobody {
		return
	}
	s.lock = int8(i)
	s.procs[i] = process{step: locked, left: s.procs[i].left - 1}
	if w.needed(base, at) {
		w.emit(move{int8(i), "locks", 0}, s)
	}
	if s.rotations > 0 {
		s.rotations--
		s.procs[i].forced = true
		w.emit(move{int8(i), "locks, to force a new token", 0}, s)
	}
}

func (w *world) begin(s state, i int) {
	base, at, _ := w.base(s, i)
	if needed := s.procs[i].forced || w.needed(base, at); !needed {
		if w.rules.LooksAgain {
			w.emit(move{int8(i), "looks again: no mint is needed", 0}, release(s, i))
			return
		}
		w.broken = "a mint begins though none is needed"
	}
	n := s.next
	r := w.rules.Begin(base.Child(at), coordinator.Attempt{ID: attemptID(n), By: processName(i), Deadline: never}, moment(at), w.traits)
	s.next++
	s.procs[i].step, s.procs[i].attempt = begun, n
	if w.scenario.Kind == coordinator.Rotating {
		s.procs[i].carries = tokenNumber(r.Grant.State)
		if w.knowsAll(s, base) && s.reuses(base) {
			w.broken = fmt.Sprintf("the refresh token of token %d was spent, and is used though there is another", s.procs[i].carries)
		}
	}
	w.write(s, i, r, move{int8(i), "begins", int16(n)})
}

func (w *world) send(s state, i int) {
	n := s.procs[i].attempt
	to := s
	to.wire[n] = newRequest(i, s.procs[i])
	to.procs[i].step = sent
	w.emit(move{int8(i), "sends", int16(n)}, to)

	base, at, _ := w.base(s, i)
	w.write(release(s, i), i, w.rules.Abandon(base.Child(at), attemptID(n)), move{int8(i), "abandons, unsent,", int16(n)})
}

func (w *world) timeout(s state, i int) {
	if s.timeouts == 0 || !w.stands(s, i) || !w.mayLose(s, i) {
		return
	}
	to := release(s, i)
	to.timeouts--
	w.emit(move{int8(i), "gives up waiting for", int16(s.procs[i].attempt)}, to)
}

func (w *world) commit(s state, i int) {
	n, got := s.procs[i].attempt, s.procs[i].got
	base, at, _ := w.base(s, i)
	draft := w.rules.Spend(base.Child(at), w.stateOf(s.procs[i].carries), w.stateOf(got))
	r, kind := w.rules.Commit(draft, attemptID(n), w.grant(got, at), w.traits)
	what := "commits"
	if kind == coordinator.EventOverlapped {
		what = "commits, late,"
	}
	to := release(s, i)
	if w.scenario.Kind == coordinator.Rotating {
		to.told |= 1 << s.procs[i].carries
	}
	w.write(to, i, r, move{int8(i), what, int16(n)})
}

func (w *world) grant(token uint8, at coordinator.Stamp) coordinator.Grant {
	return coordinator.Grant{Value: tokenValue(token), State: w.stateOf(token), IssuedAt: moment(at), ExpiresAt: never}
}

func (w *world) refused(s state, i int) {
	n := s.procs[i].attempt
	base, at, _ := w.base(s, i)
	r, changed := w.rules.Refused(base.Child(at), attemptID(n))
	what := "is refused with"
	if changed {
		what = "turns to the spare refresh token: refused with"
	}
	w.write(release(s, i), i, r, move{int8(i), what, int16(n)})
}

// mayLose: where the second use of a refresh token ends what the first one
// brought, the answer to the second one must not be lost, and the first one must
// not be processed after it without anybody to take its answer. Nobody can do
// anything about that.
func (w *world) mayLose(s state, i int) bool {
	p := s.procs[i]
	if w.scenario.Kind != coordinator.Rotating || w.scenario.Forks {
		return true
	}
	return s.wire[p.attempt] == 0 && (s.valid&(1<<p.attempt) == 0 || s.retry&(1<<p.carries) != 0)
}

// stands reports whether the attempt of process i was not given up yet. A
// process that is paused past its deadline, then sends, and then never learns
// the answer is outside of what the protocol can notice.
func (w *world) stands(s state, i int) bool {
	return slices.ContainsFunc(w.archive.records[s.record].Attempts, isAttempt(s.procs[i].attempt))
}

func (w *world) crash(s state, i int) {
	p := s.procs[i]
	if s.crashes == 0 || p.step == idle || p.step == dead {
		return
	}
	if p.step != locked && !w.stands(s, i) || !w.mayLose(s, i) {
		return
	}
	s.procs[i] = process{step: dead, attempt: p.attempt}
	s.crashes--
	w.emit(move{int8(i), "crashes", 0}, s)
}

func release(s state, i int) state {
	s.procs[i] = process{step: idle, left: s.procs[i].left}
	if s.lock == int8(i) {
		s.lock = nobody
	}
	return s
}

// needed is wider than Plan: with an attempt unresolved, Plan waits, but a
// process that is slow to notice may mint.
func (w *world) needed(r coordinator.Record, at coordinator.Stamp) bool {
	return len(r.Attempts) > 0 || r.Plan(moment(at), w.traits, false).Action != coordinator.Rest
}

func moment(at coordinator.Stamp) time.Time { return time.UnixMilli(at.Revision) }
