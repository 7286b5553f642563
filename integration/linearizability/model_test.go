package linearizability_test

import (
	"fmt"

	"github.com/anishathalye/porcupine"
	"github.com/mintonce/mintonce/coordinator"
)

// call is what a client asks of a store: a Load, or a Swap from old to next.
type call struct {
	load      bool
	old, next coordinator.Stamp
}

// answer is what it got.
type answer struct {
	outcome outcome
	found   coordinator.Stamp // by a Load
}

type outcome int

const (
	done     outcome = iota
	conflict         // certainly not written
	unknown          // an error: written or not
)

// register is one record that changes by compare-and-swap. Its state is the
// stamp of the last write.
var register = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{coordinator.Stamp{}} },
	Step: func(state, input, output any) []any {
		return next(state.(coordinator.Stamp), input.(call), output.(answer))
	},
	Equal: func(a, b any) bool { return a == b },
	DescribeOperation: func(input, output any) string {
		c, a := input.(call), output.(answer)
		if c.load {
			return fmt.Sprintf("load: %s", short(a.found))
		}
		return fmt.Sprintf("swap %s to %s: %s", short(c.old), short(c.next), []string{"done", "conflict", "?"}[a.outcome])
	},
	DescribeState: func(state any) string { return short(state.(coordinator.Stamp)) },
}).ToModel()

// next returns the states that a register in this state may be in after a call
// that was answered so; none if it cannot have been answered so.
func next(state coordinator.Stamp, c call, a answer) []any {
	switch {
	case c.load && a.found == state:
		return []any{state}
	case c.load:
		return nil
	case a.outcome == unknown && state == c.old:
		return []any{state, c.next}
	case a.outcome == unknown:
		return []any{state}
	case a.outcome == done && (state == c.old || state == c.next):
		return []any{c.next}
	case a.outcome == conflict && state != c.old && state != c.next:
		return []any{state}
	default:
		return nil
	}
}

func short(s coordinator.Stamp) string {
	if s == (coordinator.Stamp{}) {
		return "nothing"
	}
	return fmt.Sprintf("%04x", s.ID>>48)
}
