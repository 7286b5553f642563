package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/httpapi"
	"github.com/mintonce/mintonce/internal/listen"
	"github.com/mintonce/mintonce/internal/tlsfiles"
	"golang.org/x/sync/errgroup"
)

// requestsEnd is how long requests under way may take once the process was told
// to stop.
const requestsEnd = 5 * time.Second

// endpoint is where serve answers over HTTP.
type endpoint struct {
	listener net.Listener
	tls      *tlsfiles.Server // nil without TLS
}

// openEndpoint opens that of the config; nil if there is none. It warns of keys
// that others can read on their way.
func (a *app) openEndpoint(ctx context.Context, c *config.Config) (*endpoint, error) {
	address, listens := c.Address()
	if !listens {
		return nil, nil
	}
	tls, err := c.LoadTLS()
	if err != nil {
		return nil, err
	}
	listener, err := address.Listen(ctx, c.SocketMode())
	if err != nil {
		return nil, err
	}
	if tls == nil && !address.Local() {
		a.log.Warn("keys and tokens go over the network in clear: set tls in the config, or let only a proxy that speaks TLS reach this address", "listen", listen.Name(listener.Addr()))
	}
	return &endpoint{listener, tls}, nil
}

// attrs are for the log.
func (e *endpoint) attrs(c *config.Config) []any {
	attrs := []any{"listen", listen.Name(e.listener.Addr()), "clients", len(c.Clients)}
	if e.tls != nil {
		attrs = append(attrs, "tls", e.tls.Leaf().NotAfter.UTC().Format(time.RFC3339))
	}
	return attrs
}

// answer serves the HTTP API until ctx ends.
func (a *app) answer(ctx context.Context, group *errgroup.Group, e *endpoint, f *fleet) {
	server := httpapi.NewServer(&f.api, a.log)
	server.RegisterOnShutdown(f.feed.Close) // streams would last for as long as somebody looks
	serve := func() error { return server.Serve(e.listener) }
	if e.tls != nil {
		server.TLSConfig = e.tls.Config()
		serve = func() error { return server.ServeTLS(e.listener, "", "") }
	}
	group.Go(func() error {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("listen on %s: %w", listen.Name(e.listener.Addr()), err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestsEnd)
		defer cancel()
		if err := server.Shutdown(limited); err != nil {
			a.log.Warn("requests broken off", "after", requestsEnd)
			_ = server.Close() // it has no error that matters by now
		}
		return nil
	})
}
