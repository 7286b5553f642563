package storetest

import "testing"

// RunOne runs one check of the suite with any TB.
func RunOne(t testing.TB, name string, f Fixture) {
	for _, c := range checks() {
		if c.name == name {
			c.run(t, f)
			return
		}
	}
	t.Fatalf("no check %q", name)
}
