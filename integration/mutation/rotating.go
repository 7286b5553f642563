package main

const (
	spares  = "coordinator/spares.go"
	serving = "coordinator/coordinator.go"
)

// Scenarios in which the store loses writes, of two and more hundred thousand
// states.
var (
	lost              = explored("Kind:rotating_Attempts:[2_1]_Rollbacks:1_Graces:1")
	overlappedAndLost = explored("Kind:rotating_Attempts:[2_1]_Timeouts:1_Rollbacks:1_Graces:1_Forks:true_Overlapped:true")
)

// rotating are the guards that only rotating refresh tokens need. What catches
// them has a provider that takes the use of a spent refresh token for theft.
var rotating = []guard{
	{
		name:     "what was spent is known",
		mutation: "a commit does not note which refresh token it has spent",
		edits:    []edit{{spares, `return r.clone().spend(Fingerprint(carried))`, `return r`}},
		catchers: []catcher{exploration},
	},
	{
		name:     "what was spent never comes back",
		mutation: "the refresh tokens to try are taken together without a look at what was spent",
		edits:    []edit{{spares, `return slices.Contains(r.Spent, Fingerprint(state)) })`, `return slices.Contains(r.Spent, state) })`}},
		catchers: []catcher{exploration, named("./coordinator", "TestASpentRefreshTokenIsNotTriedAgain")},
	},
	{
		name:     "both sides of a fork know what was spent",
		mutation: "what the other side of a fork has spent is forgotten",
		edits:    []edit{{spares, `slices.Clone(other.Spent)`, `slices.Clone(own)`}},
		catchers: []catcher{lost},
	},
	{
		name:     "refresh tokens of an overlap are kept",
		mutation: "the refresh token of a late mint is dropped",
		edits:    []edit{{spares, `return append([]string{g.State}, r.states()...)`, `return nil`}},
		catchers: []catcher{exploration, refreshing},
	},
	{
		name:     "they are kept by a commit in time, too",
		mutation: "a commit that leaves doubt drops the refresh tokens that others have brought meanwhile",
		edits: []edit{{transitions, `
		} else {
			r = r.trying(states)
		}
`, `
		}
`}},
		catchers: []catcher{exploration},
	},
	{
		name:     "refresh tokens are joined at a fork",
		mutation: "those of the other side of a fork are dropped",
		edits:    []edit{{lineage, `joined = joined.joinStates(other)`, ``}},
		catchers: []catcher{exploration},
	},
	{
		name:     "a refusal turns to the next refresh token",
		mutation: "the one that was refused is tried again and again",
		edits:    []edit{{spares, `return r.turned(), r.Failure.Refused%`, `return r, r.Failure.Refused%`}},
		catchers: []catcher{exploration, named("./coordinator", "TestTheOtherRefreshToken"), refreshing},
	},
	{
		name:     "a refusal counts for the refresh token that it names",
		mutation: "it counts for the one in front, whatever the request carried",
		edits:    []edit{{spares, `if !carried {`, `if !carried && id == "" {`}},
		catchers: []catcher{named("./coordinator", "TestRefusedInTurn")},
	},
	{
		name:     "what may be spent comes last",
		mutation: "the refresh token of a mint without an answer stays in front",
		edits: []edit{{transitions, `
		r = r.unanswered(a)
`, `
`}},
		catchers: []catcher{exploration, named("./coordinator", "TestAPerhapsSpentRefreshTokenComesLast"), refreshing.from(1191)},
		short:    true,
	},
	{
		name:     "what may be spent comes last at a fork, too",
		mutation: "the refresh tokens of both sides are tried in any order",
		edits: []edit{{spares, `
	r.safestFirst(states)
	r.Grant.State, r.Spares = states[0], nil
`, `
	r.Grant.State, r.Spares = states[0], nil
`}},
		catchers: []catcher{overlappedAndLost},
	},
	{
		name:     "both sides of a fork know what may be spent",
		mutation: "a fork forgets which refresh tokens of the other side got no answer",
		edits:    []edit{{spares, `.joinUnanswered(other)`, ``}},
		catchers: []catcher{overlappedAndLost},
	},
	{
		name:     "an attempt that a fork drops may have spent",
		mutation: "what it carried is forgotten with it",
		edits: []edit{{lineage, `
			memory = memory.counted(a.With) // it is dropped below, and nobody will give it up
`, `
`}},
		catchers: []catcher{overlappedAndLost, named("./coordinator", "TestAForkRemembersWhatItsDroppedAttemptsCarried")},
	},
	{
		name:     "attempts tell which refresh token they carry",
		mutation: "they tell only which token was current",
		edits:    []edit{{transitions, `a.With = Fingerprint(r.Grant.State)`, `a.With = ""`}},
		catchers: []catcher{exploration},
	},
	{
		name:     "the newest refresh token of an overlap comes first",
		mutation: "it comes after those that there were",
		edits:    []edit{{spares, `return append([]string{g.State}, r.states()...)`, `return append(r.states(), g.State)`}},
		catchers: []catcher{named("./coordinator", "TestTheOtherRefreshToken")},
	},
	{
		name:     "a round of refusals ends in a long back-off",
		mutation: "as long as there are two refresh tokens, each refusal is followed by another try at once",
		edits:    []edit{{spares, `return r.turned(), r.Failure.Refused%(len(r.Spares)+1) != 0`, `return r.turned(), true`}},
		catchers: []catcher{named("./coordinator", "TestTheOtherRefreshToken")},
	},
	{
		name:     "a use without an answer is retried once",
		mutation: "it is retried as often as there is room for attempts",
		edits:    []edit{{plan, `len(r.Attempts) == 1 &&`, `len(r.Attempts) >= 1 &&`}},
		catchers: []catcher{named("./coordinator", "TestPlanWithAnAttemptUnresolved")},
	},
	{
		name:     "it is retried within the grace",
		mutation: "it is retried for an hour more",
		edits: []edit{{plan, `
		now.Sub(time.UnixMilli(r.Attempts[0].BeganAt)) < t.Overlap
`, `
		now.Sub(time.UnixMilli(r.Attempts[0].BeganAt)) < t.Overlap+time.Hour
`}},
		catchers: []catcher{named("./coordinator", "TestPlanWithAnAttemptUnresolved")},
	},
	{
		name:     "written down, then given out",
		mutation: "an access token is given out whose refresh token is in memory only",
		edits:    []edit{{serving, `if c.ahead && c.traits.Kind == Rotating &&`, `if false && c.ahead && c.traits.Kind == Rotating &&`}},
		catchers: []catcher{named("./coordinator", "TestRotatingTokenIsDurableBeforeUse"), refreshing},
	},
	{
		name:     "no refresh token without the lock",
		mutation: "while the store is away, mints go on without a lock and without an attempt",
		edits:    []edit{{away, `if c.traits.Kind == Idempotent && !c.cfg.NeverMint {`, `if c.traits.Kind != LastMintWins && !c.cfg.NeverMint {`}},
		catchers: []catcher{refreshing},
	},
}
