package integration_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mintonce/mintonce/internal/faultproxy"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// kept are the arguments of servers that have their data back after a restart,
// and may be replicas of each other. They replicate as a user of its own, so
// that a test can stop that and nothing else.
var kept = []string{
	"--appendonly", "yes", "--repl-diskless-sync-delay", "0",
	"--user", replicator, "on", ">replicate", "~*", "&*", "+@all", "--masteruser", replicator, "--masterauth", "replicate",
}

const replicator = "replicator"

// newPairWorld is a world on a primary with a replica, behind one address which
// leads to the primary: that of a proxy.
func newPairWorld(t testing.TB, cfg wechattest.Config) (*world, *faultproxy.Proxy) {
	t.Helper()
	w := newWorld(t, cfg, kept...)
	w.addStandby()
	proxy := faultproxy.New(t, w.redis.Addr())
	w.store = "redis://" + proxy.Addr() + "/0"
	return w, proxy
}

// newSentinelWorld is a world on a primary with a replica, watched by three
// sentinels.
func newSentinelWorld(t testing.TB, cfg wechattest.Config) (*world, []*redistest.Server) {
	t.Helper()
	w := newWorld(t, cfg, kept...)
	w.addStandby()
	sentinels := redistest.StartSentinels(t, w.redis, 3)
	w.store = redistest.SentinelURLOf(sentinels)
	return w, sentinels
}

func (w *world) addStandby() {
	w.t.Helper()
	w.standby = redistest.Start(w.t, kept...)
	w.standbyFollows()
}

// standbyFollows makes the standby a replica of the primary, and waits until it
// has all that the primary has.
func (w *world) standbyFollows() {
	w.t.Helper()
	w.tell(w.redis, "ACL", "SETUSER", replicator, "on")
	w.tell(w.standby, "ACL", "SETUSER", replicator, "on")
	host, port, _ := net.SplitHostPort(w.redis.Addr())
	w.tell(w.standby, "REPLICAOF", host, port)
	w.wantReplicated()
}

// wantReplicated waits until the standby follows the primary.
func (w *world) wantReplicated() {
	w.t.Helper()
	eventually(w.t, "the replica follows the primary", func() error {
		info, err := w.at(w.standby).Info(context.Background(), "replication").Result()
		return errors.Join(err, expect("it is in step", strings.Contains(info, "master_link_status:up"), true))
	})
}

// stopReplication keeps what is written from now on from the standby, which
// goes on as a replica.
func (w *world) stopReplication() {
	w.t.Helper()
	w.tell(w.redis, "ACL", "SETUSER", replicator, "off")
	w.tell(w.redis, "CLIENT", "KILL", "TYPE", "REPLICA")
}

// at is a client of one server.
func (w *world) at(server *redistest.Server) *redis.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.clients == nil {
		w.clients = make(map[string]*redis.Client)
	}
	c := w.clients[server.Addr()]
	if c == nil {
		c = redis.NewClient(&redis.Options{Addr: server.Addr()})
		w.clients[server.Addr()] = c
		w.t.Cleanup(func() { c.Close() })
	}
	return c
}

// tell sends a command to one server, which must accept it.
func (w *world) tell(server *redistest.Server, command ...any) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.at(server).Do(ctx, command...).Err(); err != nil {
		w.t.Fatalf("%v: %v", command, err)
	}
}

// promoted waits until the sentinels have made the standby the primary, and
// notes that the two have changed places.
func (w *world) promoted(sentinels []*redistest.Server) {
	w.t.Helper()
	host, port, _ := net.SplitHostPort(w.standby.Addr())
	for _, s := range sentinels {
		eventually(w.t, "a sentinel names the replica as the primary", func() error {
			client := redis.NewSentinelClient(&redis.Options{Addr: s.Addr()})
			defer client.Close()
			addr, err := client.GetMasterAddrByName(context.Background(), "main").Result()
			return errors.Join(err, expect("the address", strings.Join(addr, ":"), host+":"+port))
		})
	}
	w.redis, w.standby = w.standby, w.redis
}
