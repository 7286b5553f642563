package integration_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// wrongByVariable tells the command that buildWithWrongClock has built by how
// many seconds its wall clock is wrong.
const wrongByVariable = "MINTONCE_TEST_CLOCK_WRONG_BY"

// Number 8: a process whose wall clock is an hour ahead or behind serves the
// token neither early nor late, and mints no more than the others. It is the
// command itself, compiled with a time.Now that is off.
func TestWrongWallClock(t *testing.T) {
	t.Parallel() // mostly waiting, for the token to expire
	path := buildWithWrongClock(t)
	const life = 24 * time.Second // the last quarter is for refreshes: until then, all of them have to be started
	w := newWorld(t, wechattest.Config{Lifetime: life})
	hours := map[string]int{"ahead": +1, "right": 0, "behind": -1}
	urls := make(map[string]string)
	for name, hour := range hours {
		env := append(w.environment(), fmt.Sprintf("%s=%d", wrongByVariable, hour*3600))
		p := w.note(launch(t, name, env, nil, path, w.withAccount(name, []string{"serve", "--listen", "127.0.0.1:0"})...))
		urls[name] = "http://" + p.prints(&p.stderr, regexp.MustCompile(`msg=serving .*listen=(\S+)`))
		wantClock(t, p, time.Duration(hour)*time.Hour)
	}
	for name, url := range urls {
		eventually(t, name+" serves the token", func() error { _, err := served(url); return err })
	}
	// From here on, the provider refuses: the token is not replaced, and its
	// end can be seen.
	w.provider.Inject(wechattest.Fault{Kind: wechattest.Errcode, Code: 45009, Times: -1})
	record, err := w.record(w.client())
	if err != nil {
		t.Fatal(err)
	}
	expiry, err := time.Parse(time.RFC3339, record["expires_at"]) // on Redis's clock, which is right
	if err != nil {
		t.Fatal(err)
	}

	ends := make(map[string]*end)
	for name := range urls {
		ends[name] = &end{}
	}
	eventually(t, "nobody serves the token", func() error {
		some := false
		for name, url := range urls {
			asked := time.Now()
			fingerprint, err := served(url)
			if ends[name].note(asked, err); err == nil {
				some = true
				if err := expect("the token", fingerprint, coordinator.Fingerprint(record["value"])); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
		return expect("a token is served", some, false)
	})
	for name := range hours {
		ends[name].want(t, name, expiry)
	}
	if minted, _ := w.provider.mints(); minted != 1 {
		t.Errorf("%d mints, want 1\n%s", minted, w.provider.told())
	}
}

// end is what is seen of the end of a token in one process.
type end struct {
	last    time.Time // when it was asked the last time that it had the token
	refused time.Time // when it had answered, after that, that it has none
}

func (e *end) note(asked time.Time, err error) {
	switch {
	case err == nil:
		e.last, e.refused = asked, time.Time{}
	case e.refused.IsZero():
		e.refused = time.Now()
	}
}

// want checks that a token was served neither after its expiry nor only until
// long before. A machine that is slow asks late and hears late, which shows as
// neither.
func (e *end) want(t testing.TB, name string, expiry time.Time) {
	t.Helper()
	if e.last.After(expiry) {
		t.Errorf("%s still served the token %s after its expiry", name, e.last.Sub(expiry))
	}
	const margin = 3 * time.Second
	if early := expiry.Sub(e.refused); e.last.IsZero() || early > margin {
		t.Errorf("%s served the token only until %s before its expiry", name, early)
	}
}

// served asks a "mintonce serve" for the fingerprint of its token.
func served(url string) (string, error) {
	status, body := fetch(url + "/v1/tokens/shop")
	var token struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if status != 200 {
		return "", fmt.Errorf("status %d: %s", status, body)
	}
	err := json.Unmarshal([]byte(body), &token)
	return coordinator.Fingerprint(token.AccessToken), err
}

// wantClock makes sure that the clock of the process is as wrong as it should
// be: its log tells.
func wantClock(t testing.TB, p *process, wrongBy time.Duration) {
	t.Helper()
	stamp := p.prints(&p.stderr, regexp.MustCompile(`(?m)^time=(\S+) .*msg=serving`))
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		t.Fatal(err)
	}
	if off := time.Until(at) - wrongBy; off.Abs() > 10*time.Minute {
		t.Fatalf("the clock of %s is wrong by %s more than it should be", p.name, off)
	}
}

// buildWithWrongClock builds the command with a changed copy of package time. A
// library such as libfaketime does not reach Go, which asks the kernel itself.
func buildWithWrongClock(t testing.TB) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	source, err := os.ReadFile(filepath.Join(folder, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const original = "\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(source), original) != 1 {
		t.Fatalf("time.Now of this Go is not as expected: find the line that reads the clock, and change this test")
	}
	changed := strings.Replace(string(source), original, original+"\tsec += wrongBy\n", 1)
	const addition = `package time

import "syscall"

var wrongBy = func() int64 {
	text, _ := syscall.Getenv("` + wrongByVariable + `")
	seconds, _ := atoi(text)
	return int64(seconds)
}()
`
	dir := t.TempDir()
	replace := make(map[string]string)
	for name, text := range map[string]string{"time.go": changed, "wrong_clock.go": addition} {
		replace[filepath.Join(folder, name)] = filepath.Join(dir, name)
		write(t, filepath.Join(dir, name), text)
	}
	overlay, _ := json.Marshal(map[string]any{"Replace": replace}) // texts always marshal
	write(t, filepath.Join(dir, "overlay.json"), string(overlay))
	path, err := build("mintonce-with-wrong-clock", "build", "-overlay", filepath.Join(dir, "overlay.json"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
