package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

func participant(instance string, mints bool, tokens int) coordinator.Participant {
	return coordinator.Participant{Instance: instance, Mints: mints, Tokens: func() int { return tokens }}
}

// wantInstances waits until these are alive, as NAME mints|reads TOKENS.
func wantInstances(t testing.TB, s coordinator.Store, want ...string) []coordinator.Instance {
	t.Helper()
	roster := optional[coordinator.Roster](t, s)
	for deadline := time.Now().Add(soon); ; time.Sleep(20 * time.Millisecond) {
		alive, err := roster.Instances(t.Context())
		if err != nil {
			t.Fatalf("Instances: %v", err)
		}
		var got []string
		for _, i := range alive {
			got = append(got, fmt.Sprintf("%s %s %d", i.Name, map[bool]string{true: "mints", false: "reads"}[i.Mints], i.Tokens))
		}
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return alive
		}
		if time.Now().After(deadline) {
			t.Fatalf("the instances are %v, want %v", got, want)
		}
	}
}

func rosterJoin(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	wantInstances(t, s)
	leave := optional[coordinator.Roster](t, s).Join(participant("host-1", true, 3))
	t.Cleanup(leave)
	leaveOther := optional[coordinator.Roster](t, other).Join(participant("host-2", false, 5))
	t.Cleanup(leaveOther)
	alive := wantInstances(t, s, "host-1 mints 3", "host-2 reads 5")
	wantInstances(t, other, "host-1 mints 3", "host-2 reads 5")
	_, now := load(t, s, name)
	for _, i := range alive {
		if i.ID == "" || now.Sub(i.Since).Abs() > time.Minute || now.Sub(i.Seen).Abs() > time.Minute || i.Seen.Before(i.Since) {
			t.Errorf("at %s: %+v", now, i)
		}
	}
	leave()
	leave()
	wantInstances(t, other, "host-2 reads 5")
	leaveOther()
	wantInstances(t, s)
	leave = optional[coordinator.Roster](t, s).Join(participant("host-1", true, 1))
	wantInstances(t, other, "host-1 mints 1")
	leave()
	wantInstances(t, other)
}

// rosterOneName: those of one process are one instance, two processes of the
// same name are two.
func rosterOneName(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	roster := optional[coordinator.Roster](t, s)
	one, two := roster.Join(participant("host-1", false, 1)), roster.Join(participant("host-1", true, 2))
	t.Cleanup(one)
	t.Cleanup(two)
	alive := wantInstances(t, other, "host-1 mints 3")
	if s == other {
		return // handles that are one process, as those of Memory
	}
	leave := optional[coordinator.Roster](t, other).Join(participant("host-1", false, 7))
	t.Cleanup(leave)
	for deadline := time.Now().Add(soon); len(alive) != 2; time.Sleep(20 * time.Millisecond) {
		var err error
		if alive, err = roster.Instances(t.Context()); err != nil || time.Now().After(deadline) {
			t.Fatalf("two processes of the same name: %+v, %v", alive, err)
		}
	}
	if alive[0].ID == alive[1].ID {
		t.Errorf("two processes have one ID: %+v", alive)
	}
	one()
	two()
	wantInstances(t, s, "host-1 reads 7")
}
