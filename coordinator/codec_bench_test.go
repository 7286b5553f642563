package coordinator_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// BenchmarkParseRecord reads a record as days of work leave it. A process with
// very many tokens does that for each of them when it starts.
func BenchmarkParseRecord(b *testing.B) {
	var r coordinator.Record
	for i := range 20 {
		at := day.Add(time.Duration(i) * time.Hour)
		id := fmt.Sprint(i)
		r = announce(r, id, at, lastWins)
		r, _ = r.Child(stamp(at.Add(time.Second))).Commit(id, grantOf(fmt.Sprintf("token-%0170d", i), at, 2*time.Hour), lastWins)
	}
	stored := r.Fields()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := coordinator.ParseRecord(stored); err != nil {
			b.Fatal(err)
		}
	}
}
