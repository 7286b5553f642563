package integration_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// newClusterWorld is a world on a Redis Cluster of three masters.
func newClusterWorld(t testing.TB, cfg wechattest.Config) *world {
	t.Helper()
	cluster := redistest.StartCluster(t)
	w := &world{t: t, provider: newProvider(t, cfg), cluster: cluster, store: cluster.URL(), mode: "classic", home: t.TempDir()}
	t.Cleanup(w.audit)
	return w
}

// clusterClient is for looking at the cluster from outside.
func (w *world) clusterClient() redis.UniversalClient {
	var addrs []string
	for _, master := range w.cluster.Masters {
		addrs = append(addrs, master.Addr())
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	w.t.Cleanup(func() { client.Close() })
	return client
}

// Two processes keep three hundred credentials in a Redis Cluster: the keys
// spread over all masters, each token is minted once, a rotation is learnt by
// everybody, and the work of a killed process is taken over.
func TestClusterSpreadsManyCredentials(t *testing.T) {
	const many, life = 300, 40 * time.Second
	apps, names := merchants(many)
	w := newClusterWorld(t, wechattest.Config{Apps: apps, Lifetime: life})
	p := newPlatform(w, names)
	both := p.serve("one", "two")
	eventually(t, "both have all tokens", func() error { return p.allReady(both...) })
	start := p.accounts()
	for _, a := range start {
		if a.minted != 1 || a.requests != 1 || a.generation != 1 {
			t.Errorf("%+v, want one mint", a)
		}
	}
	p.wantSpread()

	// A third process rotates one; both learn of it.
	operator := p.launch("operator", nil, commandPath(t), "rotate", names[7], "--config", p.config, "--store", p.store, "--instance", "operator")
	if code := operator.wait(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, operator.told())
	}
	for _, r := range both {
		took := within(t, 10*time.Second+machineMargin, r.name+" has learnt of the rotation", func() error {
			status, body := fetch(r.url + "/v1/tokens/" + names[7])
			return expect("generation 2", status == 200 && strings.Contains(body, `"generation":2}`), true)
		})
		t.Logf("%s had the rotated token after %s", r.name, took.Round(time.Millisecond))
	}

	// One is killed; everything is refreshed by the other, and nothing is
	// missing meanwhile.
	both[0].kill()
	atDeath := p.accounts()
	p.keepReady(life+patience, "a refresh of everything", func() error { return p.refreshed(atDeath, "two") }, both[1])
	both[1].stop()
	p.wantNoDoubleMints(atDeath, "one")
}

// wantSpread wants a fair part of the records on every master, with all keys of
// a credential in one place.
func (p *platform) wantSpread() {
	p.t.Helper()
	for _, master := range p.cluster.Masters {
		client := redis.NewClient(&redis.Options{Addr: master.Addr()})
		defer client.Close()
		keys, err := client.Keys(p.t.Context(), "mintonce:{*").Result()
		if err != nil {
			p.t.Fatal(err)
		}
		kinds := make(map[string]int)
		for _, key := range keys {
			_, kind, _ := strings.Cut(key, "}")
			kinds[kind]++
		}
		p.t.Logf("%s has %v", master.Addr(), kinds)
		if least := len(p.names) / 5; kinds[""] < least || kinds[":history"] != kinds[""] {
			p.t.Errorf("%s has %v, want at least %d records with their histories", master.Addr(), kinds, least)
		}
	}
}
