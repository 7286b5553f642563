package statusview

import (
	"errors"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// Level says how urgent trouble is.
type Level string

const (
	// Warning: callers are served, and something is not as it should be.
	Warning Level = "warning"
	// Critical: callers get no token, or nobody will replace the one they get.
	Critical Level = "critical"
)

// Why is a kind of trouble.
type Why string

// The kinds of trouble, the most urgent first.
const (
	NoToken Why = "no-token" // there is none that is valid
	Record  Why = "record"   // the stored record must not be used
	Failing Why = "failing"  // the last mint failed
	Budget  Why = "budget"   // no more mints today
	Overdue Why = "overdue"  // it was to be refreshed, and nobody does
	Foreign Why = "foreign"  // somebody else mints with the credential
	Doubt   Why = "doubt"    // the provider may not accept it
	Away    Why = "store"    // the store does not answer
)

// Trouble is what somebody on call has to know of a token.
type Trouble struct {
	Level Level `json:"level"`
	Why   []Why `json:"why"`
}

// overdueAfter is how long after its moment a refresh is missed. The processes
// pick the moment by the same record, so they are seconds apart at most.
const overdueAfter = time.Minute

// Judge finds the trouble in a status, and in the error that came with it. It
// returns nil if all is well.
func Judge(s coordinator.Status, err error) *Trouble {
	t := Trouble{Level: Warning}
	add := func(found bool, why Why) {
		if found {
			t.Why = append(t.Why, why)
		}
	}
	unusable := errors.Is(err, coordinator.ErrCredentialMismatch) || errors.Is(err, coordinator.ErrNewerRecord) || errors.Is(err, coordinator.ErrBadRecord) || errors.Is(err, coordinator.ErrSealed)
	valid := s.Generation > 0 && s.Now.Before(s.ExpiresAt)
	known := err == nil || s.Generation > 0 // no status tells nothing of the token
	add(known && !valid, NoToken)
	add(unusable, Record)
	if len(t.Why) > 0 {
		t.Level = Critical
	}
	add(s.Failure != nil, Failing)
	add(s.Budget.MintLimit > 0 && s.Budget.Mints >= s.Budget.MintLimit, Budget)
	add(valid && s.Failure == nil && s.Now.After(s.RefreshAt.Add(overdueAfter)), Overdue)
	add(s.Foreign != nil && s.Foreign.Named, Foreign)
	add(s.Doubt != "", Doubt)
	add(err != nil && !unusable, Away)
	if len(t.Why) == 0 {
		return nil
	}
	return &t
}
