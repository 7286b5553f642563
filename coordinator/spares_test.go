package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// oauth is a provider of rotating refresh tokens. It accepts one, and refuses
// any other for good.
type oauth struct {
	accepts string
	asked   []string
}

func (p *oauth) Traits() coordinator.Traits {
	return coordinator.Traits{Kind: coordinator.Rotating, Credential: "test:1", Overlap: 30 * time.Second}
}

func (p *oauth) Mint(_ context.Context, prev coordinator.Token) (coordinator.Token, error) {
	p.asked = append(p.asked, prev.State())
	if prev.State() != p.accepts {
		return coordinator.Token{}, &coordinator.SourceError{Class: coordinator.Operator, Message: "invalid_grant", Advice: "authorize again", After: 10 * time.Minute, Refused: true}
	}
	p.accepts = fmt.Sprint("refresh-", len(p.asked))
	return coordinator.NewToken(fmt.Sprint("access-", len(p.asked)), time.Now().Add(time.Hour)).WithState(p.accepts), nil
}

// overlapped is a record after a retry whose first use was answered late, so
// that there are two refresh tokens.
func overlapped(t *testing.T, traits coordinator.Traits) coordinator.Record {
	t.Helper()
	at := time.Now().Truncate(time.Millisecond).UTC()
	grant := func(name string) coordinator.Grant {
		g := grantOf("access-"+name, at, time.Hour)
		g.State = "refresh-" + name
		return g
	}
	r, _ := announce(coordinator.Record{}, "first", at.Add(-time.Minute), traits).Child(stamp(at.Add(-50*time.Second))).Commit("first", grant("first"), traits)
	r = announce(announce(r, "a", at.Add(-10*time.Second), traits), "b", at.Add(-9*time.Second), traits)
	r, _ = r.Child(stamp(at.Add(-8*time.Second))).Commit("a", grant("a"), traits)
	r, kind := r.Child(stamp(at.Add(-7*time.Second))).Commit("b", grant("b"), traits)
	if kind != coordinator.EventOverlapped || r.DoubtAt == 0 || r.Grant.Value != "access-a" || r.Grant.State != "refresh-b" || !slices.Equal(r.Spares, []string{"refresh-a"}) {
		t.Fatalf("%q: serves %v, tries %q, then %q", kind, r.Grant, r.Grant.State, r.Spares)
	}
	return r
}

// TestTheOtherRefreshToken: where mints overlapped, nobody knows which refresh
// token lives. The wrong one must not be the end.
func TestTheOtherRefreshToken(t *testing.T) {
	for _, tc := range []struct {
		accepts string
		asked   []string
		heals   bool
	}{
		{"refresh-b", []string{"refresh-b"}, true},
		{"refresh-a", []string{"refresh-b", "refresh-a"}, true},
		{"neither", []string{"refresh-b", "refresh-a"}, false},
	} {
		t.Run(tc.accepts, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				provider := &oauth{accepts: tc.accepts}
				r := overlapped(t, provider.Traits())
				if _, err := f.memory.Swap(t.Context(), "shop", coordinator.Stamp{}, r); err != nil {
					t.Fatal(err)
				}
				c, err := coordinator.New("shop", provider, f.memory, coordinator.Config{Instance: "a", Observer: f.events.add})
				if err != nil {
					t.Fatal(err)
				}
				stop := f.runs(c)
				time.Sleep(5 * time.Second)
				tok, err := c.Refresh(t.Context())
				stop()
				if !slices.Equal(provider.asked, tc.asked) {
					t.Errorf("the provider was asked with %q, want %q", provider.asked, tc.asked)
				}
				after := f.record()
				if tc.heals {
					if err != nil || tok.Generation != r.Grant.Generation+1 || after.DoubtAt != 0 || len(after.Spares) > 0 || after.Failure.Count > 0 {
						t.Errorf("%v, %v; doubt %q, spares %q, failure %+v", tok, err, after.DoubtReason, after.Spares, after.Failure)
					}
					return
				}
				// Both are kept: the reason may be another one than the token.
				var backoff *coordinator.BackoffError
				if !errors.As(err, &backoff) || backoff.Failure.Class != coordinator.Operator || backoff.RetryAfter < 9*time.Minute || len(after.Spares) != 1 {
					t.Errorf("%v, and there are %q", err, after.Spares)
				}
			})
		})
	}
}

// stateIn is a record of one token with this refresh token, and spares.
func stateIn(t *testing.T, at time.Time, traits coordinator.Traits, state string, spares ...string) coordinator.Record {
	t.Helper()
	grant := grantOf("access", at, time.Hour)
	grant.State = state
	r, _ := announce(coordinator.Record{}, "first", at, traits).Child(stamp(at.Add(time.Second))).Commit("first", grant, traits)
	r.Spares = spares
	return r
}

