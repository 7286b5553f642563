package integration_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// world is what one test has to itself: a provider, a store, and processes
// that know of both. Its books are audited when the test ends.
type world struct {
	t        testing.TB
	provider *provider
	redis    *redistest.Server  // nil for a world on files
	standby  *redistest.Server  // a replica of that Redis, where there is one
	cluster  *redistest.Cluster // nil but for a world on one
	password string             // of that Redis, if it has one
	store    string             // for --store
	mode     string             // of the WeChat account
	home     string             // of the processes
	folders  []string           // of file stores

	mu        sync.Mutex
	clients   map[string]*redis.Client // of servers, by address
	processes []*process
	answers   []string // of HTTP, where no token belongs
}

// newWorld is a world on a Redis of its own, whose account mints at
// /cgi-bin/token: there, each mint too many does harm.
func newWorld(t testing.TB, cfg wechattest.Config, redisArgs ...string) *world {
	t.Helper()
	server := redistest.Start(t, redisArgs...)
	w := &world{t: t, provider: newProvider(t, cfg), redis: server, store: server.URL(), mode: "classic", home: t.TempDir()}
	t.Cleanup(w.audit)
	return w
}

// newFileWorld is one whose store is a folder.
func newFileWorld(t testing.TB, cfg wechattest.Config) *world {
	t.Helper()
	w := &world{t: t, provider: newProvider(t, cfg), mode: "classic", home: t.TempDir()}
	w.store = "file:" + w.folder()
	t.Cleanup(w.audit)
	return w
}

// folder is a new folder for a file store.
func (w *world) folder() string {
	dir := w.t.TempDir()
	w.folders = append(w.folders, dir)
	return dir
}

// environment is all that the processes have of it.
func (w *world) environment() []string {
	return []string{
		"MINTONCE_STORE_PASSWORD=" + w.password, "HOME=" + w.home, "PATH=" + os.Getenv("PATH"), "TZ=UTC", "MINTONCE_WECHAT_SECRET=" + secret,
		"GORACE=halt_on_error=1 atexit_sleep_ms=0",
	}
}

// account are the flags that name the store and the one token, shop.
func (w *world) account() []string {
	return []string{
		"--store", w.store, "--name", "shop", "--wechat-appid", appID, "--wechat-api", w.provider.URL, "--wechat-mode", w.mode,
		"--log-level", "debug",
	}
}

// start starts the command with the account's flags. The instance's name is
// that of the process.
func (w *world) start(instance string, args ...string) *process {
	w.t.Helper()
	return w.launch(instance, nil, commandPath(w.t), w.withAccount(instance, args)...)
}

func (w *world) withAccount(instance string, args []string) []string {
	// The account comes second, so that args may say otherwise.
	account := append(w.account(), "--instance", instance)
	return append(append(args[:1:1], account...), args[1:]...)
}

// launch starts a program whose output is audited.
func (w *world) launch(name string, stdin io.Reader, path string, args ...string) *process {
	w.t.Helper()
	return w.note(launch(w.t, name, w.environment(), stdin, path, args...))
}

func (w *world) note(p *process) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.processes = append(w.processes, p)
	return p
}

// run runs the command to its end and returns its exit code.
func (w *world) run(instance string, args ...string) (int, *process) {
	w.t.Helper()
	p := w.start(instance, args...)
	p.mayFail = true
	return p.wait(), p
}

// must runs the command to its end, and wants it to end well.
func (w *world) must(instance string, args ...string) *process {
	w.t.Helper()
	code, p := w.run(instance, args...)
	if code != 0 {
		w.t.Fatalf("exit code %d\n%s", code, p.told())
	}
	return p
}

// token runs "mintonce token" and returns what it printed.
func (w *world) token(instance string, args ...string) string {
	w.t.Helper()
	p := w.startToken(instance, args...)
	if code := p.wait(); code != 0 {
		w.t.Fatalf("exit code %d\n%s", code, p.told())
	}
	return printed(p)
}

func (w *world) startToken(instance string, args ...string) *process {
	w.t.Helper()
	p := w.start(instance, append([]string{"token", "shop"}, args...)...)
	p.tokensOnStdout = true
	return p
}

// printed is the token that "mintonce token" printed.
func printed(p *process) string { return strings.TrimSuffix(p.stdout.String(), "\n") }

// get asks a server of ours for what holds no token, and keeps the answer for
// the audit.
func (w *world) get(url string) (int, string) {
	status, body := fetch(url)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = append(w.answers, body)
	return status, body
}

// fetch returns status and body of an answer, and 0 and the error without one.
func fetch(url string) (int, string) {
	response, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}
