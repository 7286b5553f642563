package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// localSource mints in this process, after a latency. It is of the most
// demanding kind: the last mint wins.
type localSource struct {
	name    string
	life    time.Duration
	latency time.Duration
	mints   atomic.Int64
}

func (s *localSource) Traits() coordinator.Traits {
	return coordinator.Traits{Overlap: 5 * time.Minute}
}

func (s *localSource) Mint(ctx context.Context, _ coordinator.Token) (coordinator.Token, error) {
	sent := time.Now()
	if s.latency > 0 {
		if err := pause(ctx, s.latency); err != nil {
			return coordinator.Token{}, err
		}
	}
	return coordinator.NewToken(tokenValue(s.name, s.mints.Add(1)), sent.Add(s.life)), nil
}

// tokenValue is as long as WeChat's tokens are.
func tokenValue(name string, n int64) string { return fmt.Sprintf("%-.40s_%0136d", name, n) }

// provider mints over HTTP, and notes when it has answered.
type provider struct {
	url     string
	latency time.Duration

	mu       sync.Mutex // guards the fields below
	mints    int
	answered moment // just before the last answer was written
}

type mintAnswer struct {
	Value string `json:"access_token"`
	Life  int    `json:"expires_in"`
}

func (w *world) provider(latency time.Duration) (*provider, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &provider{url: "http://" + listener.Addr().String(), latency: latency}
	server := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(listener)
	w.atEnd(func() { server.Close() })
	return p, nil
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if pause(r.Context(), p.latency) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mints++
	p.answered = now()
	json.NewEncoder(w).Encode(mintAnswer{tokenValue("http", int64(p.mints)), 7200})
}

// taken returns how many mints there were, and when the last was answered, and
// starts counting anew.
func (p *provider) taken() (int, moment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mints := p.mints
	p.mints = 0
	return mints, p.answered
}

// remoteSource mints at a provider. It has a connection per mint, as a Source
// should: net/http repeats requests on reused ones.
type remoteSource struct {
	url    string
	client *http.Client
}

func newRemoteSource(url string) *remoteSource {
	return &remoteSource{url, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

func (s *remoteSource) Traits() coordinator.Traits {
	return coordinator.Traits{Overlap: 5 * time.Minute}
}

func (s *remoteSource) Mint(ctx context.Context, _ coordinator.Token) (coordinator.Token, error) {
	sent := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return coordinator.Token{}, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return coordinator.Token{}, err
	}
	defer response.Body.Close()
	var answer mintAnswer
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return coordinator.Token{}, err
	}
	return coordinator.NewToken(answer.Value, sent.Add(time.Duration(answer.Life)*time.Second)), nil
}
