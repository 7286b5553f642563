package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// source mints a token after a fifth of a second, or fails.
type source struct {
	fail  atomic.Pointer[error]
	count atomic.Int64
}

func (s *source) Mint(context.Context, coordinator.Token) (coordinator.Token, error) {
	time.Sleep(200 * time.Millisecond)
	if err := s.fail.Load(); err != nil && *err != nil {
		return coordinator.Token{}, *err
	}
	return coordinator.NewToken(fmt.Sprintf("secret-token-%d", s.count.Add(1)), time.Now().Add(2*time.Hour)), nil
}

func (s *source) Traits() coordinator.Traits {
	return coordinator.Traits{Credential: "test:1", Overlap: 5 * time.Minute, DailyMints: 10}
}

// world is one coordinator that everything is measured of.
type world struct {
	*testing.T
	m        *metrics.Metrics
	registry *prometheus.Registry
	source   source
	tokens   *metrics.Counted
}

func inBubble(t *testing.T, run func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, m: metrics.New(metrics.Config{}), registry: prometheus.NewPedanticRegistry()}
		w.registry.MustRegister(w.m)
		c, err := coordinator.New("shop", &w.source, w.m.Store(storetest.NewMemory()), coordinator.Config{Instance: "me", Observer: w.m.Observe})
		if err != nil {
			t.Fatal(err)
		}
		w.m.Follow(c)
		w.tokens = w.m.Count(c)
		run(w)
	})
}

// want compares the metrics that are named with what they must be.
func (w *world) want(text string, names ...string) {
	w.Helper()
	synctest.Wait() // an event is told when the token is already served
	if err := testutil.GatherAndCompare(w.registry, strings.NewReader(text), names...); err != nil {
		w.Error(err)
	}
}

