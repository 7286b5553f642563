package coordinator

import (
	"context"
	"errors"
	"time"
)

// Status is what is known of a credential, for people and for monitoring. It
// holds no token. All times are on the store's clock.
type Status struct {
	Name        string    `json:"name"`
	State       string    `json:"state"` // live, doubted, minting, missing, expired, failing
	Now         time.Time `json:"now"`   // the store's clock
	Generation  int64     `json:"generation"`
	Fingerprint string    `json:"fingerprint,omitempty"` // of the token, as in logs
	SealedBy    string    `json:"sealed_by,omitempty"`   // the key that would open the token, if this process does not have it
	Credential  string    `json:"credential,omitempty"`
	Revision    int64     `json:"revision"`
	IssuedAt    time.Time `json:"issued_at,omitzero"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	ExpiresIn   int64     `json:"expires_in"` // seconds left, rounded down; 0 once expired
	RefreshAt   time.Time `json:"refresh_at,omitzero"`
	MintedBy    string    `json:"minted_by,omitempty"`
	Reason      string    `json:"reason,omitempty"`  // of the last mint
	Next        string    `json:"next"`              // what happens next, in words
	NextStep    NextStep  `json:"next_step"`         // the same for programs
	Kind        string    `json:"kind,omitempty"`    // what a mint does to the token before it; empty if unknown
	Overlap     int64     `json:"overlap,omitempty"` // for how many seconds that goes on being valid

	Doubt        string         `json:"doubt,omitempty"` // why the token is in doubt
	DoubtSince   time.Time      `json:"doubt_since,omitzero"`
	EarlyReports int            `json:"early_reports,omitempty"`
	Foreign      *ForeignStatus `json:"foreign,omitempty"`
	Attempts     []Attempt      `json:"attempts,omitempty"` // mints under way or unanswered
	Failure      *FailureStatus `json:"failure,omitempty"`
	Budget       BudgetStatus   `json:"budget"`
	LockHolder   string         `json:"lock_holder,omitempty"`
	History      []Event        `json:"history,omitempty"` // the newest first
}

// NextStep is what is to be done next about a credential.
type NextStep struct {
	Action Action    `json:"action"`
	Reason string    `json:"reason,omitempty"` // of the mint; empty for rest
	At     time.Time `json:"at,omitzero"`      // when, at the latest; for mint: now
}

// ForeignStatus is what points to somebody else who mints with the credential.
// It is gone when nothing did for six hours.
type ForeignStatus struct {
	Named   bool      `json:"named"`               // false: no more than suspected
	Count   int       `json:"count"`               // rejections in a row that no mint of ours explains
	Vouched int       `json:"vouched,omitempty"`   // how often the provider gave out the very token that was rejected
	At      time.Time `json:"at"`                  // of the last of them
	By      string    `json:"by"`                  // who reported them
	Until   time.Time `json:"wait_until,omitzero"` // no mint because of a rejection before that
	Advice  string    `json:"advice"`
}

// FailureStatus is the last failed mint since the last one that succeeded.
type FailureStatus struct {
	At         time.Time `json:"at"`
	By         string    `json:"by"`
	Class      Class     `json:"class"`
	Code       int       `json:"code,omitempty"`
	Message    string    `json:"message"`
	Count      int       `json:"count"` // in a row
	RetryAfter time.Time `json:"retry_after,omitzero"`
}

// BudgetStatus counts the mints of the provider's day. A limit of 0 is none.
type BudgetStatus struct {
	Day           string `json:"day,omitempty"`
	Mints         int    `json:"mints"`
	MintLimit     int    `json:"mint_limit,omitempty"`
	Rotations     int    `json:"rotations"`
	RotationLimit int    `json:"rotation_limit,omitempty"`
}

// historyInStatus is how many events a Status carries.
const historyInStatus = 20

// Status reads the record, the lock and the history. It changes nothing, and
// works for a record of another credential too.
func (c *Coordinator) Status(ctx context.Context) (Status, error) {
	return ReadStatus(ctx, c.cfg.store, c.name, c.traits)
}

// ReadStatus is Status for those who have no Coordinator. With zero traits, it
// knows no limits.
func ReadStatus(ctx context.Context, store Store, name string, t Traits) (Status, error) {
	r, now, err := store.Load(ctx, name)
	if err == nil {
		err = sane(now)
	}
	if err != nil {
		return Status{}, err
	}
	s := r.status(name, now, t)
	if inspector, ok := As[LockInspector](store); ok {
		holder, err := inspector.Holder(ctx, name)
		if err != nil {
			return Status{}, err
		}
		if holder != nil {
			s.LockHolder = holder.Holder
		}
	}
	if historian, ok := As[Historian](store); ok {
		if s.History, err = historian.History(ctx, name, historyInStatus); err != nil {
			return Status{}, err
		}
	}
	return s, nil
}

func (r Record) status(name string, now time.Time, t Traits) Status {
	plan, budget, kind := r.Plan(now, t, false), r.Budget, ""
	if t != (Traits{}) { // without a source nobody knows when its provider's day ends: the day is told with the counts
		budget, kind = budget.on(now, t), t.Kind.String()
	}
	s := Status{
		Name: name, State: r.state(now), Now: now, Generation: r.Grant.Generation, Fingerprint: Fingerprint(r.Grant.Value),
		Credential: r.Credential, Revision: r.Revision(), IssuedAt: r.Grant.IssuedAt, ExpiresAt: r.Grant.ExpiresAt,
		RefreshAt: r.RefreshAt, MintedBy: r.Grant.MintedBy, Reason: r.Grant.Reason, Next: r.next(now, plan),
		NextStep: NextStep{plan.Action, plan.Reason, plan.At}, Kind: kind, Overlap: int64(t.Overlap / time.Second),
		EarlyReports: r.EarlyReports, Attempts: r.Attempts,
		Budget: BudgetStatus{
			Day: budget.Day, Mints: budget.Mints, MintLimit: t.DailyMints, Rotations: budget.Rotations, RotationLimit: t.DailyRotations,
		},
	}
	if plan.Action == Rest {
		s.NextStep.At = r.RefreshAt // and not the end of an attempt, which is no step of its own
	}
	if r.Usable(now) {
		s.ExpiresIn = int64(r.Grant.ExpiresAt.Sub(now) / time.Second)
	}
	if s.SealedBy = r.SealedBy(); s.SealedBy != "" {
		s.Fingerprint = ""
	}
	if r.DoubtAt != 0 {
		s.Doubt, s.DoubtSince = r.DoubtReason, time.UnixMilli(r.DoubtAt).UTC()
	}
	if f := r.Foreign.on(now); f.Count > 0 || f.Vouched > 0 {
		s.Foreign = &ForeignStatus{Named: f.Named(), Count: f.Count, Vouched: f.Vouched, At: f.At, By: f.By, Advice: t.foreignAdvice()}
		if now.Before(f.Until) {
			s.Foreign.Until = f.Until
		}
	}
	if f := r.Failure; f.Count > 0 {
		s.Failure = &FailureStatus{At: f.At, By: f.By, Class: f.Class, Code: f.Code, Message: f.Message, Count: f.Count, RetryAfter: f.RetryAfter}
	}
	return s
}

// next says what happens next, in words.
func (r Record) next(now time.Time, plan Plan) string {
	in := plan.At.Sub(now).Round(time.Second)
	switch plan.Action {
	case Rest:
		return "refresh in " + r.RefreshAt.Sub(now).Round(time.Second).String()
	case Await:
		return "mint (" + plan.Reason + ") when another attempt is resolved, in " + in.String() + " at the latest"
	case Blocked:
		if errors.Is(plan.Err, ErrForeignMinter) {
			return "mint (" + plan.Reason + ") in " + in.String() + ", spaced out because somebody else seems to mint"
		}
		return "mint (" + plan.Reason + ") in " + in.String() + ": " + detail(plan.Err)
	default:
		return "mint (" + plan.Reason + ") by the first process that looks"
	}
}
