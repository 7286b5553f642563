package wechatapi

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
	"golang.org/x/time/rate"
)

const (
	// spacing is the shortest time between two probes of a token, whoever asks.
	spacing = 30 * time.Second
	// forcedSpacing is that for a client that says force_refresh.
	forcedSpacing = 10 * time.Second
	// urgentSpacing is that for a client that comes back again and again.
	// wechatpy's retries end in an exception within a second. The provider's
	// calls have quotas, and some clients ask for the token before every call
	// that they make: so there are no more than urgentBurst such probes in a row
	// of a token, and one more every urgentEvery.
	urgentSpacing = 250 * time.Millisecond
	urgentBurst   = 4
	urgentEvery   = 5 * time.Minute
	// probeLimit bounds a probe and the report that follows it: a mint and the
	// waiting for it.
	probeLimit = 20 * time.Second
)

// probes makes probes rare, and one at a time for each token.
type probes struct {
	mu      sync.Mutex // guards latest
	latest  map[string]*probe
	running sync.WaitGroup
}

// probe is one that was begun.
type probe struct {
	began  time.Time
	cancel context.CancelFunc
	done   chan struct{}
	urgent *rate.Limiter // of this token
}

// ready reports whether the next probe may begin, after one that has ended.
func (p *probe) ready(now time.Time, u urgency) bool {
	since := now.Sub(p.began)
	if since >= spacing || u.forced && since >= forcedSpacing {
		return true
	}
	return u.urgent && since >= urgentSpacing && p.urgent.AllowN(now, 1)
}

// try begins a probe of the token called name, unless there was one just now.
// It returns a channel that is closed when the probe under way is over, or nil
// if there is none.
func (p *probes) try(name string, u urgency, run func(context.Context)) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	bucket := rate.NewLimiter(rate.Every(urgentEvery), urgentBurst)
	if last := p.latest[name]; last != nil {
		bucket = last.urgent
		select {
		case <-last.done:
			if !last.ready(now, u) {
				return nil
			}
		default:
			return last.done
		}
	}
	p.forget(now)
	// It outlives the request that it was begun for: others wait for it, too.
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	mine := &probe{began: now, cancel: cancel, done: make(chan struct{}), urgent: bucket}
	p.latest[name] = mine
	p.running.Go(func() {
		defer close(mine.done)
		defer cancel()
		run(ctx)
	})
	return mine.done
}

// Close breaks off the probes under way, and waits until they have ended. No
// Handler may serve any more.
func (p *probes) Close() {
	p.mu.Lock()
	for _, latest := range p.latest {
		latest.cancel()
	}
	p.mu.Unlock()
	p.running.Wait()
}

// forget drops the probes that stand in nobody's way any more. The caller holds
// mu.
func (p *probes) forget(now time.Time) {
	if p.latest == nil {
		p.latest = make(map[string]*probe)
	}
	const few = 64
	if len(p.latest) < few {
		return
	}
	for name, last := range p.latest {
		if now.Sub(last.began) > max(spacing, probeLimit)+time.Second {
			delete(p.latest, name)
		}
	}
}

// probe finds out whether the provider accepts the token, and reports it if
// not. Until it is replaced, the outcome stands against handing it out.
func (h *Handler) probe(ctx context.Context, name string, credential Credential, token coordinator.Token) {
	err := h.Probe(ctx, name, token.Value)
	var rejected *coordinator.RejectedError
	switch {
	case err == nil:
		h.Memory.rejections.forget(name)
		h.Log.Debug("a client asked again early: the provider accepts the token", "token", name, "generation", token.Generation)
	case !errors.As(err, &rejected):
		h.Log.Debug("a client asked again early: whether the provider accepts the token is not known", "token", name, "generation", token.Generation, "reason", plain.Text(err))
	default:
		remember := func(err error) { h.Memory.rejections.remember(name, token, rejected.Code, err) }
		remember(nil)
		verdict, err := credential.Reject(ctx, token.Value, rejected)
		switch {
		case err != nil:
			remember(err)
		case verdict == coordinator.TooYoung:
			remember(&youngError{forcedSpacing})
		default: // it was replaced, or the provider has vouched for it since
			h.Memory.rejections.forget(name)
		}
		log := h.Log.With("token", name, "generation", token.Generation, "errcode", rejected.Code)
		if err != nil {
			log.Warn("a client asked again early, and the provider rejects the token: it was reported, and there is no other yet", "reason", plain.Text(err))
			return
		}
		log.Info("a client asked again early, and the provider rejects the token: reported", "verdict", string(verdict))
	}
}
