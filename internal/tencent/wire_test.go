package tencent_test

import (
	"context"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/tencent"
)

func TestMain(m *testing.M) {
	// net/http reads these once. Loopback addresses are exempt from proxies, so
	// only the test of proxies notices.
	os.Setenv("HTTP_PROXY", "http://127.0.0.1:9")
	os.Setenv("HTTPS_PROXY", "http://127.0.0.1:9")
	os.Exit(m.Run())
}

var service = tencent.Service{Name: "X", API: "https://x.example", What: "token", Field: "access_token"}

func client(t testing.TB, s *tencent.Service, cfg tencent.Config) *tencent.Client {
	t.Helper()
	c, err := s.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dial(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }

func TestClientsShareAWire(t *testing.T) {
	roots := x509.NewCertPool()
	first := client(t, &service, tencent.Config{})
	for name, test := range map[string]struct {
		cfg  tencent.Config
		same bool
	}{
		"no config":         {tencent.Config{}, true},
		"the default API":   {tencent.Config{API: service.API}, true},
		"another API":       {tencent.Config{API: "https://y.example"}, false},
		"other authorities": {tencent.Config{RootCAs: roots}, false},
		"a Dial":            {tencent.Config{Dial: dial}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tickets := service // of another field, at the same place
			tickets.Field = "ticket"
			if got := tencent.SameWire(first, client(t, &tickets, test.cfg)); got != test.same {
				t.Errorf("shared is %v, want %v", got, test.same)
			}
		})
	}
	dialled := tencent.Config{Dial: dial}
	if tencent.SameWire(client(t, &service, dialled), client(t, &service, dialled)) {
		t.Error("two clients with a Dial share a wire")
	}
}

// Wires do not pile up in a process whose accounts come and go.
func TestWireEndsWithItsClients(t *testing.T) {
	c := client(t, &service, tencent.Config{API: "http://127.0.0.1:1/some/where"})
	with := tencent.SharedWires()
	runtime.KeepAlive(c)
	c = nil
	for deadline := time.Now().Add(time.Minute); tencent.SharedWires() >= with; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("the wire has outlived its only client")
		}
		runtime.Gosched()
	}
}

// A proxy would read the secret of a request over plain http.
func TestProxyIsForHTTPSOnly(t *testing.T) {
	if proxy, err := tencent.Proxy(httptest.NewRequest("GET", "http://sandbox.example/", nil)); proxy != nil || err != nil {
		t.Errorf("plain http goes to proxy %v (%v)", proxy, err)
	}
	if proxy, err := tencent.Proxy(httptest.NewRequest("GET", "https://api.weixin.qq.com/", nil)); proxy == nil || err != nil {
		t.Errorf("https does not use the environment's proxy (%v)", err)
	}
	if client(t, &service, tencent.Config{Dial: dial}).UsesProxy() {
		t.Error("a proxy is used beside Dial")
	}
}
