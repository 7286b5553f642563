package tencent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

const (
	// ReplyLimit is far above any token reply, which has some 200 bytes.
	ReplyLimit = 64 << 10
	// headerLimit bounds the head of a reply.
	headerLimit = 64 << 10
)

// wire sends the requests of mints. Accounts share it where they can, so it
// holds nothing of any of them.
type wire struct {
	base      *url.URL
	transport *http.Transport
}

func newWire(cfg Config, base *url.URL) *wire {
	t := &http.Transport{
		Proxy: proxyForTLS,
		// net/http repeats a GET by itself when a reused connection turns out
		// to be closed. A fresh connection per mint rules that out; a mint
		// takes place every two hours, so it costs nothing.
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: headerLimit,
		TLSHandshakeTimeout:    10 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs},
		// HTTP/2 repeats requests as well, and its trace is another one.
		Protocols:   new(http.Protocols),
		DialContext: cfg.Dial,
	}
	t.Protocols.SetHTTP1(true)
	if cfg.Dial != nil {
		t.Proxy = nil
	} else {
		t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	return &wire{base: base, transport: t}
}

// proxyForTLS uses a proxy for https only. Over plain http, a proxy would read
// the secret.
func proxyForTLS(r *http.Request) (*url.URL, error) {
	if r.URL.Scheme != "https" {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// exchange sends the request once, follows no redirect, and returns status and
// body of the answer. It goes past http.Client, whose errors quote the URL.
func (s *Service) exchange(w *wire, request *http.Request) (status int, body []byte, failure *coordinator.SourceError) {
	// net/http calls GotConn after dialling and the TLS handshake, before the
	// first byte of the request. Without that call, nothing was sent.
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	ctx := httptrace.WithClientTrace(request.Context(), trace)

	response, err := w.transport.RoundTrip(request.WithContext(ctx))
	if err != nil && !connected.Load() {
		return 0, nil, s.notSent(ctx, err)
	}
	if err != nil {
		return 0, nil, s.noAnswer(ctx, err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, ReplyLimit+1))
	if err != nil {
		return 0, nil, s.noAnswer(ctx, err)
	}
	return response.StatusCode, body, nil
}

// notSent: the connection did not come about.
func (s *Service) notSent(ctx context.Context, err error) *coordinator.SourceError {
	return &coordinator.SourceError{
		Class:   coordinator.Transient,
		Message: s.Name + " was not reached: " + describe(ctx, err),
		Advice:  "check network, DNS, firewall and proxy on the way to the API",
		Refused: true,
		Err:     cause(ctx, err),
	}
}

// noAnswer: the provider may have received the request, and minted.
func (s *Service) noAnswer(ctx context.Context, err error) *coordinator.SourceError {
	return &coordinator.SourceError{
		Class:   coordinator.Transient,
		Message: s.Name + " got the request but its answer did not arrive: " + describe(ctx, err),
		Advice:  "a " + s.What + " may have been minted; the next mint settles it",
		Err:     cause(ctx, err),
	}
}

// describe puts an error into words of ours. The text of the error itself is
// not used: net/http quotes malformed replies, which may echo the request, and
// proxy settings, which may hold a password.
func describe(ctx context.Context, err error) string {
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		hostname    x509.HostnameError
		authority   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		timeout     interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "the time for it ran out"
	case ctx.Err() != nil:
		return "the mint was broken off"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "DNS does not know its host"
	case errors.As(err, &dns):
		return "DNS gave no answer for its host"
	case errors.As(err, &hostname):
		return "the TLS certificate is for another host"
	case errors.As(err, &authority), errors.As(err, &certificate):
		return "the TLS certificate is not trusted"
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return "the host speaks plain HTTP, not https"
	case errors.As(err, &record), errors.As(err, &alert):
		return "the TLS handshake failed"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "the connection timed out"
	}
	return describeSocket(err)
}

func describeSocket(err error) string {
	var network *net.OpError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed early"
	case errors.As(err, &network) && network.Op == "proxyconnect":
		return "no connection to the proxy: " + systemText(err)
	case errors.As(err, &network) && network.Op == "dial":
		return "no connection: " + systemText(err)
	case errors.As(err, &network):
		return "the connection broke: " + systemText(err)
	}
	return "what came back is not a proper HTTP answer"
}
