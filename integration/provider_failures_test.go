package integration_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// failure is a way in which the provider fails, and what has to be made of it.
type failure struct {
	name  string
	fault wechattest.Fault
	class string
	code  string
	says  []string // in the message
}

// failures are those of number 6.
func failures(w *world) []failure {
	code := func(code int) wechattest.Fault { return wechattest.Fault{Kind: wechattest.Errcode, Code: code} }
	life := func(text string) wechattest.Fault { return wechattest.Fault{Kind: wechattest.ExpiresIn, Body: text} }
	return []failure{
		{"-1", code(-1), "transient", "-1", []string{"WeChat is busy"}},
		{"45009", code(45009), "quota", "45009", []string{"the token calls of the day are used up", "stable_token"}},
		{"40164", code(40164), "operator", "40164", []string{"127.0.0.1", "IP whitelist"}},
		{"40125", code(40125), "configuration", "40125", []string{"the AppSecret is wrong"}},
		{"89503", code(89503), "operator", "89503", []string{"administrator has to confirm"}},
		{"500", wechattest.Fault{Kind: wechattest.Status, Code: 500}, "transient", "", []string{"HTTP 500"}},
		{"HTML", wechattest.Fault{Kind: wechattest.HTML}, "transient", "", []string{"not a JSON object"}},
		{"empty body", wechattest.Fault{Kind: wechattest.Empty}, "transient", "", []string{"the reply is empty"}},
		{"hang", wechattest.Fault{Kind: wechattest.Hang}, "transient", "", []string{"answer did not arrive"}},
		{"redirect", wechattest.Fault{Kind: wechattest.Redirect, Body: w.provider.URL + "/cgi-bin/token"}, "transient", "", []string{"redirect"}},
		{"expires_in negative", life("-1"), "transient", "", []string{"expires_in is -1"}},
		{"expires_in huge", life("99999999999"), "transient", "", []string{"expires_in is more than"}},
		{"expires_in a string", life(`"7200"`), "transient", "", []string{"expires_in is not a whole number"}},
	}
}

// Number 6: whatever the provider answers to a refresh, the usable token is
// kept, the record has the class and the code, and the message says what to do.
func TestFailedRefreshKeepsTheToken(t *testing.T) {
	w := newWorld(t, wechattest.Config{})
	for _, f := range failures(w) {
		t.Run(f.name, func(t *testing.T) {
			w := newWorld(t, wechattest.Config{})
			kept := w.token("first")
			w.provider.Inject(f.fault)
			code, operator := w.run("operator", "rotate", "shop")
			if code != 1 {
				t.Errorf("exit code %d, want 1\n%s", code, operator.told())
			}
			record, err := w.record(w.client())
			if err != nil {
				t.Fatal(err)
			}
			wantField(t, record, "failure_class", f.class)
			wantField(t, record, "failure_code", f.code)
			wantField(t, record, "failed_by", "operator")
			status := w.must("onlooker", "status", "shop")
			for _, text := range f.says {
				if !strings.Contains(record["failure"], text) {
					t.Errorf("the record's failure is %q, want %q in it", record["failure"], text)
				}
				if !strings.Contains(lastLine(operator.stderr.String()), text) {
					t.Errorf("the command's error has no %q\n%s", text, operator.told())
				}
				if !strings.Contains(oneLine(status.stdout.String()), text) {
					t.Errorf("the status has no %q\n%s", text, status.told())
				}
			}
			_, before := w.provider.mints()
			if w.token("reader") != kept {
				t.Error("the usable token was not kept")
			}
			if _, after := w.provider.mints(); after != before || record["value"] != kept {
				t.Errorf("reading the token cost %d requests, want none", after-before)
			}
		})
	}
}

// Number 6: a failure that time does not heal ends the minting of the fleet:
// the second process, which has seen nothing of it, tells the same at once, and
// asks the provider for nothing.
func TestLastingFailureIsShared(t *testing.T) {
	w := newWorld(t, wechattest.Config{})
	for _, f := range failures(w) {
		if f.class == "transient" {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			w := newWorld(t, wechattest.Config{})
			f.fault.Times = -1
			w.provider.Inject(f.fault)
			for _, name := range []string{"first", "second"} {
				p := w.startToken(name, "--timeout", "40s")
				p.mayFail = true
				if code := p.wait(); code != 1 {
					t.Errorf("exit code %d, want 1\n%s", code, p.told())
				}
				for _, text := range f.says {
					if !strings.Contains(lastLine(p.stderr.String()), text) {
						t.Errorf("the error has no %q\n%s", text, p.told())
					}
				}
			}
			if _, requests := w.provider.mints(); requests != 1 {
				t.Errorf("%d requests, want 1\n%s", requests, w.provider.told())
			}
		})
	}
}

// Number 6: two processes without a token share one back-off, which doubles:
// together they ask no more often than one would.
func TestBackoffIsShared(t *testing.T) {
	t.Parallel() // mostly waiting, for the back-off
	for _, kind := range []wechattest.Kind{wechattest.Errcode, wechattest.Status} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t, wechattest.Config{})
			const failing = 3
			fault := wechattest.Fault{Kind: kind, Times: failing}
			if kind == wechattest.Errcode {
				fault.Code = -1
			}
			w.provider.Inject(fault)
			one, two := w.startToken("one"), w.startToken("two")
			for _, p := range []*process{one, two} {
				if code := p.wait(); code != 0 {
					t.Fatalf("exit code %d\n%s", code, p.told())
				}
			}
			if printed(one) != printed(two) {
				t.Error("the processes print different tokens")
			}
			if minted, requests := w.provider.mints(); minted != 1 || requests != failing+1 {
				t.Errorf("%d requests, %d mints, want %d and 1\n%s", requests, minted, failing+1, w.provider.told())
			}
			// 1 s, 2 s and 4 s, less a quarter at random; a slow machine only
			// makes it longer.
			var last time.Time
			for i, e := range w.provider.Log() {
				if least := time.Second << i * 3 / 8; i > 0 && e.At.Sub(last) < least {
					t.Errorf("request %d came %s after the one before, want at least %s", i+1, e.At.Sub(last), least)
				}
				last = e.At
			}
		})
	}
}

// lastLine is the line on which a command says why it failed.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
