package integration_test

import (
	"errors"
	"regexp"
	"syscall"
	"testing"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// Number 9: SIGTERM in mid-mint, while the provider takes its time: the mint is
// committed, the lock released, the exit code 0.
func TestTerminatedInMidMint(t *testing.T) {
	for kind, newWorld := range map[string]func(testing.TB) *world{
		"redis": func(t testing.TB) *world { return newWorld(t, wechattest.Config{}) },
		"file":  func(t testing.TB) *world { return newFileWorld(t, wechattest.Config{}) },
	} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			mint := w.provider.HoldNext(wechattest.Mints)
			p := w.start("terminated", "serve", "--listen", "127.0.0.1:0")
			signalled(t, "the mint begins", mint.Arrived)
			p.signal(syscall.SIGTERM)
			p.prints(&p.stderr, regexp.MustCompile(`msg=(stopping)`))
			mint.Release()
			if code := p.wait(); code != 0 {
				t.Errorf("exit code %d, want 0\n%s", code, p.told())
			}
			w.wantCommitted("terminated")
		})
	}
}

// The same for a command that mints once: it was told to end before it could
// print the token, and says so; but the mint is not lost.
func TestOneShotTerminatedInMidMint(t *testing.T) {
	w := newWorld(t, wechattest.Config{})
	mint := w.provider.HoldNext(wechattest.Mints)
	p := w.start("terminated", "refresh", "shop")
	p.mayFail = true
	signalled(t, "the mint begins", mint.Arrived)
	p.signal(syscall.SIGTERM)
	mint.Release()
	p.wait()
	w.wantCommitted("terminated")
}

// wantCommitted checks what a process has left behind that was told to end in
// mid-mint.
func (w *world) wantCommitted(by string) {
	w.t.Helper()
	client := w.lookingClient()
	record, err := w.record(client)
	err = errors.Join(err, expect("attempts", record["attempts"], ""), expect("generation", record["generation"], "1"), expect("minted_by", record["minted_by"], by))
	if w.redis != nil {
		err = errors.Join(err, expect("the lock's holder", w.holder(client), ""))
	}
	if err != nil {
		w.t.Errorf("after the exit: %v", err)
	}
	w.token("next") // takes what is there
	w.provider.wantMints(w.t, 1)
}
