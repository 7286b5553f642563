package coordinator_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// TestStatusTellsTheDayOfTheCounts: who has no source does not know when the
// provider's day ends, and must not take a count of today for one of another
// day.
func TestStatusTellsTheDayOfTheCounts(t *testing.T) {
	inChina := lastWins
	inChina.DayOffset, inChina.DailyMints = 8*time.Hour, 1800
	tests := []struct {
		name    string
		traits  coordinator.Traits
		later   time.Duration // since a mint at 23:30 in China
		want    int
		wantDay string
	}{
		{"with the source, the same day", inChina, 29 * time.Minute, 1, "2000-01-01"},
		{"with the source, the day after", inChina, 30 * time.Minute, 0, "2000-01-02"},
		{"without a source, the same day", coordinator.Traits{}, 29 * time.Minute, 1, "2000-01-01"},
		{"without a source, the day after", coordinator.Traits{}, 30 * time.Minute, 1, "2000-01-01"},
		{"without a source, in the evening of Greenwich", coordinator.Traits{}, 9 * time.Hour, 1, "2000-01-01"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(15*time.Hour + 30*time.Minute) // a bubble begins at midnight in Greenwich
				store, ctx := storetest.NewMemory(), context.Background()
				r := announce(coordinator.Record{}, "first", time.Now(), inChina)
				if _, err := store.Swap(ctx, "shop", coordinator.Stamp{}, r); err != nil {
					t.Fatal(err)
				}
				time.Sleep(test.later)
				s, err := coordinator.ReadStatus(ctx, store, "shop", test.traits)
				if err != nil || s.Budget.Mints != test.want || s.Budget.Day != test.wantDay {
					t.Errorf("status says %+v, %v; want %d on %s", s.Budget, err, test.want, test.wantDay)
				}
			})
		})
	}
}
