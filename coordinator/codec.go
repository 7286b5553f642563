package coordinator

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// Format is the version of the record's fields. A record with a higher one is
// neither used nor overwritten.
const Format = 1

// Limits of what a record may hold, so that a damaged one cannot hurt.
const (
	maxFieldSize = 64 << 10
	maxUnknown   = 64
	maxNumber    = 1 << 52 // exact as a float too, and far from overflowing
	maxAttempts  = 64
)

// timeFormat keeps milliseconds, which is what revisions are made of.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// Fields returns the record as readable fields, one per fact, for a store to
// keep. Empty facts are left out. "state" is for people: it says how things
// stood when the record was written.
func (r Record) Fields() map[string]string {
	f := fields(maps.Clone(r.unknown))
	if f == nil {
		f = fields{}
	}
	f.int("format", Format)
	f.int("revision", r.Revision())
	f.text("write_id", fmt.Sprintf("%016x", r.Stamp().ID))
	f.text("lineage", formatLineage(r.Lineage))
	f.text("state", r.state(time.UnixMilli(r.Revision())))
	f.text("credential", r.Credential)
	f.text("value", r.Grant.Value)
	f.text("source_state", r.Grant.State)
	f.texts("spare_states", r.Spares)
	f.texts("spent_states", r.Spent)
	f.texts("unanswered_states", r.Unanswered)
	f.int("generation", r.Grant.Generation)
	f.time("issued_at", r.Grant.IssuedAt)
	f.time("expires_at", r.Grant.ExpiresAt)
	f.text("minted_by", r.Grant.MintedBy)
	f.text("reason", r.Grant.Reason)
	f.int("committed_at", r.CommittedAt)
	f.time("refresh_at", r.RefreshAt)
	f.attempts("attempts", r.Attempts)
	f.int("doubt_at", r.DoubtAt)
	f.text("doubt_reason", r.DoubtReason)
	f.text("previous_fingerprint", r.Previous.Fingerprint)
	f.int("previous_generation", r.Previous.Generation)
	f.time("previous_until", r.Previous.Until)
	f.time("failed_at", r.Failure.At)
	f.text("failed_by", r.Failure.By)
	f.text("failure_class", string(r.Failure.Class))
	f.int("failure_code", int64(r.Failure.Code))
	f.text("failure", r.Failure.Message)
	f.text("failure_credential", r.Failure.Credential)
	f.int("failures", int64(r.Failure.Count))
	f.int("refusals", int64(r.Failure.Refused))
	f.time("retry_after", r.Failure.RetryAfter)
	f.text("budget_day", r.Budget.Day)
	f.int("mints_today", int64(r.Budget.Mints))
	f.int("rotations_today", int64(r.Budget.Rotations))
	f.time("rotated_at", r.Budget.RotatedAt)
	f.int("early_reports", int64(r.EarlyReports))
	f.int("foreign_count", int64(r.Foreign.Count))
	f.time("foreign_at", r.Foreign.At)
	f.text("foreign_by", r.Foreign.By)
	f.int("foreign_generation", r.Foreign.Generation)
	f.int("foreign_vouched", int64(r.Foreign.Vouched))
	f.time("foreign_wait_until", r.Foreign.Until)
	return f
}

// ParseRecord reads what Fields has written. No fields are the zero Record.
// Fields that it does not know are kept for the next write. It returns
// ErrNewerRecord for a record of a higher Format, and ErrBadRecord, naming the
// field, for one that is damaged.
func ParseRecord(stored map[string]string) (Record, error) {
	if len(stored) == 0 {
		return Record{}, nil
	}
	p := parser{stored: stored}
	r := p.record()
	if p.err == nil && p.found < len(stored) {
		// Seldom, so it need not be fast: find out which were not asked for.
		p = parser{stored: stored, asked: make(map[string]bool)}
		r = p.record()
		r.unknown = p.unknown()
	}
	if p.err != nil {
		return Record{}, p.err
	}
	return r, nil
}

