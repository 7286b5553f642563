package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// single returns options that fit, with a change.
func single(change func(*redis.Options)) redis.UniversalClient {
	o := &redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1, ReadTimeout: time.Second, DialerRetries: 1}
	change(o)
	return redis.NewClient(o)
}

func cluster(change func(*redis.ClusterOptions)) redis.UniversalClient {
	o := &redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, ContextTimeoutEnabled: true, MaxRetries: -1, ReadTimeout: time.Second}
	change(o)
	return redis.NewClusterClient(o)
}

func TestCheckClient(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		client redis.UniversalClient
		unsafe string // option that makes the store refuse it
		warned string // option that is warned of
	}{
		{"fits", single(func(*redis.Options) {}), "", ""},
		{"cluster fits", cluster(func(*redis.ClusterOptions) {}), "", ""},
		{"context", single(func(o *redis.Options) { o.ContextTimeoutEnabled = false }), "ContextTimeoutEnabled", ""},
		{"cluster context", cluster(func(o *redis.ClusterOptions) { o.ContextTimeoutEnabled = false }), "ContextTimeoutEnabled", ""},
		{"retries by default", single(func(o *redis.Options) { o.MaxRetries = 0 }), "", "MaxRetries"},
		{"retries", single(func(o *redis.Options) { o.MaxRetries = 1 }), "", "MaxRetries"},
		{"longest read", single(func(o *redis.Options) { o.ReadTimeout = 3 * time.Second }), "", ""},
		{"long read", single(func(o *redis.Options) { o.ReadTimeout = 3*time.Second + 1 }), "", "ReadTimeout"},
		{"read by default", single(func(o *redis.Options) { o.ReadTimeout = 0 }), "", "ReadTimeout"},
		{"endless read", single(func(o *redis.Options) { o.ReadTimeout = -1 }), "", "ReadTimeout"},
		{"no read deadlines", single(func(o *redis.Options) { o.ReadTimeout = -2 }), "", "ReadTimeout"},
		{"cache", single(func(o *redis.Options) { o.ClientSideCacheConfig = &redis.ClientSideCacheConfig{} }), "", "ClientSideCache"},
		{"read only", cluster(func(o *redis.ClusterOptions) { o.ReadOnly = true }), "ReadOnly", ""},
		{"by latency", cluster(func(o *redis.ClusterOptions) { o.RouteByLatency = true }), "RouteByLatency", ""},
		{"randomly", cluster(func(o *redis.ClusterOptions) { o.RouteRandomly = true }), "RouteRandomly", ""},
		{"ring", redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}}), "not supported", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Cleanup(func() { test.client.Close() })
			err := redisstore.CheckClient(test.client)
			option := test.unsafe + test.warned
			var problem *redisstore.OptionError
			switch {
			case option == "":
				if err != nil {
					t.Fatalf("CheckClient: %v", err)
				}
			case !errors.As(err, &problem), !strings.Contains(err.Error(), option), strings.Contains(err.Error(), "\n"):
				t.Fatalf("CheckClient: %v, want one *OptionError about %s", err, option)
			case problem.Unsafe != (test.unsafe != ""), problem.Remedy == "":
				t.Errorf("CheckClient: %+v", problem)
			}
			var warnings []string
			s := redisstore.New(test.client, redisstore.Config{Warn: func(err error) { warnings = append(warnings, err.Error()) }})
			if test.warned == "" && len(warnings) > 0 || test.warned != "" && (len(warnings) != 1 || !strings.Contains(warnings[0], test.warned)) {
				t.Errorf("New warns %q, want only of %q", warnings, test.warned)
			}
			_, _, err = s.Load(t.Context(), "shop") // there is no server
			if refused := errors.As(err, &problem); refused != (test.unsafe != "") {
				t.Errorf("Load: %v; refused: %t", err, refused)
			}
			if test.unsafe != "" {
				_, lock := s.Lock(t.Context(), "shop", "me", time.Second)
				_, inspect := s.Inspect(t.Context())
				if !errors.As(lock, &problem) || !errors.As(inspect, &problem) {
					t.Errorf("Lock: %v, Inspect: %v", lock, inspect)
				}
				s.Watch("shop", func() { t.Error("a hint from a refused client") })()
			}
		})
	}
}

