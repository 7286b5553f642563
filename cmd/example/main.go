// Command example is a small app as it would embed mintonce: any number of
// replicas of it share one WeChat token in Redis, and none of them mints if a
// refresher runs beside them. docker-compose.yml starts three.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/mintonce/mintonce/wechat"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("example ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	api := env("WECHAT_API", "http://127.0.0.1:8421")
	redisClient, err := redisstore.Open(env("STORE", "redis://127.0.0.1:6379/0"))
	if err != nil {
		return err
	}
	defer redisClient.Close()

	// A reader has no secret and never mints: the refresher does.
	store := redisstore.New(redisClient, redisstore.Config{})
	tokens, err := coordinator.New("shop", nil, store, coordinator.Config{NeverMint: true})
	if err != nil {
		return err
	}
	client := &http.Client{Transport: wechat.NewTransport(tokens, nil, api), Timeout: 10 * time.Second}

	server := &http.Server{
		Addr: env("LISTEN", "127.0.0.1:8430"), Handler: callWeChat(client, tokens, api),
		ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.ListenAndServe() }()
	slog.Info("example listens", "address", server.Addr, "instance", tokens.Instance())

	followed := make(chan error, 1)
	go func() { followed <- tokens.Run(ctx) }()
	select {
	case err = <-stopped:
	case <-ctx.Done():
		err = server.Shutdown(context.WithoutCancel(ctx))
	}
	return errors.Join(err, <-followed)
}

// callWeChat answers with what one call of the provider's API says.
func callWeChat(client *http.Client, tokens *coordinator.Coordinator, api string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, api+"/cgi-bin/get_api_domain_ip", nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		response, err := client.Do(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		token, _ := tokens.Token(r.Context())
		fmt.Fprintf(w, "%s used %v\n", tokens.Instance(), token)
		io.Copy(w, io.LimitReader(response.Body, 1<<20))
	}
}

func env(name, standard string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return standard
}
