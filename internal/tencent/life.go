package tencent

import (
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// vouched is how long what the provider has just given out once more is good
// for, though by our count it ends sooner.
const vouched = 10 * time.Minute

// TrueEnd is when a token or ticket ends that was asked for at asked, from a
// provider that gives out the same one while it is valid, and each time says
// that its whole life is left: nobody knows the age of one that he has not seen
// come. fresh is what it said; prev is what there was before.
//
// One whose predecessor was alive a moment ago gets its whole life, any other
// half of it. Being given out again prolongs nothing, but shows that it is alive.
func TrueEnd(fresh, prev coordinator.Token, asked time.Time) time.Time {
	latest := fresh.ExpiresAt()
	alive := prev.Value != "" && prev.ExpiresAt().After(asked)
	switch {
	case fresh.Value == prev.Value:
		return earlier(latest, later(prev.ExpiresAt(), asked.Add(vouched)))
	case alive:
		return latest
	default:
		return asked.Add(latest.Sub(asked) / 2)
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
