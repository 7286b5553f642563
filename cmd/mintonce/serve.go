package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/httpapi"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/wechat"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

const (
	// requestsEnd is how long requests under way may take once the process was
	// told to stop.
	requestsEnd = 5 * time.Second
	// serveEnds bounds the way from the signal to the exit. Kubernetes kills
	// after 30 s.
	serveEnds = 25 * time.Second
	// tokenWait is how long a request of the API may wait for a token.
	tokenWait = 20 * time.Second
)

func (a *app) serveCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Keep every configured token fresh, and answer over HTTP",
		Long: `serve is the standalone refresher. It keeps every configured token fresh ahead
of time and writes what happens to stderr. Several of it may run at once: they
share the work. While the provider or the store fails it goes on, serves what
is usable, and tries again.

With --listen it has an HTTP API: GET /v1/tokens/NAME, POST
/v1/tokens/NAME/report and .../rotate, GET /v1/status, /healthz and /readyz.
On a loopback address no key is needed unless the config file lists clients;
any other address needs them.

SIGTERM or SIGINT: it stops listening, finishes a mint under way, releases the
lock and exits with 0, after 25 seconds at most. A second signal ends it at
once.`,
		Example: `  mintonce serve --config mintonce.yml
  mintonce serve --store redis://127.0.0.1:6379/0 --listen 127.0.0.1:8420 \
      --name shop --wechat-appid wx1234567890abcdef \
      --wechat-secret-file shop.secret
  curl http://127.0.0.1:8420/v1/tokens/shop`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.settings("")
			if err != nil {
				return err
			}
			a.override(c, "listen", "listen", &listen, &c.Listen)
			if err := a.ready(c, slog.LevelInfo); err != nil {
				return err
			}
			if len(c.Tokens) == 0 {
				return misused("serve has no tokens to keep fresh: list them in the config file, or add --name and --wechat-appid")
			}
			a.begun = true
			return a.serve(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "`HOST:PORT` of the HTTP API (default none)")
	return cmd
}

// serve runs until ctx ends.
func (a *app) serve(ctx context.Context, c *config.Config) error {
	s, err := a.open(c)
	if err != nil {
		return err
	}
	defer s.close()
	fleet, err := a.fleet(s)
	if err != nil {
		return err
	}
	var listener net.Listener
	if c.Listen != "" {
		if listener, err = net.Listen("tcp", c.Listen); err != nil {
			return listenError(c.Listen, err)
		}
	}
	a.announce(s, fleet, listener)

	group, running := errgroup.WithContext(ctx)
	for _, member := range fleet {
		group.Go(func() error { return member.Run(running) })
	}
	if listener != nil {
		a.listen(running, group, listener, c, fleet)
	}
	ended := make(chan error, 1)
	go func() {
		err := group.Wait()
		finish(ctx, fleet...) // what the last requests have begun
		ended <- err
	}()
	<-running.Done()
	a.log.Info("stopping", "reason", stopReason(ctx))
	select {
	case err := <-ended:
		if err == nil {
			a.log.Info("stopped")
		}
		return err
	case <-time.After(serveEnds):
		return fmt.Errorf("not everything has ended within %s: the next process finds out what became of it", serveEnds)
	}
}

func stopReason(ctx context.Context) string {
	if ctx.Err() != nil {
		return "signal"
	}
	return "failure"
}

// fleet makes the coordinators of all tokens.
func (a *app) fleet(s *session) ([]*coordinator.Coordinator, error) {
	var fleet []*coordinator.Coordinator
	for _, name := range s.cfg.Names() {
		source, err := s.source(name)
		if err != nil {
			return nil, err
		}
		c, err := s.coordinator(name, source, tokenWait, newEventLog(a.log, name, slog.LevelError).observe)
		if err != nil {
			return nil, err
		}
		fleet = append(fleet, c)
	}
	return fleet, nil
}

// announce writes the line that says what this process does.
func (a *app) announce(s *session, fleet []*coordinator.Coordinator, listener net.Listener) {
	names := s.cfg.Names()
	const enough = 10
	shown := strings.Join(names[:min(len(names), enough)], ",")
	if len(names) > enough {
		shown += ",..."
	}
	attrs := []any{"tokens", len(names), "names", shown, "store", s.url.String(), "instance", fleet[0].Instance()}
	if s.cfg.Fallback != "" {
		attrs = append(attrs, "fallback", s.cfg.Fallback)
	}
	if listener != nil {
		attrs = append(attrs, "listen", listener.Addr().String(), "clients", len(s.cfg.Clients))
	}
	a.log.Info("serving", attrs...)
}

// listen serves the HTTP API until ctx ends.
func (a *app) listen(ctx context.Context, group *errgroup.Group, listener net.Listener, c *config.Config, fleet []*coordinator.Coordinator) {
	credentials := make(map[string]httpapi.Credential)
	for _, member := range fleet {
		credentials[member.Name()] = member
	}
	server := httpapi.NewServer(httpapi.New(httpapi.Config{
		Credentials: credentials, Clients: c.Clients, Rejection: wechat.IsRejected, Wait: tokenWait, Log: a.log,
	}), a.log)
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("listen on %s: %w", c.Listen, err)
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

func listenError(address string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("cannot listen on %s (%s): choose another address with --listen", address, plain.Text(err))
}
