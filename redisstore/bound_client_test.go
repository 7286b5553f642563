package redisstore_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// foreign listens where Redis should be and gives the same answer to
// everything. It greets as Redis does, unless it is no Redis at all.
func foreign(t testing.TB, answer string, greets bool) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	serve := func(conn net.Conn) {
		defer conn.Close()
		lines := bufio.NewReader(conn)
		for greeted := !greets; ; greeted = true {
			if readCommand(lines) != nil {
				return
			}
			reply := answer
			if !greeted {
				reply = "%1\r\n+proto\r\n:3\r\n"
			}
			if _, err := io.WriteString(conn, reply); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return listener.Addr().String()
}

// TestForeignServer: whatever listens where Redis should be, every kind of
// client says so, says what to do, and repeats nothing of what it was told.
func TestForeignServer(t *testing.T) {
	t.Parallel()
	answers := []struct {
		name, answer string
		greets       bool
		want         string
	}{
		{"web server", "HTTP/1.1 400 Bad Request\r\nServer: " + secret + "\r\n\r\n", false, "does not speak the protocol"},
		{"long string", "$77348773489600\r\n" + secret, true, "a string of more than"},
		{"long array", "*99999999999\r\n+" + secret, true, "more than 131072 elements"},
		{"endless line", "+" + strings.Repeat(secret, 1000) + "\r\n", true, "a line of more than"},
		{"line without an end", "+" + secret + "\n", true, "does not speak the protocol"},
	}
	for _, test := range answers {
		t.Run(test.name, func(t *testing.T) {
			addr := foreign(t, test.answer, test.greets)
			for _, url := range []string{"redis://" + addr, "redis+sentinel://" + addr + "/main", "redis+cluster://" + addr} {
				ctx, cancel := context.WithTimeout(t.Context(), generous)
				defer cancel()
				_, _, err := open(t, url, redisstore.Config{}).Load(ctx, "shop")
				var told *redisstore.Error
				if !errors.As(err, &told) || told.Remedy == "" || !strings.Contains(told.Problem, test.want) ||
					!strings.Contains(told.Problem, "what answers at "+addr+" is no Redis") {
					t.Errorf("Load from %s: %v; want an *Error with a remedy and %q", url, err, test.want)
				}
				for cause := err; cause != nil; cause = errors.Unwrap(cause) {
					if text := fmt.Sprintf("%v %+v", cause, cause); strings.Contains(text, secret) || strings.Contains(text, "77348") {
						t.Errorf("the error of %s repeats what was answered: %s", url, text)
					}
				}
			}
		})
	}
}

// TestForeignServerIsAnAbsentStore: to a coordinator it is one that is away.
func TestForeignServerIsAnAbsentStore(t *testing.T) {
	t.Parallel()
	s := open(t, "redis://"+foreign(t, "$99999999\r\n", true), redisstore.Config{})
	c, err := coordinator.New("shop", noSource{}, s, coordinator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Rotate(t.Context()); !errors.Is(err, coordinator.ErrStoreUnavailable) || !strings.Contains(err.Error(), "is no Redis") {
		t.Errorf("Rotate: %v; want ErrStoreUnavailable and why", err)
	}
}

type noSource struct{}

func (noSource) Traits() coordinator.Traits { return coordinator.Traits{} }
func (noSource) Mint(context.Context, coordinator.Token) (coordinator.Token, error) {
	return coordinator.Token{}, errors.New("there is no provider")
}

// TestReplyOfAnotherKind: go-redis quotes a reply that it did not expect.
func TestReplyOfAnotherKind(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"+" + secret + "\r\n", "*2\r\n+" + secret + "\r\n+" + secret + "\r\n", ",\r\n", "#" + secret + "\r\n"} {
		s := open(t, "redis://"+foreign(t, answer, true), redisstore.Config{})
		_, _, load := s.Load(t.Context(), "shop")
		_, history := s.History(t.Context(), "shop", 3)
		_, swap := s.Swap(t.Context(), "shop", coordinator.Stamp{}, child(coordinator.Record{}))
		for _, err := range []error{load, history, swap} {
			var told *redisstore.Error
			if !errors.As(err, &told) || told.Remedy == "" || strings.Contains(fmt.Sprintf("%v %+v", err, told), secret) || told.Err != nil && strings.Contains(told.Err.Error(), secret) {
				t.Errorf("after %q: %v; want an *Error with a remedy, without what was answered", answer, err)
			}
		}
	}
}

// TestForeignServerTakesLittleMemory: what a reply claims costs little, until
// it has come. Not parallel: others allocate too.
func TestForeignServerTakesLittleMemory(t *testing.T) {
	nested := "*14\r\n" + strings.Repeat("*1\r\n", 13)
	for _, answer := range []string{
		"$77348773489600\r\n", "$1048576\r\n", "*99999999999\r\n", "*131072\r\n", "%65536\r\n", "~131072\r\n",
		nested + "*131000\r\n", nested + "%65000\r\n*131000\r\n", strings.Repeat("*131000\r\n", 1000), strings.Repeat("%65000\r\n", 1000),
		strings.Repeat("*1\r\n", 1<<20), strings.Repeat("|0\r\n", 1<<20), strings.Repeat("|1\r\n", 1<<20), "+" + strings.Repeat("x", 1<<24),
	} {
		s := open(t, "redis://"+foreign(t, answer, true), redisstore.Config{})
		for name, call := range map[string]func() error{
			"Load":    func() error { _, _, err := s.Load(t.Context(), "shop"); return err },
			"History": func() error { _, err := s.History(t.Context(), "shop", 3); return err },
			"Swap": func() error {
				_, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, child(coordinator.Record{}))
				return err
			},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := call()
			runtime.ReadMemStats(&after)
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; err == nil || took > 64 {
				t.Errorf("%s after %.20q (%d bytes): %d MiB, %v", name, answer, len(answer), took, err)
			}
		}
	}
}

