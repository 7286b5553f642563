package coordinator_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// Whoever runs is alive, and no longer once Run has returned.
func TestRunTakesPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewMemory()
		ctx, cancel := context.WithCancel(t.Context())
		reader, err := coordinator.New("shop", nil, store, coordinator.Config{Instance: "reader", NeverMint: true})
		if err != nil {
			t.Fatal(err)
		}
		open := func(string) (coordinator.Source, error) { return newProvider(), nil }
		group, err := coordinator.NewGroup(store, open, coordinator.GroupConfig{Config: coordinator.Config{Instance: "refresher"}})
		if err != nil {
			t.Fatal(err)
		}
		group.Keep("a", "b", "c")
		ended := make(chan error, 2)
		go func() { ended <- reader.Run(ctx) }()
		go func() { ended <- group.Run(ctx) }()
		want := func(want string) {
			t.Helper()
			time.Sleep(20 * time.Second)
			alive, err := store.Instances(t.Context())
			got := ""
			for _, i := range alive {
				got += fmt.Sprintf("%s %t %d; ", i.Name, i.Mints, i.Tokens)
			}
			if err != nil || got != want {
				t.Errorf("alive are %s, %v; want %s", got, err, want)
			}
		}
		want("reader false 1; refresher true 3; ")
		group.Drop("b")
		want("reader false 1; refresher true 2; ")
		cancel()
		<-ended
		<-ended
		if alive, err := store.Instances(t.Context()); err != nil || len(alive) > 0 {
			t.Errorf("after Run: %+v, %v", alive, err)
		}
	})
}