// record takes a whole record.
func (p *parser) record() Record {
	if format := p.int("format"); format > Format {
		p.err = fmt.Errorf("%w (format %d, this version reads up to %d)", ErrNewerRecord, format, Format)
		return Record{}
	}
	var r Record
	revision, id := p.int("revision"), p.hex("write_id")
	r.Lineage = p.lineage("lineage")
	p.text("state")
	r.Credential, r.Spares = p.text("credential"), p.texts("spare_states", maxSpares)
	r.Spent, r.Unanswered = p.texts("spent_states", maxSpent), p.texts("unanswered_states", maxUnanswered)
	r.Grant = Grant{
		Value: p.text("value"), State: p.text("source_state"), Generation: p.int("generation"),
		IssuedAt: p.time("issued_at"), ExpiresAt: p.time("expires_at"), MintedBy: p.text("minted_by"), Reason: p.text("reason"),
	}
	r.CommittedAt, r.RefreshAt = p.int("committed_at"), p.time("refresh_at")
	r.Attempts = p.attempts("attempts")
	r.DoubtAt, r.DoubtReason = p.int("doubt_at"), p.text("doubt_reason")
	r.Previous = Previous{Fingerprint: p.text("previous_fingerprint"), Generation: p.int("previous_generation"), Until: p.time("previous_until")}
	r.Failure = Failure{
		At: p.time("failed_at"), By: p.text("failed_by"), Class: Class(p.text("failure_class")), Code: int(p.int("failure_code")),
		Message: p.text("failure"), Credential: p.text("failure_credential"), Count: p.count("failures"), Refused: p.count("refusals"), RetryAfter: p.time("retry_after"),
	}
	r.Budget = Budget{Day: p.text("budget_day"), Mints: p.count("mints_today"), Rotations: p.count("rotations_today"), RotatedAt: p.time("rotated_at")}
	r.EarlyReports = p.count("early_reports")
	r.Foreign = Foreign{
		Count: p.count("foreign_count"), At: p.time("foreign_at"), By: p.text("foreign_by"), Generation: p.int("foreign_generation"),
		Vouched: p.count("foreign_vouched"), Until: p.time("foreign_wait_until"),
	}
	p.check(r, Stamp{Revision: revision, ID: id})
	return r
}

// check checks what concerns several fields.
func (p *parser) check(r Record, own Stamp) {
	if p.err == nil && (!r.Exists() || r.Stamp() != own) {
		p.fail("lineage", "does not end with revision and write_id")
	}
	if r.CommittedAt > own.Revision {
		p.fail("committed_at", "is after the revision")
	}
	if r.DoubtAt > own.Revision {
		p.fail("doubt_at", "is after the revision")
	}
	if r.Grant.Value != "" && r.Grant.ExpiresAt.IsZero() {
		p.fail("expires_at", "is missing")
	}
}

// state sums the record up in one word.
func (r Record) state(now time.Time) string {
	switch {
	case len(r.Attempts) > 0:
		return "minting"
	case r.Grant.Value == "" && r.Failure.Count > 0:
		return "failing"
	case r.Grant.Value == "":
		return "missing"
	case !r.Usable(now):
		return "expired"
	case r.DoubtAt != 0:
		return "doubted"
	case r.Failure.Count > 0:
		return "failing"
	default:
		return "live"
	}
}

type fields map[string]string

func (f fields) text(name, value string) {
	if value != "" {
		f[name] = value
	}
}

func (f fields) texts(name string, value []string) {
	if len(value) > 0 {
		text, _ := json.Marshal(value) // strings always marshal
		f[name] = string(text)
	}
}

func (f fields) int(name string, value int64) {
	if value != 0 {
		f[name] = strconv.FormatInt(value, 10)
	}
}

func (f fields) time(name string, value time.Time) {
	if !value.IsZero() {
		f[name] = value.UTC().Format(timeFormat)
	}
}

func (f fields) attempts(name string, value []Attempt) {
	if len(value) > 0 {
		text, _ := json.Marshal(value) // strings, integers and times in range always marshal
		f[name] = string(text)
	}
}

func formatLineage(lineage []Stamp) string {
	words := make([]string, len(lineage))
	for i, s := range lineage {
		words[i] = s.String()
	}
	return strings.Join(words, " ")
}

// parser reads fields and keeps the first error.
type parser struct {
	stored map[string]string
	found  int             // how many of the fields asked for were there
	asked  map[string]bool // if not nil, notes what was asked for
	err    error
}

func (p *parser) fail(name, problem string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: field %s %s", ErrBadRecord, name, problem)
	}
}

