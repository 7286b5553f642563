package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/storeurl"
	"github.com/mintonce/mintonce/wechat"
)

// replicaVariable makes the test's binary a replica: a program that embeds
// mintonce, as users of the library write it. Its value is a replicaConfig.
const replicaVariable = "MINTONCE_INTEGRATION_REPLICA"

// replicaConfig is what a replica is told.
type replicaConfig struct {
	Instance    string
	Store       string
	Fallback    string
	API         string
	Calls       time.Duration // one API call in every such time; 0 makes none
	MinimumAge  time.Duration
	MintTimeout time.Duration
	Lease       time.Duration
	Gate        string // where it asks on its way through a mint; see gate_test.go
	Unrationed  bool   // mints as often as it is told, without budget and spacing
}

// unrationed is a source for tests that mint more in a minute than an operator
// in a month.
type unrationed struct{ wechat.ClassicToken }

func (u unrationed) Traits() coordinator.Traits {
	traits := u.ClassicToken.Traits()
	traits.DailyMints, traits.DailyRotations, traits.RotationSpacing = 0, 0, 0
	return traits
}

func newSource(cfg replicaConfig) coordinator.Source {
	config := wechat.Config{API: cfg.API}
	if cfg.Gate != "" {
		config.Dial = dialThroughGate(cfg.Gate, cfg.Instance)
	}
	classic := wechat.NewClassicToken(appID, os.Getenv("MINTONCE_WECHAT_SECRET"), config)
	if cfg.Unrationed {
		return unrationed{classic}
	}
	return classic
}

// replica embeds a coordinator and makes API calls through a
// wechat.Transport.
type replica struct {
	coordinator *coordinator.Coordinator
	client      *http.Client
	api         string

	mu      sync.Mutex
	seen    map[int64]string // the tokens, by generation
	highest int64            // generation that was served
	tally   tally
}

// tally is what became of the calls of one replica.
type tally struct {
	Calls   int
	Failed  int
	Back    int      // how often the generation that is served went back
	How     []string // the first failures
	Longest time.Duration
}

// callFailed and wentBack begin the lines that a replica prints of what must
// not happen, for whoever looks when it is dead.
const (
	callFailed = "call failed"
	wentBack   = "the generation went back"
)

// replicate is the main function of a replica.
func replicate(text string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	var cfg replicaConfig
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		log.Error("bad configuration", "error", err)
		return 2
	}
	r, err := newReplica(cfg, log)
	if err != nil {
		log.Error("cannot start", "error", err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Error("cannot listen", "error", err)
		return 1
	}
	go http.Serve(listener, r.control())
	fmt.Printf("listening on http://%s\n", listener.Addr())
	var calls sync.WaitGroup
	if cfg.Calls > 0 {
		calls.Go(func() { r.callSteadily(ctx, cfg.Calls) })
	}
	err = r.coordinator.Run(ctx)
	calls.Wait()
	if err != nil {
		log.Error("cannot go on", "error", err)
		return 1
	}
	return 0
}

func newReplica(cfg replicaConfig, log *slog.Logger) (*replica, error) {
	store, err := openStore(cfg.Store, log)
	if err != nil {
		return nil, err
	}
	config := coordinator.Config{
		Instance: cfg.Instance, MinimumAge: cfg.MinimumAge, MintTimeout: cfg.MintTimeout, Lease: cfg.Lease,
		Observer: func(e coordinator.Event) { log.Info("event", "event", e) },
	}
	if cfg.Fallback != "" {
		if config.Fallback, err = openStore(cfg.Fallback, log); err != nil {
			return nil, err
		}
	}
	c, err := coordinator.New("shop", newSource(cfg), store, config)
	if err != nil {
		return nil, err
	}
	transport := wechat.NewTransport(c, nil, cfg.API)
	return &replica{coordinator: c, client: &http.Client{Transport: transport}, api: cfg.API, seen: make(map[int64]string)}, nil
}

