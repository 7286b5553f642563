package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/internal/statusview"
)

// meAnswer is what the caller is to this server.
type meAnswer struct {
	Client   string         `json:"client,omitempty"` // empty: no key is needed
	Rights   []config.Right `json:"rights"`
	Tokens   []string       `json:"tokens"`             // names and patterns; * is every one
	Instance string         `json:"instance,omitempty"` // that answers
}

func (a *api) me(w http.ResponseWriter, r *http.Request) *problem {
	who, problem := a.authenticate(r)
	if problem != nil {
		return problem
	}
	answer := meAnswer{Rights: config.AllRights(), Tokens: []string{"*"}, Instance: a.Instance}
	if c := who.client; c != nil {
		answer.Client, answer.Rights, answer.Tokens = c.Name, c.Rights, c.Tokens
	}
	writeJSON(w, jsonType, http.StatusOK, answer)
	return nil
}

// survey is what this process knows of all its tokens at one moment.
type survey struct {
	until time.Time // when it is too old
	facts map[string]fact
}

// fact is what a survey keeps of a token: there may be very many.
type fact struct {
	trouble *statusview.Trouble // nil if all is well
	usable  bool
	rests   bool // nothing is to be done before refresh
	now     time.Time
	end     time.Time
	refresh time.Time
}

// survey asks nobody outside of this process. However many look, and at however
// many tokens, it takes no more than a tenth of a processor.
func (a *api) survey() *survey {
	const least, share = time.Second, 10
	a.surveying.Lock()
	defer a.surveying.Unlock()
	if a.surveyed != nil && time.Now().Before(a.surveyed.until) {
		return a.surveyed
	}
	began := time.Now()
	s := &survey{facts: make(map[string]fact, len(a.names))}
	for _, name := range a.names {
		status, err := a.Credentials[name].Glance()
		s.facts[name] = fact{
			trouble: statusview.Judge(status, err),
			usable:  status.Generation > 0 && status.Now.Before(status.ExpiresAt),
			rests:   status.NextStep.Action == coordinator.Rest,
			now:     status.Now, end: status.ExpiresAt, refresh: status.RefreshAt,
		}
	}
	s.until = time.Now().Add(max(least, share*time.Since(began)))
	a.surveyed = s
	return s
}

// overviewAnswer is all tokens of the caller in a few lines, however many they
// are. It is as this process knows them.
type overviewAnswer struct {
	Tokens   int     `json:"tokens"`
	Usable   int     `json:"usable"`
	Warning  int     `json:"warning"`
	Critical int     `json:"critical"`
	End      *moment `json:"end,omitempty"`     // the first end of a token, should no mint succeed from now on
	Refresh  *moment `json:"refresh,omitempty"` // the next refresh that is planned

	Instance       string           `json:"instance,omitempty"` // that answers
	Instances      []instanceAnswer `json:"instances"`          // that are alive
	InstancesError string           `json:"instances_error,omitempty"`
}

// instanceAnswer is a process. How many tokens it keeps is for those who may
// know of all of them.
type instanceAnswer struct {
	coordinator.Instance
	Tokens *int `json:"tokens,omitempty"`
}

// moment is when something happens to a token. In is for those who have another
// clock.
type moment struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"` // the store's clock
	In   int64     `json:"in_ms"`
}

// sooner returns the sooner of the two.
func sooner(m *moment, name string, at, now time.Time) *moment {
	in := at.Sub(now).Milliseconds()
	if m != nil && m.In <= in {
		return m
	}
	return &moment{name, at, in}
}

func (a *api) overview(w http.ResponseWriter, r *http.Request) *problem {
	who, problem := a.authenticate(r)
	if problem != nil {
		return problem
	}
	names, problem := a.readable(who)
	if problem != nil {
		return problem
	}
	answer := a.summary(names)
	answer.Instance, answer.Instances = a.Instance, []instanceAnswer{}
	if a.Roster != nil {
		ctx, cancel := context.WithTimeout(r.Context(), storePatience)
		defer cancel()
		alive, err := a.Roster.Instances(ctx)
		for _, i := range alive {
			shown := instanceAnswer{Instance: i}
			if who.client == nil || who.client.MayUseAll() {
				shown.Tokens = &i.Tokens
			}
			answer.Instances = append(answer.Instances, shown)
		}
		answer.InstancesError = plain.Text(err)
	}
	writeJSON(w, jsonType, http.StatusOK, answer)
	return nil
}

func (a *api) summary(names []string) overviewAnswer {
	sum, survey := overviewAnswer{Tokens: len(names)}, a.survey()
	for _, name := range names {
		f := survey.facts[name]
		switch {
		case f.trouble == nil:
		case f.trouble.Level == statusview.Critical:
			sum.Critical++
		default:
			sum.Warning++
		}
		if !f.usable {
			continue
		}
		sum.Usable++
		sum.End = sooner(sum.End, name, f.end, f.now)
		if f.rests {
			sum.Refresh = sooner(sum.Refresh, name, f.refresh, f.now)
		}
	}
	return sum
}
