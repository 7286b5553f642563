package statusview

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
)

const (
	width  = 80
	margin = 13 // of the facts: two blanks and a label
)

// Write writes all tokens as text.
func (o Overview) Write(w io.Writer) error {
	p := &page{}
	if len(o.Tokens) == 0 {
		p.line("no tokens: name one, or list tokens in the config file")
	}
	for i, e := range o.Tokens {
		if i > 0 {
			p.line("")
		}
		p.entry(e)
	}
	_, err := io.WriteString(w, p.text.String())
	return err
}

// page collects lines.
type page struct{ text strings.Builder }

func (p *page) line(text string) { p.text.WriteString(strings.TrimRight(text, " ") + "\n") }

// fact writes a label and a text, which is wrapped. Nothing is written of an
// empty text.
func (p *page) fact(label, text string) {
	for i, line := range wrap(plain.Line(text), width-margin) {
		if i > 0 {
			label = ""
		}
		p.line(fmt.Sprintf("  %-*s%s", margin-2, label, line))
	}
}

// moment writes a label, a relative time with a remark, and the time itself at
// the right.
func (p *page) moment(label, text string, at time.Time) {
	stamp := at.UTC().Format(time.RFC3339)
	text = plain.Line(text)
	if gap := width - margin - utf8.RuneCountInString(text) - len(stamp); gap >= 2 {
		p.fact2(label, text+strings.Repeat(" ", gap)+stamp)
		return
	}
	p.fact(label, text+", "+stamp)
}

func (p *page) fact2(label, text string) { p.line(fmt.Sprintf("  %-*s%s", margin-2, label, text)) }

func (p *page) entry(e Entry) {
	if e.Err != nil {
		p.line(e.Name + ": unknown")
		p.fact("error", plain.Text(e.Err))
		return
	}
	s := e.Status
	title := s.Name + ": " + s.State
	if s.Generation > 0 {
		title += fmt.Sprintf(", generation %d", s.Generation)
	}
	p.line(title)
	if s.Generation > 0 {
		p.token(s)
	}
	p.fact("next", plain.Clean(s.Next))
	p.trouble(s)
	p.fact("lock", lock(s))
	p.fact("budget", budget(s.Budget, s.Now))
	p.history(s)
}

func (p *page) token(s coordinator.Status) {
	p.line("  " + bar(s))
	p.moment("minted", ago(s.Now, s.IssuedAt)+by(s.MintedBy)+because(s.Reason), s.IssuedAt)
	if s.Now.Before(s.ExpiresAt) {
		p.moment("refresh", until(s.Now, s.RefreshAt), s.RefreshAt)
		p.moment("expires", until(s.Now, s.ExpiresAt), s.ExpiresAt)
	} else {
		p.moment("expired", ago(s.Now, s.ExpiresAt), s.ExpiresAt)
	}
	if s.SealedBy != "" {
		p.fact("token", "sealed with key "+s.SealedBy+", which this process does not have")
	} else {
		p.fact("token", "fingerprint "+s.Fingerprint)
	}
	p.fact("account", s.Credential)
}

// trouble writes what stands in the way, if anything.
func (p *page) trouble(s coordinator.Status) {
	if s.Doubt != "" {
		p.moment("doubt", s.Doubt+", "+ago(s.Now, s.DoubtSince), s.DoubtSince)
	}
	if s.EarlyReports > 0 {
		p.fact("reports", plain.Count(s.EarlyReports, "report")+" of it came before it was old enough to be doubted")
	}
	p.foreign(s)
	for _, a := range s.Attempts {
		p.fact("minting", fmt.Sprintf("%s since %s (%s), unresolved at the latest %s", a.By, short(s.Now.Sub(time.UnixMilli(a.BeganAt))), a.Reason, until(s.Now, a.Deadline)))
	}
	if f := s.Failure; f != nil {
		p.moment("failure", fmt.Sprintf("%s, %s%s", times(f.Count), ago(s.Now, f.At), by(f.By)), f.At)
		p.fact("", plain.Clean(f.Message))
		p.fact("", retry(s.Now, f))
	}
}

// foreign writes what points to somebody else who mints, if anything does.
func (p *page) foreign(s coordinator.Status) {
	f := s.Foreign
	if f == nil {
		return
	}
	switch {
	case f.Named:
		p.fact("foreign", "somebody else seems to mint with this credential")
	case f.Count > 0:
		p.fact("foreign", "suspected: somebody else may mint with this credential")
	}
	if f.Count > 0 {
		p.fact("", plain.Count(f.Count, "rejection")+" in a row that no mint of ours explains, the last "+ago(s.Now, f.At)+by(f.By))
	}
	if f.Vouched > 0 {
		label := ""
		if f.Count == 0 {
			label = "vouched"
		}
		p.fact(label, "asked because of a rejection, the provider gave out the same token again, "+plain.Count(f.Vouched, "time")+": look at the call that is rejected")
		return
	}
	if !f.Until.IsZero() {
		p.fact("", "mints because of a rejection are spaced out: the next "+until(s.Now, f.Until))
	}
	p.fact("", plain.Clean(f.Advice))
}

func (p *page) history(s coordinator.Status) {
	for i, e := range s.History {
		label := ""
		if i == 0 {
			label = "events"
		}
		text := fmt.Sprintf("%8s  %-16s", short(s.Now.Sub(e.At)), e.Kind)
		if e.Generation > 0 {
			text += fmt.Sprintf(" #%d", e.Generation)
		}
		text += by(e.By) + because(e.Reason)
		if e.Took > 0 {
			text += ", took " + e.Took.Round(time.Millisecond).String()
		}
		p.fact2(label, clip(printable(text), width-margin))
		if e.Actor != "" {
			p.fact2("", clip(strings.Repeat(" ", 10)+"asked by "+plain.Line(e.Actor), width-margin))
		}
		for _, line := range wrap(plain.Clean(e.Detail), width-margin-10) {
			p.fact2("", strings.Repeat(" ", 10)+line)
		}
	}
}

func retry(now time.Time, f *coordinator.FailureStatus) string {
	if now.Before(f.RetryAfter) {
		return fmt.Sprintf("%s failure, next try %s", f.Class, until(now, f.RetryAfter))
	}
	return fmt.Sprintf("%s failure, due for another try", f.Class)
}

func lock(s coordinator.Status) string {
	if s.LockHolder != "" {
		return "held by " + s.LockHolder
	}
	return "free"
}

// budget is what is spent on the provider's day. Where that is another than
// here, it says whose it is: all providers so far are in China.
func budget(b coordinator.BudgetStatus, now time.Time) string {
	of := func(n, limit int, what string) string {
		if limit > 0 {
			return fmt.Sprintf("%d of %s", n, plain.Count(limit, what))
		}
		return plain.Count(n, what)
	}
	text := of(b.Mints, b.MintLimit, "mint") + " and " + of(b.Rotations, b.RotationLimit, "rotation")
	if b.Day != "" {
		text += " on " + b.Day
		if b.Day != now.Local().Format(time.DateOnly) {
			text += " (the provider's day, UTC+8)"
		}
	}
	return text
}
