package doctor_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/doctor"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/internal/storeurl"
	"github.com/redis/go-redis/v9"
)

// wantLines: each line begins as wanted, and Failed counts those that fail.
func wantLines(t *testing.T, r *doctor.Report, got string, want ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	for _, begin := range want {
		found := false
		for _, line := range lines {
			found = found || strings.HasPrefix(line, begin)
		}
		if !found {
			t.Errorf("no line begins with %q:\n%s", begin, got)
		}
	}
	failed := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "fail ") {
			failed++
		}
	}
	if r.Failed() != failed {
		t.Errorf("Failed is %d, want %d:\n%s", r.Failed(), failed, got)
	}
}

func open(t *testing.T, text, password string) (storeurl.URL, storeurl.Opened) {
	t.Helper()
	u, err := storeurl.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	store, err := u.Open(storeurl.Options{Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return u, store
}

func TestStoreOnRedis(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		usable bool
		want   []string
	}{
		{"as it should be", []string{"--appendonly", "yes"}, true, []string{
			"ok    store ", "ok    eviction     maxmemory-policy is noeviction", "ok    persistence  appendonly is on", "ok    latency ", "ok    clock ", "ok    writes ", "ok    news ",
		}},
		{"evicting", []string{"--maxmemory-policy", "allkeys-lru"}, true, []string{
			"warn  eviction     maxmemory-policy is allkeys-lru: records may be evicted when memory is full: set it to noeviction", "warn  persistence  appendonly is off", "ok    writes ",
		}},
		{"evicting locks", []string{"--maxmemory-policy", "volatile-ttl"}, true, []string{"warn  eviction     maxmemory-policy is volatile-ttl: locks may be evicted"}},
		{"a replica of nobody", []string{"--replicaof", "127.0.0.1 1"}, false, []string{"fail  store        this server is a replica: use the address of the primary"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := redistest.Start(t, test.args...)
			u, store := open(t, server.URL(), "")
			var out strings.Builder
			report := doctor.NewReport(&out)
			if usable := report.Store(t.Context(), u, store); usable != test.usable {
				t.Errorf("usable is %v", usable)
			}
			wantLines(t, report, out.String(), test.want...)
		})
	}
}

// TestStoreWithoutRights: what a user may not do is found by trying.
func TestStoreWithoutRights(t *testing.T) {
	server := redistest.Start(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer admin.Close()
	for _, test := range []struct {
		rights string
		want   []string
	}{
		{"~mintonce:* +@all -hset", []string{"fail  writes       swap mintonce.doctor: the Redis user may not run"}},
		{"~other:* +@all", []string{"fail  writes       lock mintonce.doctor: the Redis user may not use a key of the store"}},
		{"~mintonce:* +@all -info -xread", []string{"warn  store        inspect: the Redis user may not run the command INFO", "ok    writes ", "warn  news "}},
	} {
		t.Run(test.rights, func(t *testing.T) {
			set := []any{"acl", "setuser", "limited", "reset", "on", ">pw"}
			for _, right := range strings.Fields(test.rights) {
				set = append(set, right)
			}
			if err := admin.Do(t.Context(), set...).Err(); err != nil {
				t.Fatal(err)
			}
			u, store := open(t, "redis://limited@"+server.Addr(), "pw")
			var out strings.Builder
			report := doctor.NewReport(&out)
			report.Store(t.Context(), u, store)
			wantLines(t, report, out.String(), test.want...)
		})
	}
}

func TestStoreAway(t *testing.T) {
	u, store := open(t, "redis://127.0.0.1:1/0", "")
	var out strings.Builder
	report := doctor.NewReport(&out)
	if report.Store(t.Context(), u, store) {
		t.Error("it is usable")
	}
	wantLines(t, report, out.String(), "fail  store        inspect: Redis cannot be reached at 127.0.0.1:1")
}

func TestRecord(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when bubbles begin
	traits := coordinator.Traits{Credential: "wechat:wx1#aa", DailyMints: 10}
	record := func(change func(*coordinator.Record)) coordinator.Record {
		r := coordinator.Record{}.Child(coordinator.NewStamp(coordinator.Record{}, now))
		r.Credential = traits.Credential
		r.Grant = coordinator.Grant{Value: "token-value", Generation: 3, IssuedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Hour)}
		r.RefreshAt = now.Add(30 * time.Minute)
		r.CommittedAt = r.Revision()
		change(&r)
		return r
	}
	failing := coordinator.Failure{Count: 1, At: now, Message: "the AppSecret is wrong", Credential: traits.Credential, RetryAfter: now.Add(time.Minute)}
	tests := []struct {
		name   string
		change func(*coordinator.Record)
		want   string
	}{
		{"live", func(*coordinator.Record) {}, "ok    token shop   live, generation 3, valid for 59m59s; refresh in "},
		{"of another secret", func(r *coordinator.Record) { r.Credential = "wechat:wx1#bb" }, `fail  token shop   the record "shop" belongs to credential wechat:wx1#bb`},
		{"failing", func(r *coordinator.Record) { r.Failure = failing }, "warn  token shop   failing, generation 3, valid for 59m59s: the last mint failed: the AppSecret is wrong"},
		{"failed", func(r *coordinator.Record) { r.Failure, r.Grant.ExpiresAt = failing, now.Add(-time.Second) }, "fail  token shop   expired, no usable token: the last mint failed"},
		{"not on the whitelist", func(r *coordinator.Record) {
			r.Failure = failing
			r.Failure.Code, r.Failure.Message = 40164, "the address 203.0.113.7 is not on the IP whitelist (code 40164): add 203.0.113.7 to the account's IP whitelist in WeChat's console"
		}, "warn  token shop   failing, generation 3, valid for 59m59s: the last mint failed: the address 203.0.113.7 is not on the IP whitelist (code 40164): add 203.0.113.7 to"},
		{"expired", func(r *coordinator.Record) { r.Grant.ExpiresAt = now.Add(-time.Second) }, "warn  token shop   expired, no usable token: run mintonce serve"},
		{"doubted", func(r *coordinator.Record) { r.DoubtAt, r.DoubtReason = r.Revision(), "mints overlapped" }, "warn  token shop   doubted, generation 3, valid for 59m59s, in doubt (mints overlapped)"},
		{"costly", func(r *coordinator.Record) {
			r.Budget = coordinator.Budget{Day: now.Format(time.DateOnly), Mints: 6}
		}, "warn  token shop   6 of the 10 mints of the day are spent"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Millisecond)
				_, store := open(t, "file:"+t.TempDir(), "")
				if _, err := store.Swap(t.Context(), "shop", coordinator.Stamp{}, record(test.change)); err != nil {
					t.Fatal(err)
				}
				var out strings.Builder
				report := doctor.NewReport(&out)
				report.Record(t.Context(), "shop", store.Store, traits)
				wantLines(t, report, out.String(), test.want)
				if strings.Contains(out.String(), "token-value") {
					t.Errorf("it holds the token: %s", out.String())
				}
			})
		})
	}
}

func TestProvider(t *testing.T) {
	answer := func(status int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/cgi-bin/getcallbackip" || r.URL.RawQuery != "" {
				t.Errorf("asked for %s", r.URL)
			}
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(status)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	for base, want := range map[string]string{
		answer(200):          "ok    provider     http://127.0.0.1:",
		answer(502):          "warn  provider     http://127.0.0.1:",
		answer(302):          "warn  provider     http://127.0.0.1:",
		"http://127.0.0.1:1": "fail  provider     http://127.0.0.1:1 cannot be reached (connect: connection refused): check the network",
		"http://%":           "fail  provider     its URL cannot be used",
	} {
		var out strings.Builder
		report := doctor.NewReport(&out)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		report.Provider(ctx, base)
		cancel()
		wantLines(t, report, out.String(), want)
	}
}
