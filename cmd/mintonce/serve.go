package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/footprint"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

const (
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
/v1/tokens/NAME/report and .../rotate, GET /v1/status, /v1/overview,
/v1/events, /metrics, /healthz and /readyz; and a dashboard for people at /.
It answers as WeChat does, too, at GET /cgi-bin/token, POST
/cgi-bin/stable_token and GET /cgi-bin/ticket/getticket: an SDK in any
language changes its host, sends a client's key as its AppSecret, and mints no
more.
On a loopback address and on a Unix socket no key is needed unless the config
file lists clients; any other address needs them. With tls in the config file
it speaks TLS.

SIGHUP, or a change of the config file, of a token file, of a secret or of a
certificate: it reads the config again, and adds, removes and changes tokens
and clients. A config with a mistake, or half of a certificate, is refused, and
what was in use before stays in use.

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
			load := func(before *config.Config) (*config.Config, error) {
				c, err := a.settingsAgain("", before)
				if err == nil {
					a.override(c, "listen", "listen", &listen, &c.Listen)
				}
				return c, err
			}
			c, err := load(nil)
			if err != nil {
				return err
			}
			if err := a.ready(c, slog.LevelInfo); err != nil {
				return err
			}
			if len(c.Tokens) == 0 && len(c.Refused) == 0 {
				return misused("serve has no tokens to keep fresh: list them in the config file, or add --name and --wechat-appid")
			}
			a.begun = true
			return a.serve(cmd.Context(), c, load)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "`ADDRESS` of the HTTP API: HOST:PORT or unix:PATH\n(default none)")
	return cmd
}

// serve runs until ctx ends.
func (a *app) serve(ctx context.Context, c *config.Config, load loader) error {
	s, err := a.open(c, slog.LevelWarn)
	if err != nil {
		return err
	}
	defer s.close()
	fleet, err := a.firstFleet(ctx, s)
	if err != nil {
		return err
	}
	endpoint, err := a.openEndpoint(ctx, c)
	if err != nil {
		return err
	}
	follow := func(context.Context) {} // without a config file, nothing changes
	if a.flags.config != "" {
		reloader := newReloader(fleet, endpoint, a.flags.config, load)
		defer reloader.close()
		follow = reloader.run
	}
	a.announce(s, fleet, endpoint)
	settle := footprint.Bound(len(fleet.known))

	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		follow(running)
		return nil
	})
	group.Go(func() error { return fleet.group.Run(running) })
	group.Go(func() error {
		settle(running)
		return nil
	})
	if endpoint != nil {
		a.answer(running, group, endpoint, fleet)
	}
	ended := make(chan error, 1)
	go func() {
		err := group.Wait()
		fleet.finish(ctx) // what the last requests have begun
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

// firstFleet is the fleet of the config that serve starts with.
func (a *app) firstFleet(ctx context.Context, s *session) (*fleet, error) {
	f, err := a.newFleet(s)
	if err != nil {
		return nil, err
	}
	d, err := f.compare(s.cfg)
	if err != nil {
		return nil, err
	}
	if len(d.known) == 0 {
		return nil, d.problems[0] // there is a reason why none of the tokens is left
	}
	f.complain(d)
	return f, f.apply(ctx, s.cfg, d)
}

func stopReason(ctx context.Context) string {
	if ctx.Err() != nil {
		return "signal"
	}
	return "failure"
}

// announce writes the line that says what this process does.
func (a *app) announce(s *session, f *fleet, e *endpoint) {
	names := slices.Sorted(maps.Keys(f.known))
	shown := strings.Join(names[:min(len(names), enough)], ",")
	if len(names) > enough {
		shown += ",..."
	}
	attrs := []any{"tokens", len(names), "names", shown, "store", s.url.String(), "instance", f.instance()}
	if s.cfg.Fallback != "" {
		attrs = append(attrs, "fallback", s.cfg.Fallback)
	}
	if e != nil {
		attrs = append(attrs, e.attrs(s.cfg)...)
	}
	a.log.Info("serving", attrs...)
}
