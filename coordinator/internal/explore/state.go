package explore

import (
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

const (
	maxProcesses = 3
	maxTokens    = 8 // the first one, and one for each attempt
	remembered   = 4 // records that a roll-back may return to
	nobody       = -1
	none         = maxTokens // no token has this number
)

// step is how far a process is with its mint.
type step uint8

const (
	idle step = iota
	locked
	begun
	sent
	answered
	refused
	dead
)

type process struct {
	step    step
	attempt uint8 // 0: none
	left    uint8 // attempts that it may still begin
	got     uint8 // the token that it was given
	carries uint8 // the refresh token that its request carries
	forced  bool  // an operator wants another token
}

// state is everything that matters for what can happen next. It is comparable;
// records are numbered by the archive.
type state struct {
	live     uint8 // the token that the provider issued last
	next     uint8 // attempt
	writes   uint8
	record   recordID
	lock     int8
	procs    [maxProcesses]process
	wire     [maxTokens]request // under way, by attempt
	earlier  [remembered]recordID
	past     uint8 // how many of earlier are set
	memories [maxProcesses]recordID
	expired  uint8 // bit set of tokens
	ending   uint8 // bit set of tokens that were renewed in time, and are good until their end
	valid    uint8 // bit set of tokens whose refresh token is unspent
	retry    uint8 // bit set of tokens whose refresh token may be used once more
	spent    uint8 // bit set of tokens whose refresh token was used
	told     uint8 // bit set of tokens of whose refresh token a commit told that it was spent
	tried    uint8 // bit set of tokens whose refresh token an attempt carried that was given up

	crashes, timeouts, rollbacks, flushes, reports, lapses, renewals, rotations, graces uint8
}

// recordID numbers a record in the archive. 0 is the record that does not
// exist.
type recordID int32

// archive keeps one copy of every record that came up, reduced to what the
// protocol looks at.
type archive struct {
	records []coordinator.Record
	ids     map[string]recordID
}

func newArchive() *archive {
	return &archive{records: make([]coordinator.Record, 1), ids: map[string]recordID{}}
}

// Moments that never come, and that are long gone, at the clock of the
// exploration, which counts milliseconds from 1.
var (
	never   = time.UnixMilli(1 << 40).UTC()
	longAgo = time.UnixMilli(-1 << 40).UTC()
)

// forkFlag marks the stamp of a write that joined two histories.
const forkFlag = 1 << 8

func (a *archive) add(r coordinator.Record) recordID {
	if !r.Exists() {
		return 0
	}
	key := []byte{tokenNumber(r.Grant.Value), tokenNumber(r.Grant.State), byte(r.Grant.Generation), byte(r.CommittedAt), byte(r.DoubtAt), byte(len(r.Attempts)), byte(len(r.Spares))}
	for _, at := range r.Attempts {
		key = append(append(key, attemptNumber(at.ID), at.By[0], byte(at.BeganAt), byte(at.From)), at.With...)
	}
	for _, spare := range r.Spares {
		key = append(key, tokenNumber(spare))
	}
	for _, spent := range r.Spent {
		key = append(key, spent...)
	}
	for _, unanswered := range r.Unanswered {
		key = append(append(key, '?'), unanswered...)
	}
	for _, s := range r.Lineage {
		key = binary.BigEndian.AppendUint16(append(key, byte(s.Revision)), uint16(s.ID))
	}
	if id, known := a.ids[string(key)]; known {
		return id
	}
	kept := coordinator.Record{
		Lineage: r.Lineage, CommittedAt: r.CommittedAt, DoubtAt: r.DoubtAt, RefreshAt: never, Spares: r.Spares, Spent: r.Spent, Unanswered: r.Unanswered,
		Grant:    coordinator.Grant{Value: r.Grant.Value, State: r.Grant.State, Generation: r.Grant.Generation, ExpiresAt: never},
		Attempts: slices.Clone(r.Attempts),
	}
	for i, at := range kept.Attempts {
		kept.Attempts[i] = coordinator.Attempt{ID: at.ID, By: at.By, BeganAt: at.BeganAt, Deadline: never, From: at.From, With: at.With}
	}
	id := recordID(len(a.records))
	a.records = append(a.records, kept)
	a.ids[string(key)] = id
	return id
}

// get returns the record as it is once the tokens in expired have expired.
func (a *archive) get(id recordID, expired uint8) coordinator.Record {
	r := a.records[id]
	if r.Grant.Value != "" && expired&(1<<tokenNumber(r.Grant.Value)) != 0 {
		r.Grant.ExpiresAt = longAgo
	}
	return r
}

func tokenValue(n uint8) string { return "token-" + strconv.Itoa(int(n)) }

// tokenNumber returns the number of a token, or one that no token has.
func tokenNumber(value string) uint8 {
	if value == "" {
		return none
	}
	return value[len(value)-1] - '0'
}

func attemptID(n uint8) string      { return "attempt-" + strconv.Itoa(int(n)) }
func attemptNumber(id string) uint8 { return id[len(id)-1] - '0' }
func processName(i int) string      { return strconv.Itoa(i) }
func processNumber(name string) int { return int(name[0] - '0') }
func isAttempt(n uint8) func(coordinator.Attempt) bool {
	id := attemptID(n)
	return func(a coordinator.Attempt) bool { return a.ID == id }
}