func TestCheckClientTellsAll(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{})
	defer client.Close()
	err := redisstore.CheckClient(client)
	for _, option := range []string{"ContextTimeoutEnabled", "MaxRetries", "ReadTimeout"} {
		if !strings.Contains(fmt.Sprint(err), option) {
			t.Errorf("CheckClient of go-redis's defaults says nothing of %s: %v", option, err)
		}
	}
}

func TestOpenFits(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"redis://h", "rediss://h", "redis+cluster://h:1,i:2", "redis+sentinel://h/m"} {
		client := dial(t, url)
		if err := redisstore.CheckClient(client); err != nil {
			t.Errorf("Open(%q) makes a client that does not fit: %v", url, err)
		}
	}
}

// startCluster starts a cluster of one node, which refuses commands whose keys
// are in several slots as any other does.
func startCluster(t *testing.T) *redistest.Server {
	t.Helper()
	server := redistest.Start(t, "--cluster-enabled", "yes")
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	if err := client.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	for !strings.Contains(client.ClusterInfo(ctx).Val(), "cluster_state:ok") {
		if ctx.Err() != nil {
			t.Fatal("the cluster does not come up")
		}
		time.Sleep(10 * time.Millisecond) // no signal comes from Redis
	}
	return server
}

func TestConformanceCluster(t *testing.T) {
	t.Parallel()
	server := startCluster(t)
	url := "redis+cluster://" + server.Addr()
	t.Run("group", func(t *testing.T) { // ends after its parallel subtests
		prefixes := make(chan string, 100)
		for i := range cap(prefixes) {
			prefixes <- fmt.Sprint("check", i)
		}
		storetest.Run(t, func(testing.TB) storetest.Fixture { return fixtureWith(url, <-prefixes) })
	})
	h, err := open(t, url, redisstore.Config{}).Inspect(t.Context())
	if err != nil || h.Mode != "cluster" {
		t.Errorf("Inspect: %+v, %v", h, err)
	}
}

// TestKeysOfOneSlot: all keys of a credential are in one slot, whatever prefix
// and name are.
func TestKeysOfOneSlot(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t, "--cluster-enabled", "yes").URL())
	for _, record := range []string{"mintonce:{shop}", "a:b.c-d_e:{..x}", "p:{" + strings.Repeat("n", 64) + "}"} {
		slots := make(map[int64]bool)
		for _, suffix := range []string{"", ":lock", ":history"} {
			slots[client.ClusterKeySlot(t.Context(), record+suffix).Val()] = true
		}
		if len(slots) != 1 || slots[0] {
			t.Errorf("the keys of %s are in the slots %v", record, slots)
		}
	}
}

// TestClusterWithoutClusterClient: the error says what to do.
func TestClusterWithoutClusterClient(t *testing.T) {
	t.Parallel()
	s := open(t, startCluster(t).URL(), redisstore.Config{})
	_, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, child(coordinator.Record{}), coordinator.Event{Kind: coordinator.EventMinted})
	if err == nil || !strings.Contains(err.Error(), "redis+cluster") {
		t.Errorf("Swap on a cluster without a cluster client: %v", err)
	}
}