// mintedWith is r after a mint that carried the refresh token in front and
// brought another.
func mintedWith(r coordinator.Record, at time.Time, traits coordinator.Traits, brought string) coordinator.Record {
	r = announce(r, brought, at, traits)
	grant := grantOf("access of "+brought, at, time.Hour)
	grant.State = brought
	next := r.Child(stamp(at.Add(time.Second))).Spend(r.Grant.State, brought)
	next, _ = next.Commit(brought, grant, traits)
	return next
}

// TestASpentRefreshTokenIsNotTriedAgain: to use it would end all that descends
// from the same login at providers that look for theft. It must not come back
// as a spare from the other side of a fork, however far that is behind (found by simulation,
// TestRotating seed 1128), nor from a mint that is late.
func TestASpentRefreshTokenIsNotTriedAgain(t *testing.T) {
	traits := (&oauth{}).Traits()
	old := stateIn(t, day, traits, "refresh-1")
	newer := mintedWith(mintedWith(old, day.Add(time.Hour), traits, "refresh-2"), day.Add(2*time.Hour), traits, "refresh-3")
	behind := announce(old, "b", day.Add(3*time.Hour), traits)
	other := announce(mintedWith(old, day.Add(time.Hour), traits, "refresh-2b"), "c", day.Add(3*time.Hour), traits)
	for _, tc := range []struct {
		name           string
		memory, record coordinator.Record
		state          string
		spares         []string
	}{
		{"the record is behind", newer, behind, "refresh-3", nil},
		{"the memory is behind", behind, newer, "refresh-3", nil},
		{"both have minted", newer, other, "refresh-3", []string{"refresh-2b"}},
	} {
		at := coordinator.Stamp{Revision: day.Add(4 * time.Hour).UnixMilli(), ID: 1}
		joined, relation := coordinator.Reconcile(tc.memory, tc.record, at)
		if relation != coordinator.Forked || joined.Grant.State != tc.state || !slices.Equal(joined.Spares, tc.spares) {
			t.Errorf("%s: relation %d, tries %q, then %q", tc.name, relation, joined.Grant.State, joined.Spares)
		}
	}

	late := announce(old, "a", day.Add(time.Hour), traits)
	late, _ = late.Child(stamp(day.Add(2 * time.Hour))).Expire(day.Add(2 * time.Hour))
	grant := grantOf("late", day.Add(2*time.Hour), time.Hour)
	grant.State = "refresh-late"
	late, kind := late.Child(stamp(day.Add(2*time.Hour+time.Second))).Spend("refresh-1", "refresh-late").Commit("a", grant, traits)
	if kind != coordinator.EventOverlapped || late.Grant.State != "refresh-late" || len(late.Spares) > 0 {
		t.Errorf("%q: tries %q, then %q", kind, late.Grant.State, late.Spares)
	}

	same := mintedWith(old, day.Add(time.Hour), traits, "refresh-1") // some providers rotate once a day
	if len(same.Spent) > 0 || same.Grant.State != "refresh-1" {
		t.Errorf("the same refresh token came back, and %d are spent", len(same.Spent))
	}
}

// TestAPerhapsSpentRefreshTokenComesLast: a mint without an answer may have
// spent the refresh token that it carried, so the other one is tried first
// (found by simulation, TestRotating seed 1191).
func TestAPerhapsSpentRefreshTokenComesLast(t *testing.T) {
	traits := (&oauth{}).Traits()
	r := announce(stateIn(t, day, traits, "refresh-1", "refresh-2", "refresh-3"), "a", day.Add(time.Hour), traits)
	r = announce(r, "retry", day.Add(time.Hour+time.Second), traits)
	expired, given := r.Child(stamp(day.Add(2 * time.Hour))).Expire(day.Add(2 * time.Hour))
	if len(given) != 2 || expired.Grant.State != "refresh-2" || !slices.Equal(expired.Spares, []string{"refresh-3", "refresh-1"}) {
		t.Errorf("%d given up, tries %q, then %q", len(given), expired.Grant.State, expired.Spares)
	}
	if r.Grant.State != "refresh-1" {
		t.Error("Expire has changed the record that it was given")
	}

	// So it does where another one comes from the other side of a fork, or with a
	// mint that is late (TestRotating seed 720149).
	old := stateIn(t, day, traits, "refresh-1")
	newer := announce(mintedWith(old, day.Add(time.Hour), traits, "refresh-2"), "c", day.Add(2*time.Hour), traits)
	newer, _ = newer.Child(stamp(day.Add(3 * time.Hour))).Expire(day.Add(3 * time.Hour))
	lost := mintedWith(old, day.Add(time.Minute), traits, "refresh-2b")
	at := coordinator.Stamp{Revision: day.Add(4 * time.Hour).UnixMilli(), ID: 1}
	for _, sides := range [][2]coordinator.Record{{newer, lost}, {lost, newer}} {
		if joined, _ := coordinator.Reconcile(sides[0], sides[1], at); joined.Grant.State != "refresh-2b" || !slices.Equal(joined.Spares, []string{"refresh-2"}) {
			t.Errorf("at a fork: tries %q, then %q", joined.Grant.State, joined.Spares)
		}
	}
	grant := grantOf("another", day.Add(3*time.Hour), time.Hour)
	grant.State = "refresh-3"
	settled, _ := announce(newer, "d", day.Add(3*time.Hour), traits).Child(stamp(day.Add(3*time.Hour+time.Second))).Commit("d", grant, traits)
	if len(newer.Unanswered) != 1 || len(settled.Unanswered) != 0 {
		t.Errorf("%q are known to be without an answer, and %q after a mint", newer.Unanswered, settled.Unanswered)
	}

	// Who was used more often comes last, until both were used four times, as far
	// as anybody counts.
	later := func(r coordinator.Record) time.Time { return time.UnixMilli(r.Revision() + 1) }
	use := func(r coordinator.Record) coordinator.Record {
		r = announce(r, "c", later(r), traits)
		r, _ = r.Child(stamp(later(r))).Expire(day.Add(24 * time.Hour))
		return r
	}
	both := use(use(use(use(newer))))
	both, _ = coordinator.Reconcile(both, lost, stamp(later(both)))
	for n, want := range []string{"refresh-2b", "refresh-2b", "refresh-2b", "refresh-2b", "refresh-2", "refresh-2b"} {
		if both.Grant.State != want {
			t.Errorf("use %d is one of %q, want %q", n+1, both.Grant.State, want)
		}
		both = use(both)
	}

	// The other one was refused before, and is refused again: it is the turn of
	// the one without an answer (TestRotating seed 5258).
	r = stateIn(t, day, traits, "refresh-1", "refresh-2")
	r.Failure.Refused = 1
	r, _ = announce(r, "a", day.Add(time.Hour), traits).Child(stamp(day.Add(2 * time.Hour))).Expire(day.Add(2 * time.Hour))
	r, untried := announce(r, "b", day.Add(2*time.Hour+time.Second), traits).Refused("b", 0)
	if r.Grant.State != "refresh-1" || !untried {
		t.Errorf("%q is next, untried %v", r.Grant.State, untried)
	}
}

