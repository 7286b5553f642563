package coordinator

import "time"

// EventKind says what happened.
type EventKind string

// The kinds of events that an observer receives. Those marked [history] are
// also kept in the history of a store that has one.
const (
	EventMinted     EventKind = "minted"              // [history] a new token was committed
	EventConfirmed  EventKind = "confirmed"           // [history] the provider returned the token that we have
	EventFailed     EventKind = "failed"              // [history] the provider refused, or was not reached
	EventUnanswered EventKind = "unanswered"          // [history] nobody knows whether the mint took place
	EventOverlapped EventKind = "overlapped"          // [history] a mint ended after another began: doubt
	EventExpired    EventKind = "attempt expired"     // [history] an attempt passed its deadline: doubt
	EventReported   EventKind = "reported"            // [history] the current token was rejected: doubt
	EventReportKept EventKind = "report not acted"    // [history] a rejection that changes nothing; Reason says why
	EventForeign    EventKind = "foreign minter"      // [history] somebody else seems to mint with the credential; Detail says what to do
	EventRestored   EventKind = "restored"            // [history] the store had lost the record, or its newest writes
	EventForked     EventKind = "forked"              // [history] two histories of the record were joined: doubt
	EventRotating   EventKind = "rotation asked"      // [history] an operator asked for a new token
	EventBudget     EventKind = "budget spent"        // a mint is needed, but the budget forbids it
	EventLockLost   EventKind = "lock lost"           // the lease ended in mid-mint
	EventUnsaved    EventKind = "unsaved"             // a minted token could not be written to the store yet
	EventStoreAway  EventKind = "store away"          // the store stopped answering
	EventStoreBack  EventKind = "store back"          // the store answers again
	EventMismatch   EventKind = "credential mismatch" // the record belongs to another account or secret
	EventUnreadable EventKind = "record unreadable"   // the record is damaged, sealed with an unknown key, or of a newer version
	EventCopyFailed EventKind = "fallback failed"     // the last-known-good copy could not be read or written
)

// Event is something that happened to a credential. It never holds a token, a
// secret, or a URL.
type Event struct {
	Kind       EventKind     `json:"event"`
	Name       string        `json:"name"`
	At         time.Time     `json:"at"` // the store's clock, or this process's if there was no store
	By         string        `json:"by"` // the instance
	Generation int64         `json:"generation,omitempty"`
	Attempt    string        `json:"attempt,omitempty"` // the id of the mint attempt
	Reason     string        `json:"reason,omitempty"`  // why
	Actor      string        `json:"actor,omitempty"`   // in whose name a person or an application asked for it; see WithActor
	Class      Class         `json:"class,omitempty"`   // of a failure
	Code       int           `json:"code,omitempty"`    // the provider's code
	Detail     string        `json:"detail,omitempty"`  // a message for people
	Took       time.Duration `json:"took,omitempty"`    // how long the provider took
}

// Fields returns the event as readable fields, one per fact, for a store's
// history. Empty facts are left out.
func (e Event) Fields() map[string]string {
	f := fields{}
	f.text("event", string(e.Kind))
	f.text("name", e.Name)
	f.time("at", e.At)
	f.text("by", e.By)
	f.int("generation", e.Generation)
	f.text("attempt", e.Attempt)
	f.text("reason", e.Reason)
	f.text("actor", e.Actor)
	f.text("class", string(e.Class))
	f.int("code", int64(e.Code))
	f.text("detail", e.Detail)
	if e.Took > 0 {
		f.text("took", e.Took.Round(time.Millisecond).String())
	}
	return f
}

// ParseEvent reads what Fields has written. It ignores what it does not know,
// because history is for people.
func ParseEvent(stored map[string]string) Event {
	p := parser{stored: stored}
	took, _ := time.ParseDuration(p.text("took"))
	return Event{
		Kind: EventKind(p.text("event")), Name: p.text("name"), At: p.time("at"), By: p.text("by"), Generation: p.int("generation"),
		Attempt: p.text("attempt"), Reason: p.text("reason"), Actor: p.text("actor"), Class: Class(p.text("class")), Code: int(p.int("code")),
		Detail: p.text("detail"), Took: took,
	}
}

// DetailUnlocked is the Detail of a mint without the lock, which an idempotent
// source is asked for while the store is away.
const DetailUnlocked = "minted without a lock while the store was away"
