package coordinator

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// Record is all that is known of one credential: its token, and what is in
// doubt about it. It changes only by [Store.Swap], from one record to a child
// of it, through the functions in transitions.go. The zero Record is one that
// does not exist.
//
// All times are on the store's clock, in whole milliseconds. Revisions are
// such times too, made strictly increasing.
type Record struct {
	// Lineage holds the last writes that this record descends from, the
	// oldest first and its own last. It tells a successor from a fork.
	Lineage []Stamp
	// Credential is the Traits.Credential that the token was minted with.
	Credential string
	// Grant is the current token.
	Grant Grant
	// CommittedAt is the revision at which Grant was committed.
	CommittedAt int64
	// RefreshAt is one random moment per generation at which a successor
	// should be minted, shared so that the whole fleet agrees.
	RefreshAt time.Time
	// Attempts are the mints that were announced and not resolved. It is a
	// set: two slots would be one too few as soon as three processes meet.
	Attempts []Attempt
	// DoubtAt is the revision at which doubt arose whether Grant is the token
	// that the provider accepts; 0 means none.
	DoubtAt int64
	// DoubtReason says why, for people.
	DoubtReason string
	// Spares are further refresh tokens that the next mints can try if the
	// provider does not accept the Grant's State: mints of a rotating source
	// overlapped, and nobody knows which of them came last. They are as secret
	// as the Grant.
	Spares []string
	// Spent are the fingerprints of the refresh tokens that the last mints have
	// spent, the oldest first. None of them is tried again.
	Spent []string
	// Unanswered are the fingerprints of the refresh tokens of which uses got no
	// answer since the last commit that left no doubt, so that they may be spent:
	// one for each use, up to four of each.
	Unanswered []string
	// Previous is the token before this one, for telling a late rejection.
	Previous Previous
	// Failure is the last failed mint since the last commit.
	Failure Failure
	// Budget counts the mints of the day.
	Budget Budget
	// EarlyReports counts the processes that reported Grant before it was old
	// enough to be doubted.
	EarlyReports int
	// Foreign is what points to somebody else who mints with the credential.
	Foreign Foreign

	unknown map[string]string // fields of a newer minor version, kept as they are
}

// Grant is a token as the record holds it. Like Token, it prints its
// fingerprint only.
type Grant struct {
	Value      string
	State      string
	Generation int64
	IssuedAt   time.Time // when the mint's request was sent
	ExpiresAt  time.Time
	MintedBy   string
	Reason     string
}

// token is the grant as its Source is given it.
func (g Grant) token(clock storeClock) Token {
	if g.Value == "" {
		return Token{Generation: g.Generation}.WithState(g.State)
	}
	t := NewToken(g.Value, clock.until(g.ExpiresAt)).WithState(g.State)
	t.Generation = g.Generation
	return t
}

// String describes the grant by fingerprint and generation.
func (g Grant) String() string { return redacted("grant", g.Value, g.Generation) }

// Format makes every verb of package fmt print String.
func (g Grant) Format(f fmt.State, _ rune) { fmt.Fprint(f, g.String()) }

// MarshalText makes encoding/json print String.
func (g Grant) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// Attempt is a mint that was announced before anything was sent.
type Attempt struct {
	ID       string    `json:"id"`
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
	BeganAt  int64     `json:"began_at"` // revision
	Deadline time.Time `json:"deadline"` // its owner commits before that, or never
	From     int64     `json:"from"`     // the generation that it set out to replace
	// With is the fingerprint of the refresh token that it carries, if any.
	With string `json:"with,omitempty"`
}

// Previous identifies the token before the current one.
type Previous struct {
	Fingerprint string
	Generation  int64
	Until       time.Time // the end of its overlap
}

// Failure is a failed mint.
type Failure struct {
	At         time.Time
	By         string
	Class      Class
	Code       int
	Message    string
	Credential string    // of the process that failed: another one need not wait
	Count      int       // failures in a row
	Refused    int       // of them, how often in turn refresh tokens were refused with one code
	RetryAfter time.Time // nobody mints before
}

// Budget counts mints as they are announced, failed ones too: nobody knows which
// of them the provider counted. Nor is one given back that was broken off before
// it was sent. That is rare, and one in a day's hundreds; but where the store has
// lost writes, the same attempt may come back open with a count from which it was
// taken already, and be taken from it again: then more would be minted than the
// provider allows.
type Budget struct {
	Day       string // "2006-01-02" where the provider is
	Mints     int
	Rotations int
	RotatedAt time.Time
}

// Stamp identifies one write of a record. The random ID tells apart two writes
// that got the same revision on two sides of a failover.
type Stamp struct {
	Revision int64
	ID       uint64
}

// NewStamp returns the stamp for a child of r that is written at now.
func NewStamp(r Record, now time.Time) Stamp {
	var id [8]byte
	rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return Stamp{Revision: max(r.Revision()+1, now.UnixMilli()), ID: binary.BigEndian.Uint64(id[:])}
}

// String is "REVISION.ID", as in the record's lineage.
func (s Stamp) String() string { return fmt.Sprintf("%d.%016x", s.Revision, s.ID) }

// Exists reports whether r was ever written.
func (r Record) Exists() bool { return len(r.Lineage) > 0 }

// Stamp returns the stamp of r's own write, or the zero Stamp.
func (r Record) Stamp() Stamp {
	if !r.Exists() {
		return Stamp{}
	}
	return r.Lineage[len(r.Lineage)-1]
}

// Revision returns the revision of r, or 0.
func (r Record) Revision() int64 { return r.Stamp().Revision }

// Usable reports whether the token may still be served at now.
func (r Record) Usable(now time.Time) bool {
	return r.Grant.Value != "" && now.Before(r.Grant.ExpiresAt)
}

// attempt returns the index of the attempt with this id, or -1.
func (r Record) attempt(id string) int {
	return slices.IndexFunc(r.Attempts, func(a Attempt) bool { return a.ID == id })
}

// Age is how long ago the current token was committed. Revisions run ahead of a
// store's clock that was set back; then it counts from when the token was
// issued, and is a day where that lies ahead too: the token was not minted a
// moment ago by this clock.
func (r Record) Age(now time.Time) time.Duration {
	committed := time.UnixMilli(r.CommittedAt)
	if isAhead(committed, now) {
		committed = r.Grant.IssuedAt
	}
	if isAhead(committed, now) {
		return 24 * time.Hour
	}
	return now.Sub(committed)
}

// isAhead reports whether a moment that was noted lies so far ahead that the
// store's clock must have been set back since.
func isAhead(noted, now time.Time) bool { return noted.After(now.Add(time.Minute)) }

// String describes the record without its secrets.
func (r Record) String() string {
	return fmt.Sprintf("record %s: %s, %d attempts, doubt at %d %q, %d failures", r.Stamp(), r.Grant, len(r.Attempts), r.DoubtAt, r.DoubtReason, r.Failure.Count)
}

// Format makes every verb of package fmt print String.
func (r Record) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// MarshalText makes encoding/json and its like print String.
func (r Record) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