func (p *parser) text(name string) string {
	value, ok := p.stored[name]
	if ok {
		p.found++
	}
	if p.asked != nil {
		p.asked[name] = true
	}
	if len(value) > maxFieldSize {
		p.fail(name, "is too long")
	}
	return value
}

// unknown returns the fields that nobody asked for.
func (p *parser) unknown() map[string]string {
	unknown := make(map[string]string)
	for name, value := range p.stored {
		if !p.asked[name] {
			unknown[name] = value
		}
	}
	if len(unknown) > maxUnknown {
		p.fail("(unknown)", fmt.Sprintf("occurs more than %d times", maxUnknown))
	}
	return unknown
}

func (p *parser) int(name string) int64 {
	value := p.text(name)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 && name != "failure_code" || n < -maxNumber || n > maxNumber {
		p.fail(name, "is not a whole number in range")
		return 0
	}
	return n
}

// count is an int that still can be counted up.
func (p *parser) count(name string) int { return int(min(p.int(name), maxNumber-1)) }

func (p *parser) hex(name string) uint64 {
	n, err := strconv.ParseUint(p.text(name), 16, 64)
	if err != nil {
		p.fail(name, "is not a hexadecimal number")
	}
	return n
}

func (p *parser) time(name string) time.Time {
	value := p.text(name)
	if value == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		p.fail(name, "is not a time of the form RFC 3339")
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func (p *parser) texts(name string, most int) []string {
	value := p.text(name)
	if value == "" {
		return nil
	}
	var texts []string
	if err := json.Unmarshal([]byte(value), &texts); err != nil {
		p.fail(name, "is not a JSON list of texts")
		return nil
	}
	if len(texts) > most {
		p.fail(name, fmt.Sprintf("has more than %d entries", most))
	}
	return texts
}

func (p *parser) attempts(name string) []Attempt {
	value := p.text(name)
	if value == "" {
		return nil
	}
	var attempts []Attempt
	if err := json.Unmarshal([]byte(value), &attempts); err != nil {
		p.fail(name, "is not a JSON list of attempts")
		return nil
	}
	for i := range attempts {
		if attempts[i].ID == "" || attempts[i].BeganAt <= 0 || attempts[i].Deadline.Year() < 1970 || attempts[i].Deadline.Year() > 9999 {
			p.fail(name, "has an attempt without id, began_at or deadline")
		}
		attempts[i].Deadline = attempts[i].Deadline.UTC().Truncate(time.Millisecond)
	}
	if len(attempts) > maxAttempts {
		p.fail(name, fmt.Sprintf("has more than %d attempts", maxAttempts))
	}
	return attempts
}

func (p *parser) lineage(name string) []Stamp {
	text := p.text(name)
	if text == "" {
		return nil
	}
	n := strings.Count(text, " ") + 1
	if n > lineageDepth {
		p.fail(name, fmt.Sprintf("has more than %d entries", lineageDepth))
		return nil
	}
	lineage := make([]Stamp, 0, n)
	for more := true; more; {
		var word string
		word, text, more = strings.Cut(text, " ")
		s, err := ParseStamp(word)
		if err != nil || len(lineage) > 0 && s.Revision < lineage[len(lineage)-1].Revision {
			p.fail(name, "is not a rising list of REVISION.ID")
			return nil
		}
		lineage = append(lineage, s)
	}
	return lineage
}

var errStamp = errors.New("mintonce: a stamp is of the form REVISION.ID")

// ParseStamp reads what Stamp.String has written.
func ParseStamp(text string) (Stamp, error) {
	revision, id, _ := strings.Cut(text, ".")
	r, ok := digits(revision, 10)
	i, ok2 := digits(id, 16)
	if !ok || !ok2 || r == 0 {
		return Stamp{}, errStamp
	}
	return Stamp{Revision: int64(r), ID: i}, nil
}

// digits reads up to 16 digits. A record has 64 such numbers, with which
// strconv takes more than half of the time to read all of it.
func digits(text string, base uint64) (n uint64, ok bool) {
	if text == "" || len(text) > 16 {
		return 0, false
	}
	for i := range len(text) {
		digit := base
		switch c := text[i]; {
		case '0' <= c && c <= '9':
			digit = uint64(c - '0')
		case 'a' <= c && c <= 'f':
			digit = uint64(c-'a') + 10
		}
		if digit >= base {
			return 0, false
		}
		n = n*base + digit
	}
	return n, true
}