func openStore(text string, log *slog.Logger) (coordinator.Store, error) {
	u, err := storeurl.Parse(text)
	if err != nil {
		return nil, err
	}
	opened, err := u.Open(storeurl.Options{Warn: func(err error) { log.Warn("store", "error", err) }})
	return opened.Store, err
}

// control lets the test ask the replica for things.
func (r *replica) control() http.Handler {
	mux := http.NewServeMux()
	// wait bounds how long to wait for a token where there is none.
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, request *http.Request) {
		ctx := request.Context()
		if wait, err := time.ParseDuration(request.FormValue("wait")); err == nil {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, wait)
			defer cancel()
		}
		token, err := r.token(ctx)
		answer(w, map[string]any{"fingerprint": token.Fingerprint(), "generation": token.Generation}, err)
	})
	mux.HandleFunc("POST /report", func(w http.ResponseWriter, request *http.Request) {
		generation, err := strconv.ParseInt(request.FormValue("generation"), 10, 64)
		if err != nil { // the current one
			token, _ := r.token(request.Context())
			generation = token.Generation
		}
		times, _ := strconv.Atoi(request.FormValue("times"))
		verdicts, err := r.report(request.Context(), generation, times)
		answer(w, verdicts, err)
	})
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, request *http.Request) {
		token, err := r.coordinator.Rotate(request.Context())
		answer(w, map[string]any{"fingerprint": token.Fingerprint(), "generation": token.Generation}, err)
	})
	mux.HandleFunc("POST /drain", func(w http.ResponseWriter, request *http.Request) {
		answer(w, "drained", r.coordinator.Drain(request.Context()))
	})
	mux.HandleFunc("GET /tally", func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		answer(w, r.tally, nil)
	})
	return mux
}

func answer(w http.ResponseWriter, value any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	json.NewEncoder(w).Encode(value)
}

func (r *replica) token(ctx context.Context) (coordinator.Token, error) {
	token, err := r.coordinator.Token(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[token.Generation] = token.Value
	return token, err
}

// report reports the token of a generation, all times at once, and counts the
// verdicts.
func (r *replica) report(ctx context.Context, generation int64, times int) (map[string]int, error) {
	r.mu.Lock()
	value := r.seen[generation]
	r.mu.Unlock()
	var all sync.WaitGroup
	var mu sync.Mutex
	var failure error
	verdicts := make(map[string]int)
	for range times {
		all.Go(func() {
			verdict, err := r.coordinator.Reject(ctx, value, &coordinator.RejectedError{Code: 40001})
			mu.Lock()
			defer mu.Unlock()
			verdicts[string(verdict)]++
			if err != nil {
				failure = err
			}
		})
	}
	all.Wait()
	return verdicts, failure
}

// callSteadily makes API calls and counts what becomes of them.
func (r *replica) callSteadily(ctx context.Context, pause time.Duration) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for ctx.Err() == nil {
		began := time.Now()
		err := r.call()
		r.count(time.Since(began), err)
		r.watchGeneration(ctx)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// watchGeneration looks whether what is served goes back.
func (r *replica) watchGeneration(ctx context.Context) {
	token, err := r.coordinator.Token(ctx)
	if err != nil {
		return // the next call fails for the same reason, and is counted
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if token.Generation < r.highest {
		r.tally.Back++
		fmt.Printf("%s from %d to %d\n", wentBack, r.highest, token.Generation)
	}
	r.highest = max(r.highest, token.Generation)
}

func (r *replica) call() error {
	response, err := r.client.Get(r.api + "/cgi-bin/getcallbackip")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var body struct {
		ErrCode int `json:"errcode"`
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		return err
	}
	if body.ErrCode != 0 {
		return fmt.Errorf("errcode %d", body.ErrCode)
	}
	return nil
}

func (r *replica) count(took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tally.Calls++
	r.tally.Longest = max(r.tally.Longest, took)
	if err != nil {
		fmt.Printf("%s: %v\n", callFailed, err)
		if r.tally.Failed++; r.tally.Failed <= 5 {
			r.tally.How = append(r.tally.How, err.Error())
		}
	}
}
