package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// platform is a world in which several "mintonce serve" keep the tokens of very
// many merchants. Their names and their AppIDs are the same.
type platform struct {
	*world
	names  []string
	config string
	client redis.UniversalClient
}

// merchants are the apps of a platform.
func merchants(n int) (apps []wechattest.App, names []string) {
	for i := range n {
		name := fmt.Sprintf("merchant-%04d", i)
		names = append(names, name)
		apps = append(apps, wechattest.App{ID: name, Secret: secret})
	}
	return apps, names
}

// newPlatform writes the config, with the merchants in several files.
func newPlatform(w *world, names []string) *platform {
	w.t.Helper()
	dir := w.t.TempDir()
	write(w.t, filepath.Join(dir, "secret"), secret)
	if err := os.Mkdir(filepath.Join(dir, "tokens.d"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	var file strings.Builder
	const perFile = 100
	for i, name := range names {
		fmt.Fprintf(&file, "%s: {wechat: {appid: %s, secret_file: ../secret, mode: classic, api: %q}}\n", name, name, w.provider.URL)
		if (i+1)%perFile == 0 || i == len(names)-1 {
			write(w.t, filepath.Join(dir, "tokens.d", fmt.Sprintf("%d.yml", i/perFile)), file.String())
			file.Reset()
		}
	}
	config := filepath.Join(dir, "mintonce.yml")
	write(w.t, config, "tokens_from: tokens.d/*.yml\n")
	return &platform{world: w, names: names, config: config, client: w.client()}
}

// refresher is a "mintonce serve" of the platform.
type refresher struct {
	*process
	url string
}

var servingAt = regexp.MustCompile(`msg=serving .* listen=(\S+)`)

// serve starts refreshers and waits until they answer over HTTP.
func (p *platform) serve(instances ...string) []*refresher {
	p.t.Helper()
	var all []*refresher
	for _, instance := range instances {
		all = append(all, &refresher{process: p.launch(instance, nil, commandPath(p.t),
			"serve", "--config", p.config, "--store", p.store, "--instance", instance, "--listen", "127.0.0.1:0")})
	}
	for _, r := range all {
		r.url = "http://" + r.prints(&r.stderr, servingAt)
	}
	return all
}

// ready is nil if the refresher holds a usable token of every merchant.
func (p *platform) ready(r *refresher) error {
	status, body := p.get(r.url + "/readyz")
	if status != 200 {
		return fmt.Errorf("%s: %d %.200s", r.name, status, body)
	}
	return nil
}

// account is what is known of one merchant's token.
type account struct {
	name       string
	generation int
	by         string // who minted it
	attempts   string // by whom some are unresolved
	minted     int    // at the provider
	requests   int    // at the provider
}

// accounts reads all records in one go, and the provider's counts.
func (p *platform) accounts() []account {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pipe := p.client.Pipeline()
	replies := make([]*redis.SliceCmd, len(p.names))
	for i, name := range p.names {
		replies[i] = pipe.HMGet(ctx, "mintonce:{"+name+"}", "generation", "minted_by", "attempts")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		p.t.Fatal(err)
	}
	stats := p.provider.Stats()
	all := make([]account, len(p.names))
	for i, name := range p.names {
		field := func(n int) string { text, _ := replies[i].Val()[n].(string); return text }
		app := stats.Apps[name]
		all[i] = account{name: name, by: field(1), attempts: attempters(p.t, field(2)), minted: app.ClassicMints, requests: app.MintRequests}
		all[i].generation, _ = strconv.Atoi(field(0))
	}
	return all
}

// attempters are those who have unresolved attempts.
func attempters(t testing.TB, field string) string {
	t.Helper()
	if field == "" {
		return ""
	}
	var attempts []struct{ By string }
	if err := json.Unmarshal([]byte(field), &attempts); err != nil {
		t.Fatal(err)
	}
	by := ""
	for _, a := range attempts {
		by += a.By + " "
	}
	return by
}

// keepReady looks at the refreshers until done says nil, and fails the test as
// soon as one of them lacks a token.
func (p *platform) keepReady(limit time.Duration, what string, done func() error, all ...*refresher) time.Duration {
	p.t.Helper()
	return within(p.t, limit, what, func() error {
		for _, r := range all {
			if err := p.ready(r); err != nil {
				p.t.Fatalf("while waiting for %s: %v", what, err)
			}
		}
		return done()
	})
}

// allReady is nil once all refreshers are ready.
func (p *platform) allReady(all ...*refresher) error {
	var failed error
	for _, r := range all {
		failed = errors.Join(failed, p.ready(r))
	}
	return failed
}

// refreshed is nil once every account has a token by one of these instances,
// later than before.
func (p *platform) refreshed(before []account, by ...string) error {
	old := make(map[string]int)
	for _, a := range before {
		old[a.name] = a.generation
	}
	waiting, example := 0, ""
	for _, a := range p.accounts() {
		if a.generation <= old[a.name] || !strings.Contains(" "+strings.Join(by, " ")+" ", " "+a.by+" ") {
			waiting++
			example = fmt.Sprintf("%+v", a)
		}
	}
	if waiting > 0 {
		return fmt.Errorf("%d accounts are still to be refreshed, such as %s", waiting, example)
	}
	return nil
}

// shares counts the current tokens by who minted them.
func shares(all []account) map[string]int {
	counts := make(map[string]int)
	for _, a := range all {
		counts[a.by]++
	}
	return counts
}
