package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/storeurl"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// running is a fleet that serves a config file, without signals and without a
// watcher: its test says when to read the file again.
type running struct {
	*reloader
	t      *testing.T
	dir    string
	api    string // of the fake WeChat
	memory *storetest.Memory
	faults *storetest.Faults
	out    *lockedBuffer
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// take returns what was written since the last call.
func (b *lockedBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.text.Reset()
	return b.text.String()
}

// peek returns what take would return, and leaves it there.
func (b *lockedBuffer) peek() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// await waits until a text was written.
func (b *lockedBuffer) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(b.peek(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nobody has written %q:\n%s", text, b.peek())
		}
	}
}

// start serves files, in which API stands for the fake WeChat.
func start(t *testing.T, files map[string]string) *running {
	t.Helper()
	fake := wechattest.NewServer(wechattest.Config{})
	t.Cleanup(fake.Close)
	r := &running{t: t, dir: t.TempDir(), api: fake.URL, out: &lockedBuffer{}}
	r.write("secret", wechattest.Secret)
	r.writeAll(files)
	r.memory = storetest.NewMemory()
	store, faults := storetest.NewFaulty(r.memory)
	r.faults = faults
	load := func(before *config.Config) (*config.Config, error) {
		c, err := config.ReadAgain(filepath.Join(r.dir, "c.yml"), before)
		return &c, err
	}
	c, err := load(nil)
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		t.Fatal(err)
	}
	a := &app{log: slog.New(slog.NewTextHandler(r.out, nil))}
	f, err := a.firstFleet(t.Context(), &session{cfg: c, log: a.log, outage: newOutage(a.log, slog.LevelWarn), store: storeurl.Opened{Store: store}})
	if err != nil {
		t.Fatal(err)
	}
	r.reloader = &reloader{fleet: f, file: filepath.Join(r.dir, "c.yml"), load: load}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.group.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		f.finish(context.Background())
	})
	return r
}

func (r *running) write(file, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "API", r.api)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) writeAll(files map[string]string) {
	r.t.Helper()
	for file, text := range files {
		r.write(file, text)
	}
}

// get asks the HTTP API, with a key if there is one.
func (r *running) get(path string, key ...string) (int, string) {
	r.t.Helper()
	request := httptest.NewRequest("GET", "http://127.0.0.1"+path, nil)
	for _, k := range key {
		request.Header.Set("Authorization", "Bearer "+k)
	}
	request.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	r.fleet.api.ServeHTTP(w, request)
	return w.Code, w.Body.String()
}

func (r *running) want(path string, status int) string {
	r.t.Helper()
	code, body := r.get(path)
	if code != status {
		r.t.Fatalf("%s: %d %s, want %d", path, code, body, status)
	}
	return body
}

