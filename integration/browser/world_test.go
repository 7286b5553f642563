package browser_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/filestore"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// world is a provider, a store, and processes that keep the tokens of a config.
type world struct {
	t        *testing.T
	dir      string
	provider *wechattest.Server
	store    *filestore.Store
	tokens   []string // lines of the config
	clients  string
	url      string // of the server that the page comes from
}

const secret = wechattest.Secret

// newWorld begins with these accounts, whose tokens are called like them.
func newWorld(t *testing.T, names ...string) *world {
	t.Helper()
	if chrome == nil {
		t.Skip("there is no chromium: install the package chromium")
	}
	w := &world{t: t, dir: t.TempDir()}
	var apps []wechattest.App
	for _, name := range names {
		apps = append(apps, wechattest.App{ID: appID(name), Secret: secret})
	}
	w.provider = wechattest.NewServer(wechattest.Config{Apps: apps, ForceSpacing: -1})
	t.Cleanup(w.provider.Close)
	var err error
	if w.store, err = filestore.New(filepath.Join(w.dir, "store"), filestore.Config{}); err != nil {
		t.Fatal(err)
	}
	w.write("secret", secret)
	for _, name := range names {
		w.tokens = append(w.tokens, fmt.Sprintf("  %s: {wechat: {appid: %s, secret_file: secret, mode: classic, api: '%s'}}\n", name, appID(name), w.provider.URL))
	}
	return w
}

func appID(name string) string { return "wx" + strings.ReplaceAll(name, "-", "_") }

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// client adds one that may do things with tokens, by its key.
func (w *world) client(name, key, tokens, rights string) {
	sum := sha256.Sum256([]byte(key))
	w.clients += fmt.Sprintf("  - {name: %s, key_sha256: %s, tokens: [%s], rights: [%s]}\n", name, hex.EncodeToString(sum[:]), tokens, rights)
}

// past gives a token a past: it was minted so long ago by an instance.
func (w *world) past(name, by string, ago time.Duration) {
	w.t.Helper()
	source := wechat.NewClassicToken(appID(name), secret, wechat.Config{API: w.provider.URL})
	minted, err := source.Mint(w.t.Context(), coordinator.Token{})
	if err != nil {
		w.t.Fatal(err)
	}
	traits, at := source.Traits(), time.Now().Add(-ago).UTC().Truncate(time.Millisecond)
	stamp := func(r coordinator.Record, at time.Time) coordinator.Record {
		return r.Child(coordinator.NewStamp(r, at))
	}
	attempt := coordinator.Attempt{ID: "seed", By: by, Reason: coordinator.ReasonDue, Deadline: at.Add(10 * time.Second)}
	record := stamp(coordinator.Record{}, at).Begin(attempt, at, traits)
	committed := at.Add(180 * time.Millisecond)
	grant := coordinator.Grant{Value: minted.Value, IssuedAt: at, ExpiresAt: at.Add(2 * time.Hour), MintedBy: by, Reason: coordinator.ReasonDue}
	record, kind := stamp(record, committed).Commit("seed", grant, traits)
	event := coordinator.Event{Kind: kind, Name: name, At: committed, By: by, Generation: record.Grant.Generation, Reason: coordinator.ReasonDue, Took: 180 * time.Millisecond}
	if _, err := w.store.Swap(w.t.Context(), name, coordinator.Stamp{}, record, event); err != nil {
		w.t.Fatal(err)
	}
}

// reader is a process of an application, which runs in this one.
func (w *world) reader(instance, name string) {
	w.t.Helper()
	c, err := coordinator.New(name, nil, w.store, coordinator.Config{Instance: instance, NeverMint: true})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	w.t.Cleanup(func() { cancel(); <-ended })
}

// process is one of mintonce.
type process struct {
	cmd    *exec.Cmd
	mu     sync.Mutex // guards out
	out    bytes.Buffer
	exited chan struct{}
}

func (p *process) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(data)
}

func (p *process) told() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// start starts mintonce.
func (w *world) start(instance string, args ...string) *process {
	w.t.Helper()
	text := "store: file:store\ninstance: " + instance + "\ntokens:\n" + strings.Join(w.tokens, "")
	if w.clients != "" {
		text += "clients:\n" + w.clients
	}
	w.write(instance+".yml", text)
	p := &process{cmd: exec.Command(command, append(args, "--config", filepath.Join(w.dir, instance+".yml"))...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.WaitDelay = p, p, time.Second
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	w.t.Cleanup(func() {
		p.kill()
		if w.t.Failed() {
			w.t.Logf("%s said:\n%s", instance, p.told())
		}
	})
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.exited
}

var listening = regexp.MustCompile(`msg=serving .*listen=(127\.0\.0\.1:\d+)`)

// serve starts the server that the page comes from.
func (w *world) serve(instance, address string) *process {
	w.t.Helper()
	p := w.start(instance, "serve", "--listen", address)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if found := listening.FindStringSubmatch(p.told()); found != nil {
			w.url = "http://" + found[1]
			return p
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s does not serve:\n%s", instance, p.told())
		}
	}
}

// do runs a command to its end.
func (w *world) do(instance string, args ...string) string {
	w.t.Helper()
	p := w.start(instance, args...)
	<-p.exited
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		w.t.Fatalf("%v ends with %d:\n%s", args, code, p.told())
	}
	return p.told()
}
