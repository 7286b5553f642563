package coordinator

import (
	"time"
	"unique"
)

// memory is the last record that a Coordinator saw or wrote, as it keeps it
// from one look to the next. A process may keep a hundred thousand of them, so
// one at rest takes a third of a Record: times are milliseconds, texts that
// many records have are shared, and there is no room for what is rare.
type memory struct {
	whole *Record // all of it, if it has anything that is rare

	lineage             []Stamp
	credential          string
	value, state        string
	generation          int64
	issuedAt, expiresAt int64
	mintedBy, reason    unique.Handle[string]
	committedAt         int64
	refreshAt           int64
	previous            string // fingerprint
	previousGeneration  int64
	previousUntil       int64
	day                 unique.Handle[string]
	mints, rotations    int
	rotatedAt           int64
}

// memorize returns what is kept of r.
func memorize(r Record) memory {
	if !r.plain() {
		return memory{whole: &r}
	}
	return memory{
		lineage: r.Lineage, credential: r.Credential,
		value: r.Grant.Value, state: r.Grant.State, generation: r.Grant.Generation,
		issuedAt: r.Grant.IssuedAt.UnixMilli(), expiresAt: r.Grant.ExpiresAt.UnixMilli(),
		mintedBy: unique.Make(r.Grant.MintedBy), reason: unique.Make(r.Grant.Reason),
		committedAt: r.CommittedAt, refreshAt: r.RefreshAt.UnixMilli(),
		previous: r.Previous.Fingerprint, previousGeneration: r.Previous.Generation, previousUntil: r.Previous.Until.UnixMilli(),
		day: unique.Make(r.Budget.Day), mints: r.Budget.Mints, rotations: r.Budget.Rotations, rotatedAt: r.Budget.RotatedAt.UnixMilli(),
	}
}

// plain reports whether r has nothing but what a memory has room for.
func (r Record) plain() bool {
	return r.Exists() && len(r.Attempts) == 0 && r.DoubtAt == 0 && r.DoubtReason == "" &&
		r.Failure == Failure{} && r.EarlyReports == 0 && r.Foreign == Foreign{} && len(r.Spares) == 0 && len(r.Spent) == 0 && len(r.Unanswered) == 0 && len(r.unknown) == 0
}

// record returns the record that is remembered; the zero Record for the zero
// memory.
func (m *memory) record() Record {
	switch {
	case m.whole != nil:
		return *m.whole
	case len(m.lineage) == 0:
		return Record{}
	}
	return Record{
		Lineage: m.lineage, Credential: m.credential,
		Grant: Grant{
			Value: m.value, State: m.state, Generation: m.generation, IssuedAt: moment(m.issuedAt), ExpiresAt: moment(m.expiresAt),
			MintedBy: m.mintedBy.Value(), Reason: m.reason.Value(),
		},
		CommittedAt: m.committedAt, RefreshAt: moment(m.refreshAt),
		Previous: Previous{Fingerprint: m.previous, Generation: m.previousGeneration, Until: moment(m.previousUntil)},
		Budget:   Budget{Day: m.day.Value(), Mints: m.mints, Rotations: m.rotations, RotatedAt: moment(m.rotatedAt)},
	}
}

// moment is the time of a record, which has whole milliseconds. That of the
// zero time is the zero time.
func moment(milliseconds int64) time.Time { return time.UnixMilli(milliseconds).UTC() }