// TestAForkRemembersWhatItsDroppedAttemptsCarried: nobody gives them up any
// more, and they may have spent it (found by exploration).
func TestAForkRemembersWhatItsDroppedAttemptsCarried(t *testing.T) {
	traits := (&oauth{}).Traits()
	common := stateIn(t, day, traits, "refresh-1", "refresh-2")
	memory := announce(common, "a", day.Add(time.Hour), traits)
	record := announce(common, "b", day.Add(2*time.Hour), traits).Child(stamp(day.Add(2*time.Hour + time.Second))).Abandon("b")
	at := coordinator.Stamp{Revision: day.Add(3 * time.Hour).UnixMilli(), ID: 1}
	joined, relation := coordinator.Reconcile(memory, record, at)
	if relation != coordinator.Forked || joined.Grant.State != "refresh-2" || !slices.Equal(joined.Spares, []string{"refresh-1"}) {
		t.Errorf("relation %d, tries %q, then %q", relation, joined.Grant.State, joined.Spares)
	}
}

// TestRefusedInTurn: Refused says whether there is a refresh token that was not
// refused since for that reason, whatever else has failed before (found by
// simulation, TestRotating seeds 1091, 1164 and 700389).
func TestRefusedInTurn(t *testing.T) {
	traits := (&oauth{}).Traits()
	r := stateIn(t, day, traits, "refresh-1", "refresh-2").Fail(coordinator.Failure{Message: "busy"}).Fail(coordinator.Failure{Message: "busy"})
	refuse := func(code int, want string, wantUntried bool) {
		t.Helper()
		carried := r.Grant.State
		next, untried := announce(r, "a", day.Add(time.Hour), traits).Child(stamp(day.Add(time.Hour+time.Second))).Refused("a", code)
		if r = next.Fail(coordinator.Failure{Code: code}); r.Grant.State != want || untried != wantUntried || len(r.Attempts) > 0 {
			t.Errorf("%s was refused: %q is next, untried %v", carried, r.Grant.State, untried)
		}
	}
	const invalidGrant, untrustedNetwork = 400, 403
	refuse(invalidGrant, "refresh-2", true)
	refuse(invalidGrant, "refresh-1", false) // both were refused: that takes longer
	refuse(invalidGrant, "refresh-2", true)
	refuse(untrustedNetwork, "refresh-1", true) // that says little of refresh-2
	refuse(invalidGrant, "refresh-2", true)
	refuse(invalidGrant, "refresh-1", false)

	// A refusal says nothing of a refresh token that came meanwhile.
	none := announce(coordinator.Record{}, "a", day, traits)
	at := coordinator.Stamp{Revision: day.Add(3 * time.Hour).UnixMilli(), ID: 1}
	joined, _ := coordinator.Reconcile(stateIn(t, day.Add(time.Hour), traits, "refresh-1"), none, at)
	if next, untried := joined.Refused("a", 0); !untried || next.Grant.State != "refresh-1" || next.Failure.Refused > 0 {
		t.Errorf("untried %v, %q is next, %d refused", untried, next.Grant.State, next.Failure.Refused)
	}
}
