package simulation_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// families is what a provider of rotating refresh tokens keeps: each mint spends
// the one that it carries and issues the next. A spent one may be used again
// within the grace, Traits.Overlap; later, or too often, that is taken for theft, and
// ends all that descends from the same login. Auth0, Okta, Atlassian and Xero
// are like that, with a grace of 30 seconds to 30 minutes.
type families struct {
	provider *provider // whose mu guards all below
	// forks: the second use of a refresh token leaves what the first one brought
	// alive, rather than ending it.
	forks bool
	uses  int // how often a refresh token can be used within the grace
	// bearer: an access token is good until its end, whatever becomes of its
	// family. Else it ends some minutes after its refresh token was spent.
	bearer bool
	tokens map[string]*refreshToken
	logins []*refreshToken // each the first of its family
	used   bool            // the last of them has brought a token
}

// lingers is how long an access token that is no bearer's outlives its refresh
// token.
const lingers = 5 * time.Minute

// family is all that descends from one login.
type family struct {
	login   int
	revoked time.Time
}

type refreshToken struct {
	value    string
	family   *family
	parent   *refreshToken // nil: it is a login's
	access   *issued       // that came with it; nil for a login's
	sent     int           // how many requests carried it, whether they arrived or not
	spent    time.Time     // when it was used first
	uses     int
	children []*refreshToken
	ended    time.Time // by a second use of its parent
	kept     bool      // somebody has written it down
	gone     string    // why nobody has it any more
}

func newFamilies(p *provider) *families {
	d := p.dice
	f := &families{provider: p, tokens: make(map[string]*refreshToken), forks: d.chance(0.5), uses: pick(d, 2, 2, math.MaxInt), bearer: d.chance(0.3)}
	p.life = pick(d, 2*time.Hour, time.Hour, 40*time.Minute)
	p.traits = coordinator.Traits{
		Kind: coordinator.Rotating, Credential: "simulated:1", RotationSpacing: 30 * time.Second, DailyMints: pick(d, 0, 0, 1800, 150),
		Overlap: pick(d, 0, 30*time.Second, time.Minute, 10*time.Minute, 10*time.Minute, 30*time.Minute),
	}
	f.login()
	return f
}

// login begins a new family, as when a person logs in. The caller holds mu, or
// nobody else knows the provider yet.
func (f *families) login() {
	n := len(f.logins) + 1
	r := &refreshToken{value: fmt.Sprintf("login-%d", n), family: &family{login: n}, kept: true}
	f.tokens[r.value] = r
	f.logins, f.used = append(f.logins, r), false
}

// exchange spends the refresh token that t's request carries, and gives t the
// next one. It reports whether the provider does so. The caller holds mu.
func (f *families) exchange(t *issued) bool {
	r := f.tokens[t.call.refresh.carries]
	again := r != nil && !r.spent.IsZero()
	if r == nil || !f.reaches(r) {
		if again && r.ended.IsZero() && r.family.revoked.IsZero() {
			f.provider.world.judgeReuse(t.call, r)
			r.family.revoked = t.at
		}
		t.call.refresh.refused = true
		return false
	}
	if !again {
		r.spent = t.at
	}
	r.uses++
	if !f.forks {
		for _, c := range r.children {
			if c.ended.IsZero() {
				c.ended = t.at
			}
		}
	}
	next := &refreshToken{value: "refresh-" + strings.TrimPrefix(t.value, "token-"), family: r.family, parent: r, access: t}
	r.children = append(r.children, next)
	f.tokens[next.value] = next
	t.refresh = next
	return true
}

// reaches reports whether the provider accepts the refresh token at this moment.
// The caller holds mu.
func (f *families) reaches(r *refreshToken) bool {
	switch {
	case !r.family.revoked.IsZero() || !r.ended.IsZero():
		return false
	case r.spent.IsZero():
		return true
	case r.uses >= f.uses || time.Since(r.spent) >= f.provider.traits.Overlap:
		return false
	}
	for _, c := range r.children {
		if !f.forks && !c.spent.IsZero() {
			return false // only the last one that was spent can be used again
		}
	}
	return true
}

// refused is when the access token ends. The caller holds mu.
func (f *families) refused(t *issued) time.Time {
	end, r := t.end, t.refresh
	if f.bearer {
		return end
	}
	for _, early := range []time.Time{r.ended, r.family.revoked, r.spent.Add(lingers)} {
		if early.Year() > 1 {
			end = earliest(end, early)
		}
	}
	return end
}

// latest is the first refresh token of the last login. The operator puts it
// where every process finds it, and takes it away when it has brought a token.
func (f *families) latest() *refreshToken { return f.logins[len(f.logins)-1] }

// carriedWith is the refresh token that a process goes on with that has this
// state of a token: as long as a login was not used, that, unless the state
// descends from it. It is nil if there is none. The caller holds mu.
func (f *families) carriedWith(state string) *refreshToken {
	r := f.tokens[state]
	if !f.used && (r == nil || r.family != f.latest().family) {
		return f.latest()
	}
	return r
}

// refresher is a source of access tokens by refresh tokens.
type refresher struct{ source }

func (s refresher) Mint(ctx context.Context, prev coordinator.Token) (coordinator.Token, error) {
	p, provider := s.process, s.process.world.provider
	now := refreshing{knew: p.world.states(p), sent: time.Now()}
	provider.mu.Lock()
	if r := provider.families.carriedWith(prev.State()); r != nil {
		now.carries = r.value
		r.sent++
	}
	provider.mu.Unlock()
	p.mu.Lock()
	p.refreshing = now
	p.mu.Unlock()
	return s.mint(ctx, false)
}

// refreshing is what a mint with a refresh token is about.
type refreshing struct {
	carries string
	knew    []string // the refresh tokens that its process knew of
	sent    time.Time
	holders map[string]string // who had which when it arrived
	refused bool              // it is accepted no more
}

// reply is answer, with what a provider says of a refresh token that it does not
// accept.
func (p *provider) reply(call *minting, force bool) (time.Duration, *issued, error) {
	if p.families == nil {
		return p.answer(call, force)
	}
	call.refresh.holders = p.world.holders()
	delay, reply, err := p.answer(call, force)
	if call.refresh.refused {
		p.world.alert()
		if err == nil {
			err = invalidGrant()
		}
	}
	return delay, reply, err
}

// invalidGrant is what a provider says of a refresh token that it does not
// accept.
func invalidGrant() error {
	return &coordinator.SourceError{
		Class: coordinator.Operator, Code: 400, Message: "invalid_grant", Advice: "log in again, then rotate", After: 10 * time.Minute, Refused: true,
	}
}

// state is what the coordinator keeps for the next mint.
func (t *issued) state() string {
	if t.refresh == nil {
		return ""
	}
	return t.refresh.value
}
