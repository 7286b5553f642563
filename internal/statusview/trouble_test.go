package statusview_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/statusview"
)

func TestJudge(t *testing.T) {
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	type status = coordinator.Status
	well := func(change func(*status)) status {
		s := status{Name: "shop", State: "live", Generation: 3, Now: now, IssuedAt: now.Add(-time.Hour), RefreshAt: now.Add(30 * time.Minute), ExpiresAt: now.Add(time.Hour)}
		change(&s)
		return s
	}
	away := fmt.Errorf("load: %w", coordinator.ErrStoreUnavailable)
	tests := []struct {
		name   string
		status status
		err    error
		want   string
	}{
		{"all is well", well(func(*status) {}), nil, "<nil>"},
		{"1 ns before the end", well(func(s *status) { s.ExpiresAt = now.Add(1) }), nil, "<nil>"},
		{"at the end", well(func(s *status) { s.ExpiresAt, s.RefreshAt = now, now }), nil, "&{critical [no-token]}"},
		{"none", status{Name: "shop", Now: now}, nil, "&{critical [no-token]}"},
		{"none and failing", status{Now: now, Failure: &coordinator.FailureStatus{}}, nil, "&{critical [no-token failing]}"},
		{"failing", well(func(s *status) { s.Failure = &coordinator.FailureStatus{}; s.RefreshAt = now.Add(-time.Hour) }), nil, "&{warning [failing]}"},
		{"doubt", well(func(s *status) { s.Doubt = "rejected" }), nil, "&{warning [doubt]}"},
		{"a stranger is suspected", well(func(s *status) { s.Foreign = &coordinator.ForeignStatus{Count: 1} }), nil, "<nil>"},
		{"a stranger is named", well(func(s *status) { s.Foreign = &coordinator.ForeignStatus{Count: 2, Named: true} }), nil, "&{warning [foreign]}"},
		{"due for a minute", well(func(s *status) { s.RefreshAt = now.Add(-time.Minute) }), nil, "<nil>"},
		{"due for longer", well(func(s *status) { s.RefreshAt = now.Add(-time.Minute - 1) }), nil, "&{warning [overdue]}"},
		{"budget left", well(func(s *status) { s.Budget = coordinator.BudgetStatus{Mints: 9, MintLimit: 10} }), nil, "<nil>"},
		{"budget spent", well(func(s *status) { s.Budget = coordinator.BudgetStatus{Mints: 10, MintLimit: 10} }), nil, "&{warning [budget]}"},
		{"no budget", well(func(s *status) { s.Budget = coordinator.BudgetStatus{Mints: 10} }), nil, "<nil>"},
		{"store away", well(func(*status) {}), away, "&{warning [store]}"},
		{"store away, nothing known", status{}, away, "&{warning [store]}"},
		{"damaged", well(func(*status) {}), coordinator.ErrBadRecord, "&{critical [record]}"},
		{"another's", status{}, &coordinator.MismatchError{}, "&{critical [record]}"},
	}
	for _, test := range tests {
		if got := fmt.Sprint(statusview.Judge(test.status, test.err)); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
