package integration_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// installed is the folder of the Node program with the SDK, as npm's lock file
// pins it.
var installed = sync.OnceValues(func() (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("there is no npm: install nodejs and npm")
	}
	if _, err := exec.LookPath("node"); err != nil {
		return "", errors.New("there is no node: install nodejs")
	}
	dir := filepath.Join(built, "nodesdk")
	if err := os.CopyFS(dir, os.DirFS("nodesdk")); err != nil {
		return "", err
	}
	install := exec.Command(npm, "ci", "--fetch-retries=5", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return dir, nil
})

// nodeSDK returns the folder, or skips the test with the reason.
func nodeSDK(t *testing.T) string {
	t.Helper()
	dir, err := installed()
	if err != nil {
		if os.Getenv("MINTONCE_REQUIRE_NODE") == "1" {
			t.Fatalf("MINTONCE_REQUIRE_NODE is set: %v", err)
		}
		t.Skipf("needs an SDK from the npm registry: %v", err)
	}
	return dir
}

// shop is a Node program that calls WeChat through co-wechat-api.
type shop struct {
	t      *testing.T
	orders io.Writer
	lines  chan string
}

func (w *sdkWorld) newShop(t *testing.T, dir, mode, key string) *shop {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	read, orders := io.Pipe()
	mintonce := w.server.url
	if mode == "host" {
		mintonce = w.front
	}
	env := append(w.environment(), "MODE="+mode, "APPID="+appID, "KEY="+key, "MINTONCE="+mintonce, "WECHAT="+w.provider.URL)
	p := w.note(launch(t, "node-"+mode, env, read, node, filepath.Join(dir, "shop.js")))
	t.Cleanup(func() { // before the audit: it ends by itself
		orders.Close()
		p.wait()
	})
	s := &shop{t: t, orders: orders, lines: make(chan string, 16)}
	go func() {
		seen := 0
		for p.running() {
			for scanner := bufio.NewScanner(strings.NewReader(p.stdout.String()[seen:])); scanner.Scan(); {
				if next := seen + len(scanner.Text()) + 1; next <= len(p.stdout.String()) {
					seen = next
					s.lines <- scanner.Text()
				}
			}
			time.Sleep(often)
		}
		close(s.lines)
	}()
	return s
}

// outcome is what a shop answers.
type outcome struct {
	OK     int
	Failed map[string]int
	Tokens []string // fingerprints of what the SDKs hold in the end
	Ticket string   // its fingerprint
}

func (s *shop) obey(order string) outcome {
	s.t.Helper()
	fmt.Fprintln(s.orders, order)
	select {
	case line, ok := <-s.lines:
		var got outcome
		if err := json.Unmarshal([]byte(line), &got); !ok || err != nil {
			s.t.Fatalf("%s: %q %v", order, line, err)
		}
		return got
	case <-time.After(2 * patience):
		s.t.Fatalf("%s: no answer", order)
		return outcome{}
	}
}

// calls wants all calls of so many SDKs to succeed, and all to hold the token
// that was minted last in the end.
func (s *shop) calls(w *sdkWorld, shops, calls int) {
	s.t.Helper()
	got := s.obey(fmt.Sprintf(`{"shops":%d,"calls":%d}`, shops, calls))
	if newest := w.provider.newest(); got.OK != shops*calls || len(got.Failed) != 0 || len(got.Tokens) != 1 || got.Tokens[0] != newest {
		s.t.Errorf("%d SDKs, %d calls each: %+v; the newest token is %s", shops, calls, got, newest)
	}
}

// TestNodeSDK: Node's co-wechat-api from the registry, with another host and
// nothing else, and with the lines of docs/sdks.md. It gets a token, survives a
// rotation and a stranger who mints, and never causes a mint of its own.
func TestNodeSDK(t *testing.T) {
	t.Parallel() // it waits for half a minute
	dir := nodeSDK(t)
	w := newSDKWorld(t, 2)
	shops := []*shop{w.newShop(t, dir, "host", w.keys[0]), w.newShop(t, dir, "lines", w.keys[1])}
	all := func(sdks, calls int) {
		t.Helper()
		for _, s := range shops {
			s.calls(w, sdks, calls)
		}
	}
	all(3, 10)
	w.minted(1, 1)
	for _, s := range shops {
		if got := s.obey(`{"ticket":"jsapi"}`); got.Ticket == "" {
			t.Errorf("no ticket: %+v", got)
		}
	}

	w.must("operator", "rotate")
	all(3, 10)
	w.minted(2, 1)

	w.ripe()
	w.provider.MintElsewhere(appID, wechattest.Classic)
	all(3, 10)
	w.minted(3, 1)
	if text := w.server.stderr.String(); !strings.Contains(text, `actor="client client-0, by asking again" code=40001`) {
		t.Error("the history does not tell who reported")
	}

	all(20, 50)
	w.minted(3, 1)
}

// TestNodeSDKDocs: the lines of docs/sdks.md are those that TestNodeSDK runs.
func TestNodeSDKDocs(t *testing.T) {
	code, err := os.ReadFile("nodesdk/shop.js")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(code), "// docs: begin\n")
	block, _, found := strings.Cut(rest, "  // docs: end")
	if !found {
		t.Fatal("shop.js marks no lines for the docs")
	}
	block = strings.ReplaceAll(strings.TrimPrefix(block, "  "), "\n  ", "\n")
	docs, err := os.ReadFile("../docs/sdks.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(docs), block) {
		t.Errorf("docs/sdks.md does not quote\n%s", block)
	}
}
