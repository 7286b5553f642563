package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/sealedstore"
)

// Fallback says that the copy's folder was opened.
func (r *Report) Fallback(where string) { r.ok("fallback", "%s can be written", where) }

// Record checks what is stored of a token. traits are those of its source, and
// zero for a token without one.
func (r *Report) Record(ctx context.Context, name string, store coordinator.Store, traits coordinator.Traits) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	about := "token " + name
	s, err := coordinator.ReadStatus(ctx, store, name, traits)
	switch {
	case errors.Is(err, coordinator.ErrBadRecord):
		r.Add(Finding{Fail, about, err.Error(), "keep a copy of the record and delete it; the next process mints a new token"})
	case err != nil:
		r.fail(about, err)
	case s.SealedBy != "":
		r.fail(about, &coordinator.SealedError{Name: name, Key: s.SealedBy})
	case s.Revision == 0:
		r.ok(about, "has no record yet; the first process that needs it makes one")
	case traits.Credential != "" && s.Credential != "" && s.Credential != traits.Credential:
		r.fail(about, &coordinator.MismatchError{Name: name, Record: s.Credential, Ours: traits.Credential})
	default:
		r.state(about, s)
		r.sealed(ctx, about, name, store)
	}
}

// Seal says with which keys tokens are sealed.
func (r *Report) Seal(keys *sealedstore.Keys, warning string) {
	if warning != "" {
		r.Add(Finding{Warn, "seal", warning, ""})
	}
	r.ok("seal", "%s", keys)
}

// sealed checks whether a token is stored as it should be.
func (r *Report) sealed(ctx context.Context, about, name string, store coordinator.Store) {
	s, ok := coordinator.As[*sealedstore.Store](store)
	if !ok {
		return
	}
	stored, _, err := s.Unwrap().Load(ctx, name)
	switch key := stored.SealedBy(); {
	case err != nil || stored.Grant.Value == "":
	case key == "":
		r.warn(about, "the next write seals it; mintonce rotate does it now", "its token is not sealed yet")
	case key != s.Keys().Primary():
		r.ok(about, "its token is sealed with the older key %s, until the next write", key)
	}
}

// state judges a record that can be used.
func (r *Report) state(about string, s coordinator.Status) {
	text := fmt.Sprintf("%s, generation %d, valid for %s", s.State, s.Generation, time.Duration(s.ExpiresIn)*time.Second)
	if s.ExpiresIn == 0 {
		text = fmt.Sprintf("%s, no usable token", s.State)
	}
	switch {
	case s.Failure != nil && s.ExpiresIn == 0:
		r.Add(Finding{Fail, about, text, "the last mint failed: " + s.Failure.Message})
	case s.Failure != nil:
		r.warn(about, "the last mint failed: "+s.Failure.Message, "%s", text)
	case s.ExpiresIn == 0:
		r.warn(about, "run mintonce serve, or mintonce refresh", "%s", text)
	case s.Doubt != "":
		r.warn(about, "the first process that looks mints a new one", "%s, in doubt (%s)", text, s.Doubt)
	default:
		r.ok(about, "%s; %s", text, s.Next)
	}
	if limit := s.Budget.MintLimit; limit > 0 && s.Budget.Mints*2 > limit {
		r.warn(about, "see mintonce status for who mints and why", "%d of the %d mints of the day are spent", s.Budget.Mints, limit)
	}
}
