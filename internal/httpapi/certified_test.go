package httpapi_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/httpapi"
	"github.com/mintonce/mintonce/internal/tlstest"
)

// TestCertificateForAKey: only a name in a certificate that was verified stands
// for a client, and a wrong key beside it is still wrong.
func TestCertificateForAKey(t *testing.T) {
	ca := tlstest.NewCA(t)
	read := []config.Right{config.MayRead}
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": live()}, Clients: []config.Client{
		{Name: "node", CertName: "node.example", Tokens: []string{"shop"}, Rights: read},
		{Name: "go", CertName: "spiffe://example/go", Tokens: []string{"shop"}, Rights: read},
		{Name: "php", KeySHA256: digest(shopKey), Tokens: []string{"shop"}, Rights: read},
	}})
	for name, test := range map[string]struct {
		commonName string
		names      []string
		unverified bool
		key        string
		status     int
	}{
		"a DNS name":                        {"x", []string{"node.example"}, false, "", 200},
		"one of several":                    {"x", []string{"other.example", "node.example"}, false, "", 200},
		"a URI":                             {"x", []string{"spiffe://example/go"}, false, "", 200},
		"a common name":                     {"node.example", nil, false, "", 200},
		"a common name that others precede": {"node.example", []string{"other.example"}, false, "", 401},
		"a common name beside an address":   {"node.example", []string{"192.0.2.1"}, false, "", 401},
		"of nobody":                         {"other.example", nil, false, "", 401},
		"of two":                            {"x", []string{"node.example", "spiffe://example/go"}, false, "", 401},
		"a part of a name":                  {"x", []string{"a.node.example"}, false, "", 401},
		"of php, which has none":            {"php", nil, false, "", 401},
		"expired since the handshake":       {"expired", []string{"node.example"}, false, "", 401},
		"not verified":                      {"x", []string{"node.example"}, true, "", 401},
		"a wrong key beside it":             {"x", []string{"node.example"}, false, "guess", 401},
		"another's key beside it":           {"x", []string{"node.example"}, false, shopKey, 200},
	} {
		life := time.Hour
		if test.commonName == "expired" {
			life = -time.Second
		}
		block, _ := pem.Decode(ca.Issue(life, test.commonName, test.names...).Cert)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
		if test.unverified {
			state.VerifiedChains = nil
		}
		w := request{method: "GET", path: "/v1/tokens/shop", key: test.key, other: func(r *http.Request) { r.TLS = state }}.send(t, handler)
		if w.Code != test.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, test.status)
		}
	}
}

// TestUnixSocket: without clients, whoever may open the socket is served, under
// any name.
func TestUnixSocket(t *testing.T) {
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": live()}})
	through := func(at net.Addr) func(*http.Request) {
		return func(r *http.Request) {
			*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, at))
			r.RemoteAddr, r.Host = "@", "mintonce"
		}
	}
	get := request{method: "GET", path: "/v1/tokens/shop", other: through(&net.UnixAddr{Name: "/run/s.sock", Net: "unix"})}
	if w := get.send(t, handler); w.Code != http.StatusOK {
		t.Errorf("through a socket: %d %s", w.Code, w.Body)
	}
	get.other = through(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	wantProblem(t, get.send(t, handler), http.StatusForbidden, "forbidden")
	keyed := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": live()}, Clients: clients})
	get.other = through(&net.UnixAddr{Name: "/run/s.sock", Net: "unix"})
	wantProblem(t, get.send(t, keyed), http.StatusUnauthorized, "unauthorized")
}
