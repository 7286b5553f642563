// Package doctor checks whether a store and a provider are fit for mintonce,
// and says what to do where they are not. It mints nothing.
package doctor

import (
	"fmt"
	"io"
	"time"

	"github.com/mintonce/mintonce/internal/plain"
)

// Level says how bad a finding is.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn" // works, but should be otherwise
	Fail Level = "fail" // does not work
)

// Finding is the result of one check.
type Finding struct {
	Level  Level
	About  string // what was looked at, such as "store" or "token shop"
	Text   string // what was found
	Remedy string // what to do; empty for OK
}

// Report collects findings and writes each as it comes.
type Report struct {
	// Advise, if set, adds to an error of the store what to do about it.
	Advise func(error) error

	out    io.Writer
	failed int
}

// NewReport returns a Report that writes to out.
func NewReport(out io.Writer) *Report { return &Report{out: out} }

// Add writes a finding.
func (r *Report) Add(f Finding) {
	if f.Level == Fail {
		r.failed++
	}
	text := plain.Clean(f.Text)
	if f.Remedy != "" {
		text += ": " + plain.Clean(f.Remedy)
	}
	fmt.Fprintf(r.out, "%-5s %-12s %s\n", f.Level, f.About, text)
}

// Failed is how many findings were of level Fail.
func (r *Report) Failed() int { return r.failed }

func (r *Report) ok(about, text string, args ...any) {
	r.Add(Finding{OK, about, fmt.Sprintf(text, args...), ""})
}

func (r *Report) warn(about, remedy, text string, args ...any) {
	r.Add(Finding{Warn, about, fmt.Sprintf(text, args...), remedy})
}

// fail adds an error, whose text has the remedy.
func (r *Report) fail(about string, err error) {
	if r.Advise != nil {
		err = r.Advise(err)
	}
	r.Add(Finding{Fail, about, err.Error(), ""})
}

// probeTimeout bounds one check.
const probeTimeout = 5 * time.Second