// tells wants parts of what is logged by a reload, or nothing at all. What tokens
// and the store have to tell may come at any time, and is no part of it.
func (r *running) tells(again, asked bool, parts ...string) {
	r.t.Helper()
	r.out.take()
	if done := r.reload(r.t.Context(), asked); done == again {
		r.t.Errorf("tried again is %v, want %v", !done, again)
	}
	var lines []string
	for line := range strings.Lines(r.out.take()) {
		if !strings.Contains(line, " token=") && !strings.Contains(line, ` msg="the store `) {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "")
	for _, part := range parts {
		if !strings.Contains(text, part) {
			r.t.Errorf("logged:\n%swant %s", text, part)
		}
	}
	if len(parts) == 0 && text != "" {
		r.t.Errorf("logged:\n%swant nothing", text)
	}
}

func entry(name, more string) string {
	return fmt.Sprintf("%s: {wechat: {appid: %s, api: 'API', %s}}\n", name, wechattest.AppID, more)
}

func down(faults *storetest.Faults) {
	for _, op := range []storetest.Op{storetest.Load, storetest.Swap, storetest.Lock} {
		faults.Fail(op, 1<<30, fmt.Errorf("the store is down"))
	}
}

// A token whose account has changed cannot be read again without the store, so
// the old one stays.
func TestChangedTokenWaitsForTheStore(t *testing.T) {
	r := start(t, map[string]string{"c.yml": "tokens:\n  " + entry("shop", "secret_file: secret")})
	before := r.want("/v1/tokens/shop", 200)
	r.write("c.yml", "tokens:\n  "+entry("shop", "secret_file: secret, mode: classic"))
	down(r.faults)
	r.tells(true, false, "level=WARN", "changed tokens wait for the store", "the store is down")
	if after := r.want("/v1/tokens/shop", 200); !strings.HasPrefix(after, before[:60]) {
		t.Error("the token has changed without the store")
	}
	r.tells(true, false) // once is enough
	r.faults.Heal()
	r.tells(false, false, "changed=1", "names=~shop")
	r.want("/v1/tokens/shop", 200)
}

// A changed token whose record is damaged stays as it was, for SDKs too, and holds
// nothing else back.
func TestChangedTokenWithADamagedRecord(t *testing.T) {
	config := func(shop, mode string) string {
		const one = "%s: {wechat: {appid: %s, api: 'API', secret_file: secret, mode: %s}}\n"
		return "tokens:\n  " + fmt.Sprintf(one, "shop", shop, mode) + "  " + fmt.Sprintf(one, "other", "wx2", mode)
	}
	r := start(t, map[string]string{"c.yml": config(wechattest.AppID, "stable")})
	sdk := func(appID string) string {
		_, body := r.get("/cgi-bin/token?grant_type=client_credential&secret=none&appid=" + appID)
		return body
	}
	before := r.want("/v1/tokens/shop", 200)
	r.memory.WriteRaw("shop", map[string]string{"version": "of nothing"})
	r.write("c.yml", config("wx3", "classic"))
	r.tells(false, false, "changed=1", "names=~other", "its tokens stay as they were", "shop has changed, and its record cannot be read")
	if after := r.want("/v1/tokens/shop", 200); !strings.HasPrefix(after, before[:60]) {
		t.Error("the token has changed")
	}
	if body := sdk("wx3"); !strings.Contains(body, "40013") {
		t.Errorf("one account's token for another: %s", body)
	}
	if body := sdk(wechattest.AppID); !strings.Contains(body, "access_token") {
		t.Errorf("none for the account that it is of: %s", body)
	}
	r.tells(false, false) // once is enough
	r.write("c.yml", config(wechattest.AppID, "classic"))
	r.memory.Flush()
	r.tells(false, false, "changed=1", "names=~shop")
	r.want("/v1/tokens/shop", 200)
}

// Additions and removals need no store.
func TestTokensComeAndGoWithoutTheStore(t *testing.T) {
	r := start(t, map[string]string{"c.yml": "tokens:\n  " + entry("shop", "secret_file: secret")})
	r.want("/v1/tokens/shop", 200)
	down(r.faults)
	r.write("c.yml", "tokens:\n  "+entry("other", "secret_file: secret"))
	r.tells(false, false, "added=1 removed=1 changed=0", "names=+other,-shop")
	r.want("/v1/tokens/shop", 404)
	r.want("/v1/tokens/other", 200) // stable_token needs no store
}

// A secret that cannot be read is a matter of its token where token files are
// used, and of the whole config elsewhere.
func TestSecretsThatCannotBeRead(t *testing.T) {
	r := start(t, map[string]string{
		"c.yml":          "tokens_from: tokens.d\ntokens:\n  " + entry("shop", "secret_file: secret"),
		"tokens.d/m.yml": entry("one", "secret_file: ../one.secret, mode: classic") + "two: {wechat: {appid: wx2, api: 'API', secret_file: ../two.secret}}\n",
		"one.secret":     wechattest.Secret,
	})
	if text := r.out.take(); !strings.Contains(text, "tokens.d/m.yml:2: tokens.two.wechat.secret_file cannot be read") {
		t.Errorf("logged:\n%s", text)
	}
	r.want("/v1/tokens/one", 200)
	r.want("/v1/tokens/two", 404)
	r.tells(false, false) // said before
	r.tells(false, true, "config read again", "added=0 removed=0 changed=0")

	r.write("two.secret", "a-secret")
	if err := os.Remove(filepath.Join(r.dir, "one.secret")); err != nil {
		t.Fatal(err)
	}
	r.tells(false, false, "tokens.one.wechat.secret_file cannot be read", "added=1", "names=+two")
	r.want("/v1/tokens/one", 200)

	if err := os.Remove(filepath.Join(r.dir, "secret")); err != nil {
		t.Fatal(err)
	}
	r.tells(false, false, "config refused", "c.yml:3: tokens.shop.wechat.secret_file cannot be read")
	r.tells(false, false)
	r.tells(false, true, "config refused") // somebody asks
	r.want("/v1/tokens/shop", 200)
}

func TestClientsChange(t *testing.T) {
	text := "tokens:\n  " + entry("shop", "secret_file: secret")
	r := start(t, map[string]string{"c.yml": text})
	r.want("/v1/tokens/shop", 200)
	r.write("c.yml", text+"clients: [{name: php, key_sha256: "+strings.Repeat("0", 64)+", tokens: ['*']}]\n")
	r.tells(false, false, "config read again", "clients=1")
	r.want("/v1/tokens/shop", 401)
}

// What a client has used up of its rate is not given back by reading the config
// again.
func TestRatesSurviveReloads(t *testing.T) {
	text := "tokens:\n  " + entry("shop", "secret_file: secret") + "clients: [{name: php, key_sha256: " + config.HashKey("k") + ", tokens: [shop], rate: 0.1}]\n"
	r := start(t, map[string]string{"c.yml": text})
	passed := 0
	for range 3 {
		for range 20 {
			if code, _ := r.get("/v1/tokens/shop", "k"); code == 200 {
				passed++
			}
		}
		r.write("c.yml", text+"# once more\n")
		r.tells(false, false)
	}
	if passed < 10 || passed > 20 { // a slow machine gives the client 10 more in 100 s
		t.Errorf("%d requests passed, want about 10", passed)
	}
}

// Whoever made the same mistake a thousand times reads of some of them.
func TestProblemsAreBounded(t *testing.T) {
	files := map[string]string{"c.yml": "tokens_from: tokens.d\ntokens:\n  " + entry("shop", "secret_file: secret")}
	for i := range 50 {
		files[fmt.Sprintf("tokens.d/%02d.yml", i)] = "x: {}\n"
	}
	r := start(t, files)
	text := r.out.take()
	if n := strings.Count(text, "left out of the config"); n != enough || !strings.Contains(text, "and 40 more problems like these") {
		t.Errorf("%d problems are told:\n%s", n, text)
	}
}

func TestStoppingWaitsForTokensThatWereDropped(t *testing.T) {
	r := start(t, map[string]string{"c.yml": "tokens:\n  " + entry("shop", "secret_file: secret")})
	r.want("/v1/tokens/shop", 200)
	member, err := r.group.Get("shop")
	if err != nil {
		t.Fatal(err)
	}
	arrived, resume := make(chan struct{}), make(chan struct{})
	r.faults.Before(storetest.Swap, 1, func() { close(arrived); <-resume })
	rotated := make(chan error, 1)
	go func() { _, err := member.Rotate(context.Background()); rotated <- err }()
	<-arrived
	r.write("c.yml", "tokens:\n  "+entry("shop2", "secret_file: secret, mode: classic"))
	r.tells(false, false, "names=+shop2,-shop")
	finished := make(chan struct{})
	go func() { r.fleet.finish(context.Background()); close(finished) }()
	select {
	case <-finished:
		t.Error("finished though a mint is under way")
	case <-time.After(100 * time.Millisecond):
	}
	close(resume)
	<-finished
	if err := <-rotated; err != nil {
		t.Error(err)
	}
}

// What is fixed while the process runs is compared with what it runs with, not
// with what the config said last, and counts in all checks.
func TestFixedKeys(t *testing.T) {
	tokens := "tokens:\n  " + entry("shop", "secret_file: secret")
	clients := "clients: [{name: php, key_sha256: " + strings.Repeat("0", 64) + ", tokens: ['*']}]\n"
	r := start(t, map[string]string{"c.yml": "listen: 0.0.0.0:0\nprefix: a\n" + tokens + clients})
	r.write("c.yml", "listen: 0.0.0.0:0\nprefix: b\nlog_level: debug\n"+tokens+clients)
	r.tells(false, false, "level=WARN", "in use after a restart only", "keys=prefix,log_level")
	r.tells(false, false)
	r.write("c.yml", "listen: 0.0.0.0:0\nprefix: a\n"+tokens+clients)
	r.tells(false, false)
	r.write("c.yml", "listen: 127.0.0.1:0\nprefix: a\n"+tokens)
	r.tells(false, false, "keys=listen", "config refused", "no clients are set")
	r.want("/v1/tokens/shop", 401)
}

// What gets a ticket asks for its token whenever it needs it, also in the moment
// in which a config puts another one in its place.
func TestTokenIsAskedForWhileItChanges(t *testing.T) {
	text := func(mode string) string { return "tokens:\n  " + entry("shop", "secret_file: secret, mode: "+mode) }
	r := start(t, map[string]string{"c.yml": text("stable")})
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				r.fleet.tokens("shop").Token(ctx)
			}
		})
	}
	for i := range 200 {
		r.write("c.yml", text([]string{"classic", "stable"}[i%2]))
		r.tells(false, false, "config read again", "changed=1", "names=~shop")
		if t.Failed() {
			break
		}
	}
	cancel()
	callers.Wait()
	r.want("/v1/tokens/shop", 200)
}
