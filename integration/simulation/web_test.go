package simulation_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
)

// web is the provider's front where all that ships takes part: its two token
// endpoints, as package wechat calls them over net/http. The wires are
// connections.
type web struct {
	world    *world
	dice     *dice
	server   *http.Server
	incoming chan net.Conn
	closed   chan struct{}
	lines    lines
}

func newWeb(w *world) *web {
	s := &web{world: w, dice: w.dice("web"), incoming: make(chan net.Conn), closed: make(chan struct{})}
	s.server = &http.Server{
		Handler:     s,
		ErrorLog:    log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, caller{}, c) },
	}
	go s.server.Serve(s)
	return s
}

// caller is the key of a request's connection.
type caller struct{}

// inbound is the server's end of a connection, which knows whose it is.
type inbound struct {
	net.Conn
	process *process
	call    atomic.Pointer[minting] // for which the process has written last
}

// outbound is the process's end of a connection: it notes which call of
// Source.Mint a request belongs to. A process has one at a time.
type outbound struct {
	net.Conn
	end *inbound
}

func (c outbound) Write(b []byte) (int, error) {
	c.end.process.wait()
	c.end.call.Store(c.end.process.calling.Load())
	return c.Conn.Write(b)
}

func (s *web) dial(ctx context.Context, p *process) (net.Conn, error) {
	near, server := net.Pipe()
	end := &inbound{Conn: server, process: p}
	line, err := s.lines.dial(ctx, p.toProvider, func(*connection) (net.Conn, error) {
		select {
		case s.incoming <- end:
			return near, nil
		case <-s.closed:
			return nil, errReset
		}
	}, func() time.Duration { return 0 })
	if err != nil {
		return nil, err
	}
	return outbound{line, end}, nil
}

// Accept, Close and Addr make it the server's net.Listener.
func (s *web) Accept() (net.Conn, error) {
	select {
	case c := <-s.incoming:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *web) Close() error   { close(s.closed); return nil }
func (s *web) Addr() net.Addr { return &net.TCPAddr{} }

// asks returns how the process asks the provider: with package wechat.
func (s *web) asks(p *process) asking {
	cfg := wechat.Config{API: "http://127.0.0.1", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx, p) }}
	classic, stable := wechat.NewClassicToken("wx0", "secret", cfg), wechat.NewStableToken("wx0", "secret", cfg)
	mint := classic.Mint
	if s.world.idempotent {
		mint = stable.Mint
	}
	return func(ctx context.Context, call *minting, force bool) (coordinator.Token, error) {
		p.calling.Store(call)
		ask := mint
		if force {
			ask = stable.Rotate
		}
		if ctx.Err() == nil {
			return ask(ctx, coordinator.Token{})
		}
		// The process was paused when it had looked at its context: what it was
		// about to send goes out, and nobody waits for the answer.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		go func() {
			defer cancel()
			ask(late, coordinator.Token{})
		}()
		return coordinator.Token{}, ctx.Err()
	}
}

// ServeHTTP answers as WeChat does.
func (s *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w, end := s.world, r.Context().Value(caller{}).(*inbound)
	call := end.call.Load()
	if n := call.requests.Add(1); n > 1 {
		w.violation(end.process, "one call of Source.Mint has become %d requests", n)
	}
	var body struct {
		Force bool `json:"force_refresh"`
	}
	if r.Method == http.MethodPost && json.NewDecoder(r.Body).Decode(&body) != nil {
		panic("a request that the source cannot have made")
	}
	delay, reply, err := w.provider.serve(call, body.Force)
	answer := map[string]any{}
	var refused *coordinator.SourceError
	switch {
	case errors.As(err, &refused):
		answer["errcode"], answer["errmsg"] = codes[refused.Class], refused.Message
	case err == nil && reply != nil:
		answer["access_token"], answer["expires_in"] = reply.value, int(time.Until(reply.end).Seconds())
	}
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
	}
	switch {
	case err != nil && refused == nil && s.dice.chance(0.5):
		panic(http.ErrAbortHandler) // it closes the connection
	case err != nil && refused == nil:
		http.Error(rw, err.Error(), http.StatusBadGateway)
	default:
		json.NewEncoder(rw).Encode(answer)
	}
}

// codes are WeChat's, one for each of the harness's refusals. What package
// wechat makes of them is what they say.
var codes = map[coordinator.Class]int{
	coordinator.Transient: -1, coordinator.Quota: 45011, coordinator.Operator: 40164, coordinator.Configuration: 40125,
}
