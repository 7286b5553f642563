package coordinator

import (
	"errors"
	"fmt"
	"time"
)

// Errors that callers test for with errors.Is. The typed errors below carry the
// facts and match one of them, but for SourceError and BackoffError: a mint can
// fail in many ways, so test for those with errors.As.
var (
	// ErrConflict is returned by Store.Swap when the record has changed since
	// it was loaded. Nothing was written.
	ErrConflict = errors.New("mintonce: record changed meanwhile")
	// ErrLocked is matched by [LockedError].
	ErrLocked = errors.New("mintonce: lock is held by another process")
	// ErrLockLost says that the lease of a mint under way could no longer be
	// trusted, so that the mint was broken off.
	ErrLockLost = errors.New("mintonce: lock lost during the mint")
	// ErrNewerRecord says that the record was written by a newer version of
	// mintonce. It is neither used nor overwritten: upgrade this process.
	ErrNewerRecord = errors.New("mintonce: record was written by a newer version; upgrade this process")
	// ErrBadRecord says that what the store holds is not a record.
	ErrBadRecord = errors.New("mintonce: record is damaged")
	// ErrCredentialMismatch is matched by [MismatchError].
	ErrCredentialMismatch = errors.New("mintonce: record belongs to another credential")
	// ErrStoreUnavailable says that the store did not answer.
	ErrStoreUnavailable = errors.New("mintonce: store is unavailable")
	// ErrNoToken says that no usable token came up before the caller's context
	// or Config.MaxWait ended. It is joined with the reason.
	ErrNoToken = errors.New("mintonce: no usable token")
	// ErrBudget is matched by [BudgetError].
	ErrBudget = errors.New("mintonce: mint budget is spent")
	// ErrForeignMinter is matched by [ForeignMinterError].
	ErrForeignMinter = errors.New("mintonce: somebody else seems to mint with this credential")
	// ErrNeverMint says that a mint is needed, but Config.NeverMint forbids
	// this coordinator to do it.
	ErrNeverMint = errors.New("mintonce: this coordinator never mints")
	// ErrUnsaved says that a token was minted and is served by this process,
	// but could not be written to the store yet.
	ErrUnsaved = errors.New("mintonce: minted token is not saved yet")
	// ErrBadName says that a name is not of the form [A-Za-z0-9._-]{1,64}.
	ErrBadName = errors.New("mintonce: bad name")
)

// LockedError is returned by Store.Lock while somebody else holds the lock.
type LockedError struct {
	Holder    string        // the instance that holds it; empty if unknown
	Remaining time.Duration // until the lock lapses by itself; 0 if unknown
}

func (e *LockedError) Error() string {
	if e.Holder == "" {
		return ErrLocked.Error()
	}
	return fmt.Sprintf("mintonce: lock is held by %s", e.Holder)
}

// Is makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// MismatchError says that the record of this name was made with another
// account or secret than this process has.
type MismatchError struct {
	Name   string
	Record string // the credential that the record was made with
	Ours   string // the credential of this process
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("mintonce: the record %q belongs to credential %s, this process has %s: use another name or prefix, "+
		"or, if the secret was changed on purpose, rotate %s with the new one", e.Name, e.Record, e.Ours, e.Name)
}

// Is makes errors.Is(err, ErrCredentialMismatch) true.
func (e *MismatchError) Is(target error) bool { return target == ErrCredentialMismatch }

// BudgetError says that no more mints or rotations are allowed until Until.
type BudgetError struct {
	What  string // "mints today", "rotations today" or "rotation spacing"
	Spent int
	Limit int
	Until time.Time // on the store's clock

	RetryAfter time.Duration // until then; no wall clock takes part in it
}

func (e *BudgetError) Error() string {
	if e.Limit == 0 {
		return fmt.Sprintf("mintonce: too soon after the last rotation; try again at %s", e.Until.Format(time.RFC3339))
	}
	return fmt.Sprintf("mintonce: %s: %d of %d spent; free again at %s", e.What, e.Spent, e.Limit, e.Until.Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrBudget) true.
func (e *BudgetError) Is(target error) bool { return target == ErrBudget }

// Class says who can mend a failed mint.
type Class string

const (
	// Transient failures heal by themselves.
	Transient Class = "transient"
	// Quota failures heal when the provider's window has passed.
	Quota Class = "quota"
	// Operator failures need a person at the provider's console, for example
	// to put an IP address on a whitelist.
	Operator Class = "operator"
	// Configuration failures need another configuration, such as the secret.
	Configuration Class = "configuration"
)

// Temporary reports whether waiting may be enough.
func (c Class) Temporary() bool { return c == Transient || c == "" }

// SourceError is a failed mint. Its text is shown to operators and stored in
// the record, so it must hold no secret, token or URL.
type SourceError struct {
	Class   Class
	Code    int           // the provider's own code; 0 if there is none
	Message string        // what happened
	Advice  string        // what to do about it
	After   time.Duration // wait at least this long before the next mint; 0 leaves it to the back-off
	Refused bool          // the request was certainly not sent, or certainly refused: nothing was minted
	Err     error         // the cause, free of secrets; may be nil
}

func (e *SourceError) Error() string {
	text := e.Message
	if e.Code != 0 {
		text = fmt.Sprintf("%s (code %d)", text, e.Code)
	}
	if e.Advice != "" {
		text += ": " + e.Advice
	}
	return text
}

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// BackoffError says that an earlier mint, by this process or another, failed
// and that the fleet waits before it tries again.
type BackoffError struct {
	Failure    Failure
	RetryAfter time.Duration
}

func (e *BackoffError) Error() string {
	return fmt.Sprintf("mintonce: the last mint failed, next try in %s: %s", e.RetryAfter.Round(time.Second), e.Failure.Message)
}

// ForeignMinterError says that the provider rejects the current token, that no
// mint of ours explains it, that this is not the first time, and that the next
// mint is spaced out. What Token returns meanwhile is the rejected token: there
// is no other.
type ForeignMinterError struct {
	Count      int           // rejections in a row without an explanation
	By         string        // who reported them all, or "several reporters"
	RetryAfter time.Duration // until the next mint
	Advice     string        // what to do about it
}

func (e *ForeignMinterError) Error() string {
	return fmt.Sprintf("%s: %s; next mint in %s: %s", ErrForeignMinter.Error(), evidence(e.Count, e.By), e.RetryAfter.Round(time.Second), e.Advice)
}

// Is makes errors.Is(err, ErrForeignMinter) true.
func (e *ForeignMinterError) Is(target error) bool { return target == ErrForeignMinter }

type nameError struct{ name string }

func (e *nameError) Error() string {
	return fmt.Sprintf("mintonce: name %q is not of the form %s", e.name, NamePattern)
}

func (e *nameError) Is(target error) bool { return target == ErrBadName }
