package wechatapi

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
)

const (
	// spacing is the shortest time between two probes of a token, whoever asks.
	spacing = 30 * time.Second
	// forcedSpacing is that for a client that says force_refresh.
	forcedSpacing = 10 * time.Second
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
}

// try begins a probe of the token called name, unless there was one just now.
// It returns a channel that is closed when the probe under way is over, or nil
// if there is none.
func (p *probes) try(name string, forced bool, run func(context.Context)) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if last := p.latest[name]; last != nil {
		select {
		case <-last.done:
			since := now.Sub(last.began)
			if since < forcedSpacing || !forced && since < spacing {
				return nil
			}
		default:
			return last.done
		}
	}
	p.forget(now)
	// It outlives the request that it was begun for: others wait for it, too.
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	mine := &probe{began: now, cancel: cancel, done: make(chan struct{})}
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
// not.
func (h *Handler) probe(ctx context.Context, name string, credential Credential, token coordinator.Token) {
	err := h.Probe(ctx, name, token.Value)
	var rejected *coordinator.RejectedError
	switch {
	case err == nil:
		h.Log.Debug("a client asked again early: the provider accepts the token", "token", name, "generation", token.Generation)
	case !errors.As(err, &rejected):
		h.Log.Debug("a client asked again early: whether the provider accepts the token is not known", "token", name, "generation", token.Generation, "reason", plain.Text(err))
	default:
		verdict, err := credential.Reject(ctx, token.Value, rejected)
		log := h.Log.With("token", name, "generation", token.Generation, "errcode", rejected.Code)
		if err != nil {
			log.Warn("a client asked again early, and the provider rejects the token: it was reported, and there is no other yet", "reason", plain.Text(err))
			return
		}
		log.Info("a client asked again early, and the provider rejects the token: reported", "verdict", string(verdict))
	}
}
