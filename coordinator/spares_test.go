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
