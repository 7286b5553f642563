package tencent

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// ConfigurationAfter is how long to wait after a failure that only another
// configuration mends. Asking again does no good, but the mistake may be
// mended at the provider's side, where nobody would think of restarting us.
const ConfigurationAfter = 5 * time.Minute

// Service is an API, or a part of it whose error codes have a meaning of their
// own. It is not changed once it is in use.
type Service struct {
	Name    string                         // of the provider, for people
	API     string                         // the default base URL
	Hosts   []string                       // of the provider, used over https only
	What    string                         // what is minted: "token" or "ticket"
	Field   string                         // of the answer, which holds what is minted
	Meaning func(code int) (Meaning, bool) // of the error codes that are known

	// Unlisted are the codes that say that the caller's address is not on
	// a list, called Whitelist, on which the errmsg then names it.
	Unlisted  []int
	Whitelist string
}

// Meaning is what an error code means.
type Meaning struct {
	Class   coordinator.Class
	After   time.Duration // how long to wait at least
	Message string
	Advice  string
}

// Config is what the configurations of wechat and wecom consist of.
type Config struct {
	API            string
	AllowPlainHTTP bool
	Dial           func(ctx context.Context, network, address string) (net.Conn, error)
	RootCAs        *x509.CertPool
}

// Client sends the requests of mints to a Service. It is safe for concurrent
// use, and small: clients share what they can.
type Client struct {
	service *Service
	wire    *wire
}

// Client returns one, or what is wrong with the Config.
func (s *Service) Client(cfg Config) (*Client, error) {
	w, err := s.wireFor(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{s, w}, nil
}

// longestMint bounds a mint whose caller set no bound. It is the most that
// coordinator.Config.MintTimeout may be.
const longestMint = 60 * time.Second

// Get mints with a GET, which carries secrets in its query, as these APIs
// demand. This is why nothing here quotes a URL. Its errors are of type
// *coordinator.SourceError.
func (c *Client) Get(ctx context.Context, path string, query url.Values, secret string) (coordinator.Token, error) {
	u := c.wire.base.JoinPath(path)
	u.RawQuery = query.Encode()
	return c.mint(ctx, http.MethodGet, u, nil, secret)
}

// Post mints with a POST of JSON.
func (c *Client) Post(ctx context.Context, path string, body []byte, secret string) (coordinator.Token, error) {
	return c.mint(ctx, http.MethodPost, c.wire.base.JoinPath(path), body, secret)
}

// mint sends the one request of a mint and reads the answer.
func (c *Client) mint(ctx context.Context, method string, u *url.URL, body []byte, secret string) (coordinator.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, longestMint)
	defer cancel()
	request, err := newRequest(ctx, method, u, body)
	if err != nil {
		return coordinator.Token{}, c.service.Misconfigured(errors.New("no request can be made of Config.API: check it"))
	}
	// The provider counts from when it minted, which is after this moment.
	sent := time.Now()
	status, answer, failure := c.service.exchange(c.wire, request)
	if failure != nil {
		return coordinator.Token{}, failure
	}
	value, lifetime, failure := c.service.Parse(status, answer, secret)
	if failure != nil {
		return coordinator.Token{}, failure
	}
	return coordinator.NewToken(value, sent.Add(lifetime)), nil
}

// Misconfigured is the failure of a source whose configuration cannot work.
func (s *Service) Misconfigured(err error) *coordinator.SourceError {
	return &coordinator.SourceError{
		Class:   coordinator.Configuration,
		Message: "the configuration of the " + s.Name + " account is wrong",
		Advice:  err.Error(),
		After:   ConfigurationAfter,
		Refused: true,
	}
}

// base returns the API's base URL, or what is wrong with it. The errors do not
// quote the URL, which may hold a password.
func (s *Service) base(cfg Config) (*url.URL, error) {
	if cfg.API == "" {
		cfg.API = s.API
	}
	u, err := url.Parse(cfg.API)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return nil, errors.New("Config.API is not a URL: use the form https://HOST")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("Config.API has a user, a query or a fragment: use the form https://HOST")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme != "http":
		return nil, errors.New("Config.API is neither https nor http: use the form https://HOST")
	case slices.Contains(s.Hosts, canonicalHost(u)):
		return nil, fmt.Errorf("Config.API is plain http: %s's own hosts are used over https only", s.Name)
	case !isLoopback(u.Hostname()) && !cfg.AllowPlainHTTP:
		return nil, fmt.Errorf("Config.API is plain http to %s: use https, or set AllowPlainHTTP if it is a fake in a private network", u.Hostname())
	}
	return u, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// canonicalHost returns the host of u in lower case, with its port unless that
// is the standard one of the scheme.
func canonicalHost(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}