func (w *world) token() coordinator.Token {
	w.Helper()
	token, err := w.tokens.Token(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return token
}

func TestAMintIsCounted(t *testing.T) {
	inBubble(t, func(w *world) {
		w.want(`
# HELP mintonce_tokens Tokens that this process keeps, by state.
# TYPE mintonce_tokens gauge
mintonce_tokens{state="doubted"} 0
mintonce_tokens{state="expired"} 0
mintonce_tokens{state="failing"} 0
mintonce_tokens{state="live"} 0
mintonce_tokens{state="minting"} 0
mintonce_tokens{state="missing"} 1
`, "mintonce_tokens")
		w.token()
		w.token()
		w.want(`
# HELP mintonce_mints_total Mints by this process: why, and what came of them.
# TYPE mintonce_mints_total counter
mintonce_mints_total{outcome="minted",reason="no token",token="shop"} 1
# HELP mintonce_token_calls_total Calls for a token: served locally, after waiting, or not at all.
# TYPE mintonce_token_calls_total counter
mintonce_token_calls_total{served="after waiting",token="shop"} 1
mintonce_token_calls_total{served="locally",token="shop"} 1
mintonce_token_calls_total{served="not at all",token="shop"} 0
# HELP mintonce_locks_total Attempts to take the lock of a token: taken, held by another process, or in error.
# TYPE mintonce_locks_total counter
mintonce_locks_total{outcome="taken"} 1
# HELP mintonce_token_generation The token's generation, which grows by one with each new token.
# TYPE mintonce_token_generation gauge
mintonce_token_generation{token="shop"} 1
# HELP mintonce_token_seconds_left Seconds until the token ends; 0 if there is none that may be served.
# TYPE mintonce_token_seconds_left gauge
mintonce_token_seconds_left{token="shop"} 7200
# HELP mintonce_least_seconds_left Seconds until the first of the tokens of this process ends; 0 if one has ended or is missing.
# TYPE mintonce_least_seconds_left gauge
mintonce_least_seconds_left 7200
# HELP mintonce_token_budget_left What is left of the daily budget of mints, and of forced rotations; only where there is a limit.
# TYPE mintonce_token_budget_left gauge
mintonce_token_budget_left{of="mints",token="shop"} 9
`, "mintonce_mints_total", "mintonce_token_calls_total", "mintonce_locks_total", "mintonce_token_generation", "mintonce_token_seconds_left",
			"mintonce_least_seconds_left", "mintonce_token_budget_left")
	})
}

// TestARefusedMintIsNoMint: the gauge of failures and the class tell who has to
// do something.
func TestARefusedMintIsNoMint(t *testing.T) {
	inBubble(t, func(w *world) {
		var refusal error = &coordinator.SourceError{Class: coordinator.Operator, Message: "this IP is not on the whitelist", Refused: true}
		w.source.fail.Store(&refusal)
		if _, err := w.tokens.Token(w.Context()); err == nil {
			t.Fatal("a token without a mint")
		}
		w.want(`
# HELP mintonce_mint_failures_total Mints by this process that brought no token, by who can mend it.
# TYPE mintonce_mint_failures_total counter
mintonce_mint_failures_total{class="operator",token="shop"} 1
# HELP mintonce_mints_total Mints by this process: why, and what came of them.
# TYPE mintonce_mints_total counter
mintonce_mints_total{outcome="refused",reason="no token",token="shop"} 1
# HELP mintonce_token_calls_total Calls for a token: served locally, after waiting, or not at all.
# TYPE mintonce_token_calls_total counter
mintonce_token_calls_total{served="after waiting",token="shop"} 0
mintonce_token_calls_total{served="locally",token="shop"} 0
mintonce_token_calls_total{served="not at all",token="shop"} 1
# HELP mintonce_token_failures Failed mints in a row, by any process, since the last that succeeded.
# TYPE mintonce_token_failures gauge
mintonce_token_failures{token="shop"} 1
`, "mintonce_mint_failures_total", "mintonce_mints_total", "mintonce_token_calls_total", "mintonce_token_failures")
	})
}

// TestReportsByVerdict: a report that changes nothing is counted as such, the
// late ones that are answered from memory too.
func TestReportsByVerdict(t *testing.T) {
	inBubble(t, func(w *world) {
		old := w.token().Value
		time.Sleep(time.Minute)
		for range 3 { // the first acts, the others are late
			if err := w.tokens.Report(w.Context(), old, errors.New("rejected")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.tokens.Reject(w.Context(), w.token().Value, nil); err != nil {
			t.Fatal(err)
		}
		w.want(`
# HELP mintonce_reports_total Reports of rejected tokens, by verdict. Only those that acted lead to a mint.
# TYPE mintonce_reports_total counter
mintonce_reports_total{token="shop",verdict="acted"} 1
mintonce_reports_total{token="shop",verdict="late"} 2
mintonce_reports_total{token="shop",verdict="too young"} 1
# HELP mintonce_mints_total Mints by this process: why, and what came of them.
# TYPE mintonce_mints_total counter
mintonce_mints_total{outcome="minted",reason="doubt",token="shop"} 1
mintonce_mints_total{outcome="minted",reason="no token",token="shop"} 1
`, "mintonce_reports_total", "mintonce_mints_total")
	})
}

// TestAForeignMinterShows: a rejection that no mint of ours explains is a
// suspicion, the second names a foreign minter.
func TestAForeignMinterShows(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, want := range []string{"0", "0.5", "1"} {
			value := w.token().Value
			w.want(`
# HELP mintonce_token_foreign_minter 1 while somebody else seems to mint with the credential, 0.5 while that is no more than suspected.
# TYPE mintonce_token_foreign_minter gauge
mintonce_token_foreign_minter{token="shop"} `+want+"\n", "mintonce_token_foreign_minter")
			time.Sleep(2 * time.Minute)
			if err := w.tokens.Report(w.Context(), value, errors.New("rejected")); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestNoTokenInAnyMetric: neither a token nor its fingerprint.
func TestNoTokenInAnyMetric(t *testing.T) {
	inBubble(t, func(w *world) {
		value := w.token().Value
		families, err := w.registry.Gather()
		if err != nil || len(families) < 10 {
			t.Fatalf("%d metrics, %v", len(families), err)
		}
		for _, family := range families {
			text := family.String()
			for _, secret := range []string{value, "secret-token", coordinator.Fingerprint(value)} {
				if strings.Contains(text, secret) {
					t.Errorf("%s holds %q", family.GetName(), secret)
				}
			}
		}
	})
}

// TestSeriesAreBounded: beyond Detail, tokens share series, and one that is
// forgotten makes room.
func TestSeriesAreBounded(t *testing.T) {
	m := metrics.New(metrics.Config{Detail: 2})
	for i := range 1000 {
		m.Observe(coordinator.Event{Kind: coordinator.EventRestored, Name: fmt.Sprint("t", i)})
	}
	const head = `
# HELP mintonce_events_total Events of each kind, as in the history and the log.
# TYPE mintonce_events_total counter
`
	compare := func(want string) {
		t.Helper()
		if err := testutil.CollectAndCompare(m, strings.NewReader(head+want), "mintonce_events_total"); err != nil {
			t.Error(err)
		}
	}
	compare(`mintonce_events_total{event="restored",token="all others"} 998
mintonce_events_total{event="restored",token="t0"} 1
mintonce_events_total{event="restored",token="t1"} 1
`)
	m.Forget("t0")
	m.Observe(coordinator.Event{Kind: coordinator.EventRestored, Name: "t5"})
	compare(`mintonce_events_total{event="restored",token="all others"} 998
mintonce_events_total{event="restored",token="t1"} 1
mintonce_events_total{event="restored",token="t5"} 1
`)
}

// TestStoreTrouble: a verdict of the store, such as a conflict, is no error.
func TestStoreTrouble(t *testing.T) {
	m := metrics.New(metrics.Config{})
	broken := &broken{Store: storetest.NewMemory()}
	store, ctx := m.Store(broken), context.Background()
	for _, err := range []error{nil, coordinator.ErrConflict, errors.New("connection refused")} {
		broken.err = err
		if _, err := store.Swap(ctx, "shop", coordinator.Stamp{}, coordinator.Record{}); err != broken.err {
			t.Errorf("the store says %v, through the metrics %v", broken.err, err)
		}
	}
	broken.err = &coordinator.LockedError{Holder: "somebody"}
	_, _ = store.Lock(ctx, "shop", "me", time.Second)
	want := `
# HELP mintonce_locks_total Attempts to take the lock of a token: taken, held by another process, or in error.
# TYPE mintonce_locks_total counter
mintonce_locks_total{outcome="held"} 1
# HELP mintonce_store_errors_total Operations that the store did not answer, or refused. A conflict or a held lock is none.
# TYPE mintonce_store_errors_total counter
mintonce_store_errors_total{operation="lock"} 0
mintonce_store_errors_total{operation="swap"} 1
`
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), "mintonce_locks_total", "mintonce_store_errors_total"); err != nil {
		t.Error(err)
	}
}

// broken answers with an error.
type broken struct {
	coordinator.Store
	err error
}

func (b *broken) Swap(context.Context, string, coordinator.Stamp, coordinator.Record, ...coordinator.Event) (time.Time, error) {
	return time.Time{}, b.err
}

func (b *broken) Lock(context.Context, string, string, time.Duration) (coordinator.Lease, error) {
	return nil, b.err
}

// TestConformance: a store that is measured is a store as before, with all
// that it can do.
func TestConformance(t *testing.T) {
	storetest.RunWithin(t, synctest.Test, func(testing.TB) storetest.Fixture {
		memory := storetest.NewMemory()
		store := metrics.New(metrics.Config{}).Store(memory)
		return storetest.Fixture{
			Open:     func(testing.TB) coordinator.Store { return store },
			WriteRaw: func(_ testing.TB, name string, fields map[string]string) { memory.WriteRaw(name, fields) },
			Flush:    func(testing.TB) { memory.Flush() },
			DropLock: func(_ testing.TB, name string) { memory.DropLock(name) },
		}
	})
}
