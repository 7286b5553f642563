package redisstore_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// enterCluster returns a store on the server of a bubble, as on a cluster whose
// only node it is. Entries of the change stream of which fate has an error are
// not sent.
func enterCluster(t *testing.T, server *miniredis.Miniredis, fate announcements) *redisstore.Store {
	t.Helper()
	const addr = "127.0.0.1:6379"
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{addr},
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{ID: "1", Addr: addr}}}}, nil
		},
		Dialer:                func(context.Context, string, string) (net.Conn, error) { return server.Dial() },
		ContextTimeoutEnabled: true, MaxRetries: -1, ReadTimeout: time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { client.Close() })
	client.AddHook(fate)
	return redisstore.New(client, redisstore.Config{})
}

// announcements is a hook of go-redis that decides about entries of the change
// stream.
type announcements func(ctx context.Context, intent bool) error

func (announcements) DialHook(next redis.DialHook) redis.DialHook { return next }

func (announcements) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (fate announcements) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "xadd" {
			if err := fate(ctx, slices.Contains(cmd.Args(), any("intent"))); err != nil {
				cmd.SetErr(err)
				return err
			}
		}
		return next(ctx, cmd)
	}
}

var errKilled = errors.New("killed before it was sent")

func allSent(context.Context, bool) error { return nil }

func newsLost(_ context.Context, intent bool) error {
	if !intent {
		return errKilled
	}
	return nil
}

func intentLost(_ context.Context, intent bool) error {
	if intent {
		return errKilled
	}
	return nil
}

func intentHangs(ctx context.Context, intent bool) error {
	if intent {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// TestAnnouncementsOnACluster: a writer may be killed between its swap and the
// news of it. Those who watch learn of it all the same, if a few seconds later,
// and of any other change once and at once.
func TestAnnouncementsOnACluster(t *testing.T) {
	const (
		patience = 5 * time.Second
		round    = 2 * time.Second
	)
	tests := []struct {
		name             string
		fate             announcements
		earliest, latest time.Duration
	}{
		{"nothing is lost", allSent, 0, 0},
		{"the intent is lost", intentLost, 0, 0},
		{"the news are lost", newsLost, patience, patience + round},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := startBubble(t)
				writer, reader := enterCluster(t, server, test.fate), enterCluster(t, server, allSent)
				type hint struct {
					coordinator.Change
					after time.Duration
				}
				var hints []hint
				begun := make(chan struct{}, 10)
				var wrote time.Time
				stop := reader.WatchAll(func(news coordinator.Change) {
					if news.Name != "" {
						hints = append(hints, hint{news, time.Since(wrote)})
					}
					begun <- struct{}{}
				})
				defer stop()
				<-begun
				wrote = time.Now()
				r := write(t, writer, "shop", coordinator.Record{})
				time.Sleep(time.Minute)
				synctest.Wait()
				if len(hints) != 1 || hints[0].Name != "shop" || hints[0].Write != r.Stamp() {
					t.Fatalf("hints of %+v, want one of shop and %s", hints, r.Stamp())
				}
				if after := hints[0].after; after < test.earliest || after > test.latest {
					t.Errorf("it came after %s, want %s to %s", after, test.earliest, test.latest)
				}
			})
		})
	}
}

// TestHungChanges: the change stream is on another server than the record, and
// one that hangs must not use up the time that there is to write the record.
func TestHungChanges(t *testing.T) {
	for _, limit := range []time.Duration{time.Second, 100 * time.Millisecond} {
		t.Run(limit.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := enterCluster(t, startBubble(t), intentHangs)
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				began := time.Now()
				_, err := s.Swap(ctx, "shop", coordinator.Stamp{}, child(coordinator.Record{}), coordinator.Event{Kind: coordinator.EventMinted})
				if took := time.Since(began); err != nil || took > limit/4 {
					t.Errorf("Swap: %v after %s; want it done after a quarter of its %s", err, took, limit)
				}
			})
		})
	}
}
