package integration_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// Number 3: FLUSHALL, three times, under running replicas. The record comes
// back from their memory: no mint, and no call notices.
func TestFlushUnderRunningReplicas(t *testing.T) {
	w := newWorld(t, wechattest.Config{})
	replicas := w.replicas(3, "replica", replicaConfig{Calls: 20 * time.Millisecond})
	moreCalls(t, replicas)
	client := w.client()
	before := w.atRest(client)

	for range 3 {
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		const limit = 10 * time.Second
		took := within(t, limit+machineMargin, "the record is back", func() error {
			record, err := w.record(client)
			return errors.Join(err, expect("value is the same", record["value"] == before["value"], true))
		})
		t.Logf("the record was back after %s; the requirement says %s", took.Round(time.Millisecond), limit)
	}
	moreCalls(t, replicas)
	wantNoFailure(t, replicas)
	w.provider.wantMints(t, 1)
	record := w.atRest(client)
	for _, field := range []string{"generation", "expires_at", "minted_by", "reason", "refresh_at"} {
		wantField(t, record, field, before[field])
	}
	if rejected := w.provider.rejected(); rejected != 0 {
		t.Errorf("%d calls were rejected, want none", rejected)
	}
}
