package integration_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// Three processes share five hundred credentials, and nobody tells them who
// does what. One is killed in the midst of a mass start.
func TestProcessesShareManyCredentials(t *testing.T) {
	// All of them are refreshed in the last quarter of their lives, which must be
	// feasible for a slow machine with the race detector: 33 mints a second.
	const many, life = 500, time.Minute
	apps, names := merchants(many)
	w := newWorld(t, wechattest.Config{Apps: apps, Lifetime: life})
	p := newPlatform(w, names)
	w.provider.slow(latency)
	all := p.serve("victim", "second", "third")
	victim, others := all[0], all[1:]
	var atDeath []account
	eventually(t, "the victim is in the midst of it", func() error {
		atDeath = p.accounts()
		return expect("the victim has minted, and is minting", shares(atDeath)["victim"] > 20 && inFlight(atDeath, "victim") > 5, true)
	})
	victim.kill()
	atDeath = p.accounts()
	orphans := inFlight(atDeath, "victim")
	t.Logf("killed with %d attempts unresolved, after %v", orphans, shares(atDeath))

	// The locks lapse after the lease; the rest of the start goes on meanwhile.
	limit := lease + 2*time.Second
	took := within(t, limit+machineMargin, "the others have taken over", func() error { return p.allReady(others...) })
	t.Logf("the others had all %d tokens %s after the kill; the requirement says seconds", many, took.Round(time.Millisecond))
	w.provider.Clear()

	// Everything is refreshed at least once, and nothing is missing meanwhile.
	start := p.accounts()
	p.keepReady(life+patience, "a refresh of everything", func() error { return p.refreshed(start, "second", "third") }, others...)
	share := shares(p.accounts())
	t.Logf("the last mints were by %v", share)
	if share["second"] < many/20 || share["third"] < many/20 {
		t.Errorf("the work is not shared: %v", share)
	}
	for _, r := range others {
		r.stop()
	}
	p.wantNoDoubleMints(atDeath, "victim")
}

// inFlight counts the credentials with an unresolved attempt of an instance.
func inFlight(all []account, instance string) int {
	n := 0
	for _, a := range all {
		if strings.Contains(a.attempts, instance) {
			n++
		}
	}
	return n
}

// wantNoDoubleMints wants every mint of the provider to be a generation of the
// record. Only where the victim left an attempt behind, there may be one that
// nobody has, and one to make sure; and on a machine so slow that Redis did not
// answer in time, anywhere.
func (p *platform) wantNoDoubleMints(atDeath []account, victim string) {
	p.t.Helper()
	var wrong []string
	extra, unsure := 0, 0
	if p.lateReplies() {
		unsure = 2
	}
	for i, a := range p.accounts() {
		allowed := unsure
		if strings.Contains(atDeath[i].attempts, victim) {
			allowed++ // what the dead process has minted and nobody knows
		}
		if a.attempts != "" || a.minted != a.requests || a.minted < a.generation || a.minted > a.generation+allowed {
			wrong = append(wrong, fmt.Sprintf("%+v, at the kill %+v", a, atDeath[i]))
		}
		extra += a.minted - a.generation
	}
	p.t.Logf("%d mints are no generation", extra)
	if len(wrong) > 0 {
		p.t.Errorf("%d credentials were minted too often, or are not at rest:\n%s", len(wrong), strings.Join(wrong[:min(len(wrong), 10)], "\n"))
	}
}

// lateReplies reports whether a process has missed a reply of the
// store, and so may have minted what it could not write.
func (p *platform) lateReplies() bool {
	for _, process := range p.processes {
		if strings.Contains(process.stderr.String(), `msg="the store does not answer"`) {
			p.t.Logf("Redis was too slow for %s", process.name)
			return true
		}
	}
	return false
}