// TestStaleConnection: one that Redis has closed in the meantime is noticed
// before it is used, so that no call fails for it.
func TestStaleConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer admin.Close()
	s := open(t, server.URL(), redisstore.Config{})
	r := write(t, s, "shop", coordinator.Record{})
	for range 3 {
		if err := admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
			t.Fatal(err)
		}
		if got, _, err := s.Load(t.Context(), "shop"); err != nil || got.Stamp() != r.Stamp() {
			t.Errorf("Load after the connection was closed: %v, %v", got.Stamp(), err)
		}
	}
}

// TestTLS: the options of ParseURL dial with TLS as go-redis does, with the
// configuration that they have when they are used.
func TestTLS(t *testing.T) {
	t.Parallel()
	authority := httptest.NewTLSServer(nil) // only for its certificate, which is for 127.0.0.1
	defer authority.Close()
	server := miniredis.NewMiniRedis()
	if err := server.StartTLS(&tls.Config{Certificates: authority.TLS.Certificates}); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	o, err := redisstore.ParseURL("rediss://" + server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	patient(o)
	o.DialTimeout = generous // a handshake takes a busy machine some time
	strangers := redisstore.New(newClient(t, o), redisstore.Config{})
	if _, _, err := strangers.Load(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Load with an unknown certificate: %v", err)
	}
	o.TLSConfig.RootCAs = x509.NewCertPool()
	o.TLSConfig.RootCAs.AddCert(authority.Certificate())
	s := redisstore.New(newClient(t, o), redisstore.Config{})
	r := write(t, s, "shop", coordinator.Record{})
	if got, _, err := s.Load(t.Context(), "shop"); err != nil || got.Stamp() != r.Stamp() {
		t.Errorf("Load over TLS: %v, %v", got.Stamp(), err)
	}
}

func newClient(t testing.TB, o *redis.UniversalOptions) redis.UniversalClient {
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { client.Close() })
	return client
}

// BenchmarkBounded compares reads over a connection with bounds with the same
// reads over one without.
func BenchmarkBounded(b *testing.B) {
	server := redistest.Start(b)
	s := open(b, server.URL(), redisstore.Config{})
	r := coordinator.Record{}
	for range 200 {
		r = write(b, s, "shop", r)
	}
	for _, kind := range []string{"plain", "bounded"} {
		o, err := redisstore.ParseURL(server.URL())
		if err != nil {
			b.Fatal(err)
		}
		if kind == "plain" {
			o.Dialer = nil // go-redis's own
		}
		s := redisstore.New(newClient(b, o), redisstore.Config{})
		b.Run("Load/"+kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.Load(b.Context(), "shop"); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("History200/"+kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.History(b.Context(), "shop", 200); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFraming is what it costs to follow the replies, by themselves.
func BenchmarkFraming(b *testing.B) {
	record := "*80\r\n" + strings.Repeat("$12\r\ngeneration12\r\n$20\r\n2026-11-24T20:00:00Z\r\n", 40)
	streams := map[string]string{"record": record, "value of 32KiB": "$32768\r\n" + strings.Repeat("x", 32768) + "\r\n"}
	for name, stream := range streams {
		b.Run(name, func(b *testing.B) {
			below, text := &pieces{}, []byte(stream)
			conn := bounded(b, below)
			buffer := make([]byte, 64<<10)
			b.SetBytes(int64(len(stream)))
			for b.Loop() {
				below.stream = text
				if _, err := conn.Read(buffer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
