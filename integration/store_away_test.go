package integration_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// Number 5: Redis is stopped, and comes back empty. Running replicas and one
// that starts meanwhile go on; the record is written back; nobody mints.
func TestRedisAwayAndBack(t *testing.T) {
	w := newWorld(t, wechattest.Config{})
	cfg := replicaConfig{Fallback: "file:" + w.folder(), Calls: 20 * time.Millisecond}
	replicas := w.replicas(3, "replica", cfg)
	moreCalls(t, replicas)
	before := w.atRest(w.client())

	w.redis.Stop()
	moreCalls(t, replicas)
	replicas[0].stop()
	replicas = append(w.replicas(1, "restarted", cfg), replicas[1:]...)
	moreCalls(t, replicas)

	w.redis.Restart()
	client := w.client()
	eventually(t, "the record is back", func() error {
		record, err := w.record(client)
		return errors.Join(err, expect("value is the same", record["value"] == before["value"], true))
	})
	moreCalls(t, replicas)
	wantNoFailure(t, replicas)
	w.provider.wantMints(t, 1)
	wantField(t, w.atRest(client), "generation", before["generation"])
	if rejected := w.provider.rejected(); rejected != 0 {
		t.Errorf("%d calls were rejected, want none", rejected)
	}
}

// Number 5, for the refresher: it goes on without Redis, also after a restart,
// with its copy in a file, and writes the record back.
func TestRefresherWithoutRedis(t *testing.T) {
	w := newWorld(t, wechattest.Config{})
	serve := []string{"serve", "--listen", "127.0.0.1:0", "--fallback", "file:" + w.folder()}
	listen := regexp.MustCompile(`msg=serving .*listen=(\S+)`)
	var before string
	servesAs := func(p *process) {
		t.Helper()
		url := "http://" + p.prints(&p.stderr, listen)
		eventually(t, p.name+" serves the token", func() error {
			fingerprint, err := served(url)
			if before == "" {
				before = fingerprint
			}
			return errors.Join(err, expect("the token", fingerprint, before))
		})
	}
	first := w.start("first", serve...)
	servesAs(first)
	record := w.atRest(w.client())

	w.redis.Stop()
	servesAs(first)
	first.stop()
	second := w.start("second", serve...)
	servesAs(second)

	w.redis.Restart()
	client := w.client()
	eventually(t, "the record is back", func() error {
		now, err := w.record(client)
		return errors.Join(err, expect("value is the same", now["value"] == record["value"], true))
	})
	servesAs(second)
	wantField(t, w.atRest(client), "minted_by", "first")
	w.provider.wantMints(t, 1)
}

// Number 5: Redis stays away. Every replica serves the token until its true
// expiry and not beyond; without the lock, nobody mints.
func TestRedisAwayUntilExpiry(t *testing.T) {
	t.Parallel() // mostly waiting, for the token to expire
	const life = 24 * time.Second
	w := newWorld(t, wechattest.Config{Lifetime: life})
	cfg := replicaConfig{Fallback: "file:" + w.folder()}
	replicas := w.replicas(2, "replica", cfg)
	for _, r := range replicas {
		r.mustToken()
	}
	expiry, err := time.Parse(time.RFC3339, w.atRest(w.client())["expires_at"])
	if err != nil {
		t.Fatal(err)
	}
	w.redis.Stop()
	replicas = append(replicas, w.replicas(1, "restarted", cfg)...)

	for _, r := range replicas {
		if r.mustToken(); time.Now().After(expiry) {
			t.Fatal("the machine was too slow: the token had expired before all replicas were asked")
		}
	}
	for name, end := range servedUntil(t, replicas) {
		end.want(t, name, expiry)
	}
	w.provider.wantMints(t, 1)
}

// servedUntil asks the replicas for their token until none of them has one.
func servedUntil(t testing.TB, replicas []*remote) map[string]*end {
	t.Helper()
	ends := make(map[string]*end)
	for _, r := range replicas {
		ends[r.name] = &end{}
	}
	eventually(t, "no replica has a token", func() error {
		some := false
		for _, r := range replicas {
			asked := time.Now()
			_, err := ask[held](r, "GET", "/token?wait=50ms")
			ends[r.name].note(asked, err)
			some = some || err == nil
		}
		return expect("a token is served", some, false)
	})
	return ends
}

// Number 5: Redis goes away between a mint's request and its answer. The token
// is served from memory, and saved when Redis is back: nothing is minted twice.
func TestUnsavedMintIsKeptAndSaved(t *testing.T) {
	w := newWorld(t, wechattest.Config{})
	mint := w.provider.HoldNext(wechattest.Mints)
	r := w.replicas(1, "replica", replicaConfig{Fallback: "file:" + w.folder()})[0]
	signalled(t, "the mint begins", mint.Arrived)
	w.redis.Stop()
	mint.Release()
	got := r.mustToken()
	w.provider.wantMints(t, 1)
	if got.Fingerprint != w.provider.newest() {
		t.Errorf("the replica serves %s, the provider minted %s", got.Fingerprint, w.provider.newest())
	}
	eventually(t, "the fallback has a copy while Redis is away", func() error {
		copied, err := os.ReadFile(filepath.Join(w.folders[0], "shop.json"))
		return errors.Join(err, expect("generation 1 is in it", strings.Contains(string(copied), `"generation": "1"`), true))
	})

	w.redis.Restart()
	record := w.atRest(w.client())
	wantField(t, record, "generation", "1")
	wantField(t, record, "minted_by", r.name)
	w.provider.wantMints(t, 1)
}