// TestExplain: what goes wrong with a server is told in one line, with a
// remedy and without the password.
func TestExplain(t *testing.T) {
	t.Parallel()
	const password = "hunter2-PASSWORD"
	server := redistest.Start(t, "--requirepass", password)
	admin := dial(t, "redis://:"+password+"@"+server.Addr())
	acl := func(user string, rules ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), append([]any{"ACL", "SETUSER", user, "on", ">" + password}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	acl("noeval", "~*", "+@all", "-evalsha")
	acl("noxadd", "~*", "+@all", "-xadd")
	acl("nokeys", "~other:*", "+@all")
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 1")
	plain := redistest.Start(t)

	tests := []struct{ name, url, want string }{
		{"unreachable", "redis://127.0.0.1:1", "cannot be reached at 127.0.0.1:1"},
		{"no such host", "redis://host.invalid", "cannot be reached at"},
		{"no password", server.URL(), "asks for a password"},
		{"wrong password", "redis://:wrong-" + password + "@" + server.Addr(), "refuses the user or password"},
		{"wrong user", "redis://nobody:" + password + "@" + server.Addr(), "refuses the user or password"},
		{"command", "redis://noeval:" + password + "@" + server.Addr(), "may not run the command EVALSHA"},
		{"command in script", "redis://noxadd:" + password + "@" + server.Addr(), "may not run one of the commands of a script"},
		{"key", "redis://nokeys:" + password + "@" + server.Addr(), "may not use a key"},
		{"replica", replica.URL(), "is a replica"},
		{"database", "redis://" + plain.Addr() + "/99", "database number"},
		{"no sentinel", "redis+sentinel://:" + password + "@127.0.0.1:1/main", "127.0.0.1:1"},
		{"no cluster", "redis+cluster://:" + password + "@127.0.0.1:1", "127.0.0.1:1"},
		{"not a cluster", "redis+cluster://" + plain.Addr(), "without +cluster"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), generous)
			defer cancel()
			s := open(t, test.url, redisstore.Config{})
			_, err := s.Swap(ctx, "shop", coordinator.Stamp{}, child(coordinator.Record{}), coordinator.Event{Kind: coordinator.EventMinted})
			var told *redisstore.Error
			if !errors.As(err, &told) || !strings.Contains(told.Error(), test.want) || told.Remedy == "" {
				t.Fatalf("Swap: %v; want an *Error with a remedy and %q", err, test.want)
			}
			for cause := err; cause != nil; cause = errors.Unwrap(cause) {
				text := fmt.Sprintf("%v %+v", cause, cause)
				if strings.Contains(text, password) || strings.Contains(text, secret) || strings.Contains(cause.Error(), "\n") {
					t.Errorf("an error shows a secret, or has several lines: %s", text)
				}
			}
		})
	}
}

// TestExplainUnansweredCall: time-outs of all kinds are told as such, and can
// be matched.
func TestExplainUnansweredCall(t *testing.T) {
	t.Parallel()
	far, _, proxy, _ := behindProxy(t)
	proxy.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, _, err := far.Load(ctx, "shop")
	var timeout net.Error
	if err == nil || !strings.Contains(err.Error(), "no answer in time") || !errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &timeout) {
		t.Errorf("Load from a store that hangs: %v", err)
	}
	_, _, err = far.Load(t.Context(), "shop") // ends by itself
	if err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("Load without a deadline from a store that hangs: %v", err)
	}
}

// TestExplainForeignServer: whatever else answers, its words are kept short,
// and what Redis quotes of a request is left out.
func TestExplainForeignServer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for request := make([]byte, 4096); ; {
					if _, err := conn.Read(request); err != nil {
						return
					}
					fmt.Fprintf(conn, "-ERR odd command 'evalsha', with args beginning with: '%s'\r\n", secret)
				}
			}()
		}
	}()
	s := open(t, "redis://"+listener.Addr().String(), redisstore.Config{})
	_, _, err = s.Load(t.Context(), "shop")
	if err == nil || !strings.Contains(err.Error(), "odd command") || strings.Contains(fmt.Sprint(err, errors.Unwrap(err)), secret) {
		t.Errorf("Load from a foreign server: %v", err)
	}
	if redisstore.Explain(nil) != nil {
		t.Error("Explain(nil) is an error")
	}
	if again := redisstore.Explain(err); again != err {
		t.Errorf("Explain changed %v to %v", err, again)
	}
}
