package main

const (
	transitions = "coordinator/transitions.go"
	lineage     = "coordinator/lineage.go"
	mint        = "coordinator/mint.go"
	ask         = "coordinator/ask.go"
	commit      = "coordinator/commit.go"
	update      = "coordinator/update.go"
	flight      = "coordinator/flight.go"
	away        = "coordinator/away.go"
	plan        = "coordinator/plan.go"
)

// guards are in the order in which coordinator's documentation tells them.
var guards = []guard{
	{
		name:     "look again after locking",
		mutation: "who has got the lock decides on what it knew before, not on the record as it is now",
		edits: []edit{
			{mint, `
	plan := c.plan()
	if plan.Action != Mint {
		return nil
	}
`, `
	plan := c.plan()
`},
			{mint, `
		if again.Action != Mint {
			return draft, nil, false
		}
		m.attempt.Reason = again.Reason
`, `
		if again.Action == Mint {
			m.attempt.Reason = again.Reason
		}
`},
		},
		catchers: []catcher{simulation},
	},
	{
		name:     "attempts are written before sending",
		mutation: "an attempt is noted in memory only, and written with its commit",
		edits: []edit{
			{mint, `
	_, err := c.update(context.Background(), false, rotate, func(draft`, `
	err := c.announceInMemory(func(draft`},
			{mint, `
// ordersFor tells the history`, `
func (c *Coordinator) announceInMemory(apply change) error {
	c.mu.Lock()
	clock, memory := c.clock, c.memory.record()
	c.mu.Unlock()
	now := clock.at(time.Now())
	draft := memory.Child(NewStamp(memory, now))
	if next, _, ok := apply(draft, now); ok {
		c.adopt(written{next, clock})
	}
	return nil
}

// ordersFor tells the history`},
		},
		catchers: []catcher{simulation},
	},
	{
		name:     "doubt on overlap",
		mutation: "a commit that overlapped with another is dropped in silence",
		edits: []edit{
			{transitions, `return r.grant(g, t).Doubt("mints overlapped").trying(states), EventOverlapped`, `return r.grant(g, t).trying(states), EventOverlapped`},
			{transitions, `return r.Doubt("mints overlapped").trying(states), EventOverlapped`, `return r.trying(states), EventOverlapped`},
		},
		catchers: []catcher{exploration},
		short:    true,
	},
	{
		name:     "order of doubts",
		mutation: "a commit clears any doubt, also doubt that is younger than its attempt",
		edits:    []edit{{transitions, `if r.DoubtAt <= began {`, `if r.DoubtAt <= began || r.DoubtAt > began {`}},
		catchers: []catcher{exploration},
		short:    true,
	},
	{
		name:     "expiry of attempts into doubt",
		mutation: "an attempt without an answer is given up without doubt",
		edits:    []edit{{transitions, `r = r.without(a.ID).Doubt("a mint by " + a.By + " ended without an answer")`, `r = r.without(a.ID)`}},
		catchers: []catcher{exploration, simulation},
	},
	{
		name:     "a set of attempts",
		mutation: "an attempt takes the place of those that are unresolved",
		edits: []edit{{transitions, `r.Attempts = append(r.Attempts, a)
	r.Budget = r.Budget.on(now, t)`, `r.Attempts = []Attempt{a}
	r.Budget = r.Budget.on(now, t)`}},
		catchers: []catcher{exploration},
	},
	{
		name:     "reconciling before every write",
		mutation: "memory and record are compared when looking only, not before begin, commit, fail and report",
		edits: []edit{
			{update, `c.base(ctx, fresh || try > 0, adoptCredential)`, `c.base(ctx, fresh || try > 0, adoptCredential, apply != nil)`},
			{update, `func (c *Coordinator) base(ctx context.Context, fresh, adoptCredential bool) (base, error) {`,
				`func (c *Coordinator) base(ctx context.Context, fresh, adoptCredential, writes bool) (base, error) {`},
			{update, `
	b.record, b.relation = Reconcile(memory, record, b.at)
`, `
	b.record = record
	if !writes {
		b.record, b.relation = Reconcile(memory, record, b.at)
	}
`},
		},
		catchers: []catcher{named("./coordinator", "TestRollBackDuringAMint"), simulation},
	},
	{
		name:     "fast-forward (putting back)",
		mutation: "what the store has lost is not put back",
		edits: []edit{{lineage, `
	case Behind:
		return memory.Child(at), relation
`, `
	case Behind:
		return record, Level
`}},
		catchers: []catcher{exploration, simulation},
	},
	{
		name:     "doubt on a fork",
		mutation: "two histories are joined without doubt",
		edits:    []edit{{lineage, `return joined.Doubt("two histories of the record were joined"), relation`, `return joined, relation`}},
		catchers: []catcher{exploration},
		short:    true,
	},
	{
		name:     "lineage, not revision",
		mutation: "the higher revision is taken for the successor",
		edits: []edit{
			{lineage, `case !memory.Exists() || descends(record, memory):`, `case memory.Revision() <= record.Revision():`},
			{lineage, `case !record.Exists() || slices.Contains(memory.Lineage, record.Stamp()):`, `case memory.Revision() > record.Revision():`},
		},
		catchers: []catcher{exploration, simulation},
	},
	{
		name:     "scoped report",
		mutation: "a late report of the token before is taken for one of the current token",
		edits: []edit{{transitions, `
	case Fingerprint(value) == r.Previous.Fingerprint:
		return Late
`, `
	case Fingerprint(value) == r.Previous.Fingerprint:
		return Acted
`}},
		catchers: []catcher{simulation, named("./coordinator", "TestReports")},
	},
	{
		name:     "minimum age",
		mutation: "a report of a token that was minted a moment ago is acted upon",
		edits:    []edit{{transitions, `minimumAge > 0 && r.Age(now) < minimumAge:`, `minimumAge < 0 && r.Age(now) < minimumAge:`}},
		catchers: []catcher{simulation, named("./coordinator", "TestYoungAndUnknownReports")},
	},
	{
		name:     "lease trust",
		mutation: "a holder sends though its lock is lost, and does not break off when it loses it",
		edits: []edit{{ask, `
	if m.lost != nil {
		select {`, `
	if m.lost != nil && m.attempt.ID == "" {
		select {`}},
		catchers: []catcher{simulation},
	},
	{
		name:     "detached commit",
		mutation: "a mint is broken off, and its commit left out, when the last caller who waits goes away",
		edits: []edit{
			{ask, `
	ctx, cancel := context.WithDeadline(context.Background(), m.end)
`, `
	ctx, cancel := context.WithDeadline(c.attached(), m.end)
`},
			{commit, `
	took := time.Since(m.sent)
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.MintTimeout)
`, `
	took := time.Since(m.sent)
	ctx, cancel := context.WithTimeout(c.attached(), c.cfg.MintTimeout)
`},
			{ask, `
// grant puts the token on`, `
func (c *Coordinator) attached() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight == nil || c.flight.waiters == 0 {
		return context.Background()
	}
	return c.flight.left
}

// grant puts the token on`},
		},
		catchers: []catcher{named("./coordinator", "TestCallerLeavesMintGoesOn"), simulation},
	},
	{
		name:     "keep-alives off",
		mutation: "mints reuse a connection, on which net/http repeats a request by itself",
		edits:    []edit{{"internal/tencent/wire.go", `DisableKeepAlives:      true,`, `DisableKeepAlives:      false,`}},
		catchers: []catcher{named("./wechat", "TestNoMintIsRepeatedByNetHTTP"), wholeStack},
		short:    true,
	},
	{
		name:     "idempotent scripts",
		mutation: "a swap that is sent again after a lost reply is taken for a conflict",
		edits: []edit{{"redisstore/swap.lua", `
if stored == ARGV[2] then
  return {2, now[1], now[2]}
elseif stored ~= ARGV[1] then`, `
if stored ~= ARGV[1] then`}},
		catchers: []catcher{named("./redisstore", "TestConformanceMiniredis/Swap/repeated"), wholeStack},
	},
	{
		name:     "the mint budget",
		mutation: "mints are counted and not limited",
		edits:    []edit{{plan, `if t.DailyMints > 0 && budget.Mints >= t.DailyMints {`, `if t.DailyMints < 0 && budget.Mints >= t.DailyMints {`}},
		catchers: []catcher{named("./coordinator", "TestBudgetHolds"), simulation},
	},
	{
		name:     "a look that failed is made up for",
		mutation: "a hint whose look failed is forgotten",
		edits:    []edit{{flight, `c.missed = again || errors.Is(err, ErrStoreUnavailable)`, `c.missed = again`}},
		catchers: []catcher{named("./coordinator", "TestHintWhoseLookFails"), simulation},
	},
	{
		name:     "no rotation without the store",
		mutation: "an idempotent source is forced to a new token without a lock and without an attempt",
		edits: []edit{{away, `
		case plan.Reason == ReasonRotate:
			return &rotationError{err} // to force a new token is not idempotent
`, `
`}},
		catchers: []catcher{named("./coordinator", "TestNoRotationWithoutTheStore"), simulation},
	},
	{
		name:     "failures of the future do not count",
		mutation: "a failure from before the store's clock was set back holds up mints when the clock comes to it",
		edits: []edit{
			{plan, `now.Before(f.RetryAfter) && !isAhead(f.At, now) &&`, `now.Before(f.RetryAfter) &&`},
			{update, `
	if isAhead(draft.Failure.At, b.now) {
		draft.Failure = Failure{} // of before the store's clock was set back; written with the next change
	}
`, `
`},
		},
		catchers: []catcher{named("./coordinator", "TestFailureOfTheFutureHoldsNothingUp"), simulation},
	},
	{
		name:     "what cannot be written is learned",
		mutation: "a look that has something to write, and cannot, learns nothing",
		edits: []edit{
			{update, `
		if errors.Is(err, ErrStoreUnavailable) && base.relation == Forked {
			c.adopt(last) // it may have been stored: the next look tells
		}
`, `
`},
			{update, `case b.relation == Level && record.Stamp() != memory.Stamp():`, `case false:`},
		},
		catchers: []catcher{named("./coordinator", "TestStoreThatOnlyReads"), simulation},
	},
	{
		name:     "news during a flight",
		mutation: "a hint is used up by a look that was answered before the change",
		edits: []edit{{flight, `
	if c.flight != nil {
		c.flight.again = true
	}
}
`, `
}
`}},
		catchers: []catcher{named("./coordinator", "TestHintDuringAFlightOfACaller"), simulation},
	},
}
