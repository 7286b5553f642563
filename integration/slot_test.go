package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// changesKey is in another slot than the record.
const changesKey = "mintonce:changes"

// move is a migration of the slot of a key to another master, step by step as
// redis-cli --cluster reshard does it.
type move struct {
	w        *world
	slot     string
	from, to *redistest.Server
}

// moving begins to move the slot of key to the next master: from now on, keys
// that the old one does not have are asked of the new one.
func (w *world) moving(key string) *move {
	w.t.Helper()
	m := &move{w: w, slot: w.reply(w.cluster.Masters[0], "CLUSTER", "KEYSLOT", key)}
	for i, master := range w.cluster.Masters {
		if w.serves(master, m.slot) {
			m.from, m.to = master, w.cluster.Masters[(i+1)%len(w.cluster.Masters)]
		}
	}
	w.tell(m.to, "CLUSTER", "SETSLOT", m.slot, "IMPORTING", w.reply(m.from, "CLUSTER", "MYID"))
	w.tell(m.from, "CLUSTER", "SETSLOT", m.slot, "MIGRATING", w.reply(m.to, "CLUSTER", "MYID"))
	return m
}

// reply is what one server says to a command.
func (w *world) reply(server *redistest.Server, command ...any) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := w.at(server).Do(ctx, command...).Result()
	if err != nil {
		w.t.Fatalf("%v: %v", command, err)
	}
	return fmt.Sprint(reply)
}

// serves reports whether a master has a slot, by its own account.
func (w *world) serves(master *redistest.Server, slot string) bool {
	w.t.Helper()
	number, _ := strconv.Atoi(slot)
	nodes := w.reply(master, "CLUSTER", "NODES")
	for line := range strings.Lines(nodes) {
		fields := strings.Fields(line)
		if !strings.Contains(line, "myself") {
			continue
		}
		for _, text := range fields[8:] {
			first, last, isRange := strings.Cut(text, "-")
			if !isRange {
				last = first
			}
			low, err1 := strconv.Atoi(first)
			high, err2 := strconv.Atoi(last)
			if err1 == nil && err2 == nil && low <= number && number <= high {
				return true
			}
		}
	}
	return false
}

// key moves one key, which may not exist.
func (m *move) key(key string) {
	m.w.t.Helper()
	host, port, _ := net.SplitHostPort(m.to.Addr())
	m.w.tell(m.from, "MIGRATE", host, port, key, 0, 5000)
}

// rest moves the other keys.
func (m *move) rest() {
	m.w.t.Helper()
	number, _ := strconv.Atoi(m.slot)
	eventually(m.w.t, "the slot is empty", func() error {
		keys, err := m.w.at(m.from).ClusterGetKeysInSlot(context.Background(), number, 100).Result()
		for _, key := range keys {
			m.key(key)
		}
		return errors.Join(err, expect("keys", len(keys), 0))
	})
}

// done gives the slot to its new master, the new one first.
func (m *move) done() {
	m.w.t.Helper()
	id := m.w.reply(m.to, "CLUSTER", "MYID")
	for _, server := range append([]*redistest.Server{m.to, m.from}, m.w.cluster.Masters...) {
		m.w.tell(server, "CLUSTER", "SETSLOT", m.slot, "NODE", id)
	}
}

// The slot of the record moves to another master, under calls, with a rotation
// at every step: the keys still there, some of them moved, all moved, the slot
// handed over. Then the slot of the changes, which everybody follows. No call
// fails, and everybody still hears of changes.
func TestClusterMovesASlot(t *testing.T) {
	w := newClusterWorld(t, wechattest.Config{})
	replicas := w.replicas(3, "replica", replicaConfig{Calls: 20 * time.Millisecond, Unrationed: true, MintTimeout: 2 * time.Second})
	moreCalls(t, replicas)
	client := w.client()
	w.atRest(client)
	turn := 0
	rotate := func(during string) {
		t.Helper()
		r := replicas[turn%len(replicas)]
		turn++
		before, _ := w.provider.mints()
		token, err := ask[held](r, "POST", "/rotate")
		minted, _ := w.provider.mints()
		t.Logf("rotated %s: generation %d, %d mints, %v", during, token.Generation, minted-before, err)
		if err != nil && !strings.Contains(err.Error(), "the cluster is moving the keys of this record") {
			t.Errorf("rotate %s: %v", during, err)
		}
		moreCalls(t, replicas)
	}
	heard := func(what string) {
		t.Helper()
		took := within(t, 10*time.Second+machineMargin, what, func() error {
			var failed error
			for _, r := range replicas {
				failed = errors.Join(failed, w.servesNewest(r))
			}
			return failed
		})
		t.Logf("%s after %s", what, took.Round(time.Millisecond))
	}

	m := w.moving(recordKey)
	rotate("with all keys at the old master")
	m.key(recordKey)
	rotate("with the record at the new master, its history at the old one")
	m.rest()
	rotate("with all keys at the new master")
	m.done()
	rotate("with the slot at the new master")
	w.atRest(client)
	heard("everybody has the token of the new master")

	m = w.moving(changesKey)
	rotate("while the changes begin to move")
	m.rest()
	rotate("with the changes at the new master")
	m.done()
	for i := range 3 {
		rotate("with the slot of the changes at the new master")
		heard(fmt.Sprintf("everybody has heard of change %d", i+1))
	}
	record := w.atRest(client)
	wantNoFailure(t, replicas)
	for _, r := range replicas {
		if strings.Contains(r.stderr.String(), "use redis+cluster") {
			t.Errorf("%s tells people to use what they use:\n%s", r.name, r.stderr.String())
		}
	}
	minted, _ := w.provider.mints()
	t.Logf("generation %s after %d rotations and %d mints; %d calls were rejected and healed", record["generation"], turn, minted, w.provider.rejected())
	if minted > 1+turn+2 {
		t.Errorf("%d mints for %d rotations\n%s", minted, turn, w.provider.told())
	}
}
